"""What every initializer is: a recipe called with a shape and a dtype."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fastconv import _arguments

__all__ = ["FunctionInitializer", "Initializer"]


class Initializer:
    """A recipe for the first value of a weight; subclasses define ``_values``.

    Example:
        >>> from fastconv.initializers import Ones
        >>> Ones()((3, 3, 1, 8)).shape
        (3, 3, 1, 8)
    """

    _finite: ClassVar[bool] = True

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        """A new C-contiguous array.

        Args:
            shape: of the weight, ints >= 0.
            dtype: float16, float32 or float64.

        Returns:
            The values, with that shape and dtype.

        Raises:
            TypeError: if an extent is no int, or dtype is no float type.
            ValueError: if an extent is negative, the recipe does not fit the shape, or it makes values beyond the dtype's range.
            MemoryError: if the array is larger than the machine's memory.
        """
        op = type(self).__name__
        dtype = _float_dtype(op, dtype)
        shape = _checked_shape(op, shape, dtype)
        if not self._finite:
            return self._array(shape, dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            values = self._array(shape, dtype)
        if not np.isfinite(values).all():
            raise ValueError(
                f"[{op}] values must be finite in {dtype}: expected numbers within its range, "
                f"got infinity or NaN from {self.get_config()}. Use smaller ones."
            )
        return values

    def _array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.ascontiguousarray(self._values(shape, dtype), dtype=dtype).reshape(shape)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] an initializer must define _values(shape, dtype).")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """The initializer with those arguments."""
        return cls(**config)


class FunctionInitializer(Initializer):
    """A user's ``f(shape, dtype)``, its result checked."""

    _finite = False  # whoever writes a function may mean infinity

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        made = self.function(shape, dtype=dtype.name)
        values = _arguments.array("initializer", "the function's result", made)
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise ValueError(
                f"[initializer] the function must return numbers of the weight's shape: expected {shape}, "
                f"got shape={values.shape}, dtype={values.dtype} "
                f"from {self.function!r}. Use the shape it is given."
            )
        return values


def _float_dtype(op: str, dtype: Any) -> np.dtype:
    try:
        found = np.dtype("float32" if dtype is None else dtype)
    except TypeError:
        found = None
    if found is None or found.newbyteorder("=") not in (np.float16, np.float32, np.float64):
        raise TypeError(
            f"[{op}] dtype must be a float type: expected float16, float32 or float64, got dtype={dtype!r}. "
            f"Use 'float32'."
        )
    return found.newbyteorder("=")


def _checked_shape(op: str, shape: Sequence[int], dtype: np.dtype) -> tuple[int, ...]:
    extents = _arguments.items(op, "shape", shape)
    checked = tuple(_arguments.integer(op, f"shape[{i}]", extent, least=0) for i, extent in enumerate(extents))
    size = math.prod(checked) * dtype.itemsize
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise MemoryError(
            f"[{op}] the weight does not fit in memory: expected at most {memory} bytes, "
            f"got shape={checked}, dtype={dtype.name}: {size} bytes. Use fewer units or a smaller input."
        )
    return checked
