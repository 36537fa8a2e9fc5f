"""From what a caller gives to fit, evaluate and predict to checked batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastconv import config
from fastconv._memory import take_rows
from fastconv.models.plans import as_list
from fastconv.ops import _arrays, _devices, _numbers

__all__ = [
    "ArrayBatches",
    "as_data",
    "at_least",
    "batch_of",
    "batch_size_of",
    "class_factors",
    "is_iterable_of_batches",
]

Batch = tuple[Any, list[np.ndarray] | None, np.ndarray | None]


def is_on_gpu(value: Any) -> bool:
    """Whether an array is in a GPU's memory."""
    return hasattr(value, "__cuda_array_interface__")


def as_data(where: str, name: str, value: Any) -> np.ndarray:
    """An array of numbers from an array, a list of numbers or anything DLPack; bool, ints and floats are taken.

    They are converted to the model's dtype batch by batch (as Keras does, without scaling), never silently anything else.
    """
    array = _arrays.as_numbers(where, name, value)
    if array.ndim == 0:
        raise ValueError(
            f"[{where}] {name} must hold samples along its first axis: expected rank >= 1, got a scalar. Wrap it in a list."
        )
    return array


def on_host(where: str, name: str, value: Any) -> Any:
    """Targets or weights that are on the GPU where the model runs, copied, since they are looked at; else ``value``."""
    if config.device() == "cpu":
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(where, name, part) for part in value)
    return _copied(where, name, value)


def _copied(where: str, name: str, value: Any) -> Any:
    if not is_on_gpu(value):
        return value
    return _devices.cuda(f"[{where}] {name} is on a GPU").as_array(where, name, value).get()


def as_stored(where: str, name: str, value: Any, dtype: str) -> Any:
    """An array on a GPU as it is: uint8, or of the model's dtype."""
    device = _devices.cuda(f"[{where}] {name} is on a GPU")
    array = device.as_array(where, name, value)
    if array.ndim == 0 or array.dtype.name not in ("uint8", dtype):
        raise TypeError(
            f"[{where}] {name} on a GPU must hold samples of uint8 or of the model's dtype: expected uint8 or {dtype}, got "
            f"{name}.dtype={array.dtype}, shape {array.shape}. Convert it there with {name}.astype({dtype!r})."
        )
    contiguous = device.contiguous(where, name, array)
    return contiguous if contiguous.data.ptr % 16 == 0 else contiguous.copy()  # rows are read in units of 16 bytes


def is_iterable_of_batches(x: Any) -> bool:
    """A generator, a Dataset or a loader, rather than arrays."""
    if (
        isinstance(x, (np.ndarray, list, tuple, dict, str, bytes, bytearray, memoryview))
        or hasattr(x, "__array_interface__")
        or hasattr(x, "__dlpack__")
        or is_on_gpu(x)
    ):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__")


def batch_of(where: str, item: Any) -> tuple[Any, Any, Any]:
    """``(x, y, sample_weight)`` from one item of an iterable."""
    if isinstance(item, (tuple, list)) and 2 <= len(item) <= 3:
        return item[0], item[1], item[2] if len(item) == 3 else None
    got = f"{type(item).__name__} of length {len(item)}" if isinstance(item, (tuple, list)) else type(item).__name__
    raise ValueError(
        f"[{where}] an iterable must give batches: expected (x, y) or (x, y, sample_weight), got a {got}. Yield tuples."
    )


class ArrayBatches:
    """Arrays of samples, cut into batches.

    Args:
        x: one array per model input. y: one per output, or None. weights: one factor per sample, or None.
        batch_size: samples per batch; the last one may be smaller.
    """

    def __init__(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray] | None,
        weights: np.ndarray | None,
        batch_size: int,
    ) -> None:
        self.x = list(x)
        self.y = None if y is None else list(y)
        self.weights = weights
        self.batch_size = batch_size
        self.samples = int(self.x[0].shape[0])
        self._steps: int | None = None

    def __len__(self) -> int:
        batches = -(-self.samples // self.batch_size)
        return batches if self._steps is None else self._steps

    def limit(self, where: str, name: str, steps: int | None) -> None:
        """Gives only the first ``steps`` batches from now on; ValueError if there are fewer."""
        if steps is not None and steps > len(self):
            raise ValueError(
                f"[{where}] {name} must not exceed the batches there are: expected {name} <= {len(self)} ({self.samples} rows in "
                f"batches of {self.batch_size}), got {name}={steps}. Leave it out to use all."
            )
        self._steps = steps

    def weigh(self, factors: np.ndarray) -> None:
        """Multiplies the samples' weights."""
        self.weights = factors if self.weights is None else factors * self.weights

    def batches(self, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Every batch once, of the samples in ``order`` (indices) or as they stand."""
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            which: Any = slice(start, min(start + self.batch_size, self.samples))
            if order is not None:
                which = order[which]
            y = None if self.y is None else [take_rows(array, which) for array in self.y]
            yield (
                [take_rows(array, which) for array in self.x],
                y,
                None if self.weights is None else take_rows(self.weights, which),
            )

    def split(self, fraction: float) -> tuple[ArrayBatches, ArrayBatches]:
        """The first samples, and the last ``fraction`` of them for validation (before any shuffle, as Keras)."""
        at = int(self.samples * (1 - fraction))
        if not 0 < at < self.samples:
            raise ValueError(
                f"[fit] validation_split must leave samples on both sides: expected 0 < split < 1 with {self.samples} samples, "
                f"got validation_split={fraction}. Use a share nearer to 1/2."
            )
        return self._rows(slice(None, at)), self._rows(slice(at, None))

    def _rows(self, rows: slice) -> ArrayBatches:
        y = None if self.y is None else [array[rows] for array in self.y]
        weights = None if self.weights is None else self.weights[rows]
        return ArrayBatches([array[rows] for array in self.x], y, weights, self.batch_size)


def check_lengths(where: str, x: Sequence[np.ndarray], y: Sequence[np.ndarray] | None, weights: Any) -> None:
    """ValueError unless every array has as many samples as x."""
    rows = x[0].shape[0]
    if all(array.shape[0] == rows for array in (*x, *(y or ()), *(() if weights is None else (weights,)))):
        return
    named = [(f"x[{i}]", a) for i, a in enumerate(x) if i] + [
        (f"y[{i}]" if len(y or ()) > 1 else "y", a) for i, a in enumerate(y or ())
    ]
    named += [("sample_weight", weights)] if weights is not None else []
    for name, array in named:
        if array.shape[0] != rows:
            raise ValueError(
                f"[{where}] every array must have the same number of rows: expected {rows} rows as `x`, got `x` {rows} rows, "
                f"`{name}` {array.shape[0]} rows. Check how they were split."
            )


def check_not_empty(where: str, x: Sequence[np.ndarray]) -> None:
    """ValueError for arrays without rows: a mean loss of nothing has no value."""
    if x[0].shape[0] == 0:
        raise ValueError(f"[{where}] x must hold samples: expected at least 1 row, got 0. Check how it was made.")


def check_inputs(where: str, arrays: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]] | None) -> None:
    """ValueError unless the arrays fit the model's inputs."""
    if shapes is None:
        return
    if len(arrays) != len(shapes):
        raise ValueError(
            f"[{where}] x must hold one array per input: expected {len(shapes)} arrays, got {len(arrays)}. Pass a list."
        )
    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if tuple(array.shape[1:]) != tuple(shape):
            name = "x" if len(shapes) == 1 else f"x[{i}]"
            raise ValueError(
                f"[{where}] {name} must fit the model's input: expected {name} of shape (N, {', '.join(map(str, shape))}), got "
                f"{name}.shape={array.shape}. Reshape the data, e.g. add a channel axis with x[..., None]."
            )


def load_sample_weight(where: str, sample_weight: Any) -> np.ndarray | None:
    """One finite, non-negative factor per sample."""
    if sample_weight is None:
        return None
    weights = as_data(where, "sample_weight", sample_weight)
    if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"[{where}] sample_weight must hold one factor >= 0 per sample: expected a finite array of shape (N,), got shape "
            f"{weights.shape}. Pass one number per row."
        )
    return weights


def as_inputs(
    where: str, x: Any, shapes: Sequence[tuple[int, ...]] | None, stored: str | None = None
) -> list[np.ndarray]:
    """One array per model input from what was given as x; arrays on a GPU stay there where ``stored`` is the model's dtype."""
    several = shapes is not None and len(shapes) > 1
    if isinstance(x, dict):
        raise TypeError(
            f"[{where}] x must be an array or a list of arrays: expected one per input, got a dict. Pass its values."
        )
    parts = as_list(x) if several else [x]
    names = [f"x[{i}]" if several else "x" for i in range(len(parts))]
    if stored is not None and config.device() != "cpu" and any(is_on_gpu(part) for part in parts):
        arrays = [as_stored(where, name, part, stored) for name, part in zip(names, parts, strict=True)]
    else:
        arrays = [as_data(where, name, part) for name, part in zip(names, parts, strict=True)]
    check_inputs(where, arrays, shapes)
    return arrays


def batch_size_of(where: str, batch_size: Any) -> int:
    if batch_size is None:
        return 32
    return at_least(where, "batch_size", batch_size, 1)


def at_least(where: str, name: str, value: Any, least: int) -> int:
    number = _numbers.as_int(where, name, value)
    if number < least:
        raise ValueError(
            f"[{where}] {name} must be at least {least}: expected {name} >= {least}, got {name}={number}. Use {least} or more."
        )
    return number


def class_factors(where: str, targets: np.ndarray, class_weight: Any) -> np.ndarray:
    """Each sample's factor by its class."""
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"[{where}] class_weight must be a dict: expected {{class: factor}}, got {type(class_weight).__name__}. "
            "Pass one factor per class."
        )
    single = targets.ndim == 1 or targets.shape[-1] == 1
    labels = targets.reshape(len(targets)) if single else targets.argmax(-1)
    missing = sorted(set(np.unique(labels).tolist()) - set(class_weight))
    if missing:
        raise ValueError(
            f"[{where}] class_weight must name every class: expected a factor for each in y, got none for {missing}. Add them."
        )
    factors = np.zeros(len(labels))
    for label, factor in class_weight.items():
        number = _numbers.as_float(where, "class_weight", factor)
        if number < 0:
            raise ValueError(
                f"[{where}] class_weight must not be negative: expected factors >= 0, got {number} for class {label}. Use 0 or more."
            )
        factors[labels == label] = number
    return factors
