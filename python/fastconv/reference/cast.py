"""Numbers in another floating-point type."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = ["cast", "cast_backward"]


@_check.quiet
def cast(x: np.ndarray, dtype: Any) -> np.ndarray:
    """``x`` in ``dtype``, rounded to nearest even."""
    _check.arrays("cast", x=(x, None))
    refuse_too_large("cast", x.shape, x.shape)
    return _check.cast(x, _float_type(dtype))


@_check.quiet
def cast_backward(dy: np.ndarray, x: np.ndarray, dtype: Any, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy in x's type."""
    op = "cast_backward"
    to = _check.arrays(op, x=(x, None))
    _check.arrays(op, dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "the forward's result")
    wanted = _float_type(dtype)
    if dy.dtype.newbyteorder("=") != wanted:
        _check.fail(
            TypeError,
            op,
            "dy must have the result's type",
            f"dy.dtype={wanted}",
            f"dy.dtype={dy.dtype}",
            "Use dy.astype.",
        )
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(dy, to) if want else None,)


def _float_type(dtype: Any) -> np.dtype:
    name = str(dtype)
    if name not in ("float32", "float64"):
        _check.fail(
            TypeError,
            "cast",
            "dtype must be a floating-point type",
            "float32 or float64",
            f"dtype={dtype!r}",
            "Use .astype for others.",
        )
    return np.dtype(name)
