"""Batches of other libraries, as fit takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["from_loader"]


class _Batches:
    """The batches of ``source``, from its beginning on every pass."""

    def __init__(self, source: Any, x: str, y: str | None) -> None:
        self._source, self._x, self._y = source, x, y

    def __iter__(self) -> Iterator[Any]:
        for batch in self._source:
            yield self._pair(batch)

    def _pair(self, batch: Any) -> Any:
        if not hasattr(batch, "keys"):
            return batch
        wanted = [self._x] if self._y is None else [self._x, self._y]
        for name in wanted:
            if name not in batch:
                raise ValueError(
                    f"[from_loader] batches must have the columns that are named: expected {name!r}, got "
                    f"{sorted(map(str, batch))}. Pass x= and y=."
                )
        arrays = [_as_array(name, batch[name]) for name in wanted]
        return arrays[0] if self._y is None else tuple(arrays)


class _Counted(_Batches):
    """Of a source that knows how many there are."""

    def __len__(self) -> int:
        return len(self._source)


def from_loader(source: Any, x: str = "image", y: str | None = "label") -> Any:
    """Batches of a PyTorch DataLoader, a Hugging Face data set or any other iterable, for ``fit``, ``evaluate`` and ``predict``.

    Iterables of pairs ``(x, y)`` can be given to ``fit`` as they are. This is for those whose batches are dicts of columns, as
    Hugging Face's are, also within a DataLoader.

    Args:
        source: an iterable that starts again on every pass: a DataLoader, or ``data.with_format("numpy").iter`` wrapped in a
            list. Of what a pass consumes, as a generator, the second epoch is empty.
        x, y: names of the columns with samples and labels; None for samples alone.

    Returns:
        An iterable of ``(x, y)``; arrays are passed on without a copy where they can be.

    Raises:
        TypeError: ``source`` cannot be iterated. ValueError: while iterating, for a missing column or rows of unequal shapes.

    Example:
        >>> from fastconv.datasets import from_loader
        >>> rows = [{"image": [[0.0, 1.0]], "label": [1]}]
        >>> [(x.shape, y.tolist()) for x, y in from_loader(rows)]
        [((1, 2), [1])]
    """
    if not hasattr(source, "__iter__"):
        raise TypeError(
            f"[from_loader] source must be iterable: expected batches, got {type(source).__name__}. Pass a loader."
        )
    return (_Counted if hasattr(source, "__len__") else _Batches)(source, x, y)


def _as_array(name: str, column: Any) -> np.ndarray:
    if isinstance(column, (list, tuple)):  # of arrays or Pillow's pictures, one per sample
        try:
            return np.stack([np.asarray(sample) for sample in column])
        except ValueError:
            raise ValueError(
                f"[from_loader] column {name!r} must hold samples of one shape: got several. Resize them in the loader."
            ) from None
    return np.asarray(column)
