"""Cells added to and cut off the ends of axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = ["crop", "crop_backward", "pad", "pad_backward"]


@_check.quiet
def pad(x: np.ndarray, pad_width: Any, value: float = 0.0) -> np.ndarray:
    """Surround ``x`` by ``value``: ``pad_width`` is ((before, after), …) per axis or one int for all."""
    dtype, widths = _widths("pad", "pad_width", pad_width, x=(x, None))
    number = _check.real("pad", "value", value)
    refuse_too_large("pad", [n + sum(width) for n, width in zip(x.shape, widths, strict=True)])
    return _check.cast(np.pad(x.astype(dtype), widths, constant_values=dtype.type(number)), dtype)


@_check.quiet
def pad_backward(
    dy: np.ndarray, x: np.ndarray, pad_width: Any, value: float = 0.0, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """The part of ``dy`` that lies over ``x``."""
    op = "pad_backward"
    dtype, widths = _widths(op, "pad_width", pad_width, x=(x, None), dy=(dy, None))
    _check.real(op, "value", value)
    shape = tuple(n + sum(width) for n, width in zip(x.shape, widths, strict=True))
    _check.shape(op, "dy", dy, shape, "the padded shape")
    (want,) = _check.needs(op, needs, (True,))
    inner = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True))
    return (_check.cast(dy[inner], dtype) if want else None,)


@_check.quiet
def crop(x: np.ndarray, crop_width: Any) -> np.ndarray:
    """``x`` without its outer cells: ``crop_width`` is ((before, after), …) per axis or one int for all."""
    dtype, inner = _inner("crop", crop_width, x=(x, None))
    return _check.cast(x[inner], dtype)


@_check.quiet
def crop_backward(dy: np.ndarray, x: np.ndarray, crop_width: Any, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy`` with zeros where cells of ``x`` were cut off."""
    op = "crop_backward"
    dtype, inner = _inner(op, crop_width, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, x[inner].shape, "the cropped shape")
    (want,) = _check.needs(op, needs, (True,))
    dx = np.zeros(x.shape, dtype)
    dx[inner] = dy
    return (dx if want else None,)


def _inner(op: str, crop_width: Any, **named: Any) -> tuple[np.dtype, tuple[slice, ...]]:
    dtype, widths = _widths(op, "crop_width", crop_width, **named)
    extents = named["x"][0].shape
    if any(before + after >= n for n, (before, after) in zip(extents, widths, strict=True) if before or after):
        rule = "crop_width must leave cells"
        got = f"crop_width={crop_width}, x.shape={extents}"
        _check.fail(ValueError, op, rule, "before + after < extent on every axis", got, "Crop less.")
    return dtype, tuple(slice(before, n - after) for n, (before, after) in zip(extents, widths, strict=True))


def _widths(op: str, name: str, value: Any, **named: Any) -> tuple[np.dtype, list[tuple[int, int]]]:
    dtype = _check.arrays(op, **named)
    ndim = named["x"][0].ndim
    if not isinstance(value, (tuple, list, np.ndarray)):
        return dtype, [(_check.integer(op, name, value),) * 2] * ndim
    sides = _check.sequence(op, name, value, ndim, "pairs")
    return dtype, [_check.pair(op, name, side, 0) for side in sides]
