"""Batches for training: shuffled, mapped and prefetched, the same for the same seed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from .. import _html, random
from ..utils._checks import as_array, as_int, same_rows
from ._prefetch import prefetched

__all__ = ["Dataset"]

_STEP = 0xD1342543DE82EF95  # odd, so that every pass of one seed gets its own 64-bit seed


class Dataset:
    """An iterable over samples ``x`` with labels ``y``; each method returns a new Dataset, nothing is copied.

    ``Dataset(x, y).shuffle(seed=0).batch(32).map(augment).prefetch(2)`` yields ``(x_batch, y_batch)`` pairs,
    and can be given to ``fit``. Without ``batch`` it yields single samples. Without ``y`` it yields x alone
    instead of pairs.

    Args:
        x: samples (N, ...); an array, or what becomes one. A ``np.memmap`` stays on disk.
        y: labels or targets (N, ...), or None.

    Attributes:
        epoch: how many passes were begun; each pass of a shuffled Dataset has its own order, which depends on
            the seed and this number only. Set it to resume.

    Example:
        >>> import numpy as np
        >>> from fastconv.datasets import Dataset
        >>> data = Dataset(np.arange(5), np.arange(5) % 2).batch(2).map(lambda x, y: (x * 10, y))
        >>> [x.tolist() for x, y in data]
        [[0, 10], [20, 30], [40]]
        >>> len(data)
        3
    """

    def __init__(self, x: Any, y: Any = None) -> None:
        self._arrays = [as_array("Dataset", "x", x)]
        if y is not None:
            self._arrays.append(as_array("Dataset", "y", y, "biufUS", "labels or targets"))
        same_rows("Dataset", self._arrays[0], self._arrays[-1])
        self._seed: int | None = None
        self._batch_size: int | None = None
        self._drop_remainder = False
        self._functions: tuple[Callable[..., Any], ...] = ()
        self._depth = 0
        self.epoch = 0

    def shuffle(self, seed: int | None = None) -> Dataset:
        """Visit all samples in a new random order on each pass; None draws a seed from fastconv.random."""
        number = random.next_seed() if seed is None else as_int("Dataset.shuffle", "seed", seed)
        return self._with(_seed=number)

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Dataset:
        """Yield ``batch_size`` samples at a time; a smaller last batch is kept unless ``drop_remainder``."""
        size = as_int("Dataset.batch", "batch_size", batch_size, low=1)
        if self._functions:
            raise RuntimeError(
                "[Dataset.batch] batch must come before map, so that functions see whole batches. "
                "Write dataset.batch(n).map(fn)."
            )
        return self._with(_batch_size=size, _drop_remainder=bool(drop_remainder))

    def map(self, fn: Callable[..., Any]) -> Dataset:
        """Replace each element by ``fn(x, y)`` (or ``fn(x)`` without y); it returns a pair (or x) again."""
        if not callable(fn):
            raise TypeError(f"[Dataset.map] fn must be a function, got {type(fn).__name__}. Pass fn(x, y).")
        return self._with(_functions=(*self._functions, fn))

    def prefetch(self, buffer_size: int = 2) -> Dataset:
        """Prepare up to ``buffer_size`` elements ahead in a background thread; values and order stay."""
        return self._with(_depth=as_int("Dataset.prefetch", "buffer_size", buffer_size, low=1))

    def _repr_html_(self) -> str:
        """The arrays and what happens to them, for notebooks."""
        arrays = zip("xy", self._arrays, strict=False)
        rows = [(name, " × ".join(map(str, array.shape)), str(array.dtype)) for name, array in arrays]
        how = [f"{len(self):,} elements"]
        how += [f"batches of {self._batch_size}"] if self._batch_size else ["single samples"]
        how += ["shuffled"] if self._seed is not None else []
        how += [f"{len(self._functions)} mapped"] if self._functions else []
        how += [f"{self._depth} prefetched"] if self._depth else []
        return _html.table(("Dataset", "shape", "dtype"), rows, ", ".join(how), (0, 2))

    def __len__(self) -> int:
        """Number of elements per pass: batches, or samples without :meth:`batch`."""
        n, size = len(self._arrays[0]), self._batch_size or 1
        return n // size if self._drop_remainder else -(-n // size)

    def __iter__(self) -> Iterator[Any]:
        """One pass over the data; begins a new epoch."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        elements = self._elements(epoch)
        return prefetched(elements, self._depth) if self._depth else elements

    def _elements(self, epoch: int) -> Iterator[Any]:
        n, size = len(self._arrays[0]), self._batch_size
        order = None if self._seed is None else random.generator(self._seed + epoch * _STEP).permutation(n)
        for i in range(len(self)):
            if size is None:
                rows: Any = i if order is None else order[i]
            else:  # a slice is a view, an array of indices a copy
                rows = slice(i * size, (i + 1) * size)
                rows = rows if order is None else order[rows]
            element = tuple(array[rows] for array in self._arrays)
            for fn in self._functions:
                element = self._checked(fn(*element))
            yield element if len(self._arrays) == 2 else element[0]

    def _checked(self, result: Any) -> tuple[Any, ...]:
        if len(self._arrays) == 1:
            return (result,)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise TypeError(f"[Dataset.map] fn must return a pair (x, y), got {type(result).__name__}. Return both.")
        return tuple(result)

    def _with(self, **changes: Any) -> Dataset:
        other = copy.copy(self)
        vars(other).update(changes, epoch=0)
        return other
