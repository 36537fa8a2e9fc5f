"""Variables: named arrays that outlive a step (weights, moving statistics, optimizer slots)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastconv.graph import Value
from fastconv.ops import _arrays

__all__ = ["SizeOnly", "Variable", "are_sizes_only", "sizes_only"]

_ALIGNMENT = 64


def aligned_empty(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An uninitialised array that starts on a cache line."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


class Variable(Value):
    """A value with memory of its own that never moves: compiled plans point into it.

    Args:
        array: initial contents.
        name: unique within its layer, e.g. "kernel".
        trainable: whether an optimizer may change it.
    """

    def __init__(self, array: Any, name: str, trainable: bool = True) -> None:
        given = np.asarray(array)
        super().__init__(given.shape, given.dtype.name, None, name)
        self.array = aligned_empty(self.shape, self.dtype)
        self.array[...] = given
        self.trainable = trainable

    def assign(self, value: Any) -> None:
        """Overwrites the contents in place.

        Raises:
            ValueError: if the shape differs, or a float is not finite or too large for the dtype. TypeError: unless
            ``value`` holds ints or floats.
        """
        self.array[...] = self.checked(value)

    def checked(self, value: Any) -> np.ndarray:
        """``value`` in this variable's dtype, or an error that says why it may not be assigned."""
        array = _arrays.as_numbers("assign", self.name, value.array if isinstance(value, Variable) else value)
        if array.dtype.kind == "b":
            raise TypeError(
                f"[assign] {self.name} takes numbers: expected {self.dtype}, got dtype {array.dtype}. Convert the array."
            )
        if array.shape != self.shape:
            raise ValueError(
                f"[assign] {self.name} has the wrong shape: expected {self.shape}, got {array.shape}. "
                "Use the weights of a model of the same architecture."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"[assign] {self.name} must be finite: expected no NaN or infinity, got "
                f"{int((~np.isfinite(array)).sum())} such values. Check where the weights come from."
            )
        converted = np.empty(self.shape, self.dtype)
        _arrays.assign("assign", self.name, converted, array)
        return converted

    def numpy(self) -> np.ndarray:
        """A copy of the contents."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name} {self.dtype}{list(self.shape)}>"


class SizeOnly(Variable):
    """A variable without memory: it can be counted, and nothing else."""

    def __init__(self, shape: Sequence[int], dtype: str, name: str, trainable: bool = True) -> None:
        Value.__init__(self, shape, dtype, None, name)
        self.trainable = trainable

    @property
    def array(self) -> np.ndarray:  # type: ignore[override]
        """Nothing to give.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            f"[{self.name}] this weight was made without memory: expected a model built outside of layers.sizes_only(), got "
            f"a description of shape {self.shape}. Build the model again."
        )


_sizes_only: ContextVar[bool] = ContextVar("fastconv_sizes_only", default=False)


@contextmanager
def sizes_only() -> Iterator[None]:
    """Inside the block layers make weights without memory: a model of any size can be described, counted and printed, but
    not run.

    Example:
        >>> from fastconv import layers, models
        >>> with layers.sizes_only():
        ...     model = models.Sequential([layers.Input((480_000,)), layers.Dense(480_000), layers.Dense(1)])
        >>> f"{model.count_params():,}"
        '230,400,960,001'
    """
    token = _sizes_only.set(True)
    try:
        yield
    finally:
        _sizes_only.reset(token)


def are_sizes_only() -> bool:
    """Whether weights are to be made without memory."""
    return _sizes_only.get()
