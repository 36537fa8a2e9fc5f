"""Pooling: the maximum, minimum, average or sum of every window."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from ._window import axes, effective, explicit
from ._windows import Axes, counts, gather, largest, spread, to_largest

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "min_pool2d",
    "min_pool2d_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
]

IMAGE = ("batch", "height", "width", "channels")


@_check.quiet
def max_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """``y[n,p,q,c] = max of x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c]`` over the taps (r, s) that meet the image.

    Args:
        x: images (N, H, W, C), float32 or float64.
        pool_size: window, int or (rows, columns).
        stride: int or pair; None means ``pool_size``.
        padding: int, pair, pair of pairs, "valid", "same" or "same_lower"; each pad smaller than the window.
        dilation: int or pair.
        ceil_mode: round the extent up; the last window still starts inside the image or its leading pad.

    Returns:
        (N, P, Q, C). NaN wins. Of equal values the gradient goes to the first in row-major order.

    Raises:
        TypeError, ValueError, MemoryError: for arguments of the wrong kind, value or size.

    Example:
        >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
        array([[ 5.,  7.],
               [13., 15.]])
    """
    dtype, window = _pool("max_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    best, _ = largest(x.astype(np.float64), window)
    return _check.cast(best, dtype)


@_check.quiet
def max_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dx,)``: each dy goes to the first largest cell of its window."""
    op = "max_pool2d_backward"
    dtype, window = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(to_largest(dy, x.astype(np.float64), window), dtype) if want else None,)


@_check.quiet
def min_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The smallest value of every window: ``−max_pool2d(−x)``; arguments as there."""
    dtype, window = _pool("min_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    best, _ = largest(-x.astype(np.float64), window)
    return _check.cast(-best, dtype)


@_check.quiet
def min_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dx,)``: each dy goes to the first smallest cell of its window."""
    op = "min_pool2d_backward"
    dtype, window = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(to_largest(dy, -x.astype(np.float64), window), dtype) if want else None,)


@_check.quiet
def avg_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> np.ndarray:
    """The mean of every window; arguments as in :func:`max_pool2d`.

    ``count_include_pad`` divides by the window's cells within the padded image instead of by its real cells.
    """
    dtype, window = _pool("avg_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    cells = counts(window, _check.flag("avg_pool2d", "count_include_pad", count_include_pad))
    return _check.cast(gather(x.astype(np.float64), window) / cells, dtype)


@_check.quiet
def avg_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dx,)``: every cell of a window gets ``dy / count``."""
    op = "avg_pool2d_backward"
    dtype, window = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    cells = counts(window, _check.flag(op, "count_include_pad", count_include_pad))
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(spread(dy / cells, x.shape, window), dtype) if want else None,)


@_check.quiet
def sum_pool2d(
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> np.ndarray:
    """The sum of every window; arguments as in :func:`max_pool2d`."""
    dtype, window = _pool("sum_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    return _check.cast(gather(x.astype(np.float64), window), dtype)


@_check.quiet
def sum_pool2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dx,)``: every cell of a window gets dy."""
    op = "sum_pool2d_backward"
    dtype, window = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(spread(dy.astype(np.float64), x.shape, window), dtype) if want else None,)


# --- what may be asked for ----------------------------------------------------------------------------------


def _pool(
    op: str, x: Any, pool_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, dy: Any = None
) -> tuple[np.dtype, Axes]:
    backward = op.endswith("_backward")
    dtype = _check.arrays(op, x=(x, IMAGE), **({"dy": (dy, IMAGE)} if backward else {}))
    window = _check.pair(op, "pool_size", pool_size, 1)
    step = window if stride is None else _check.pair(op, "stride", stride, 1)
    gaps = _check.pair(op, "dilation", dilation, 1)
    pads = explicit(op, padding)
    ceil_mode = _check.flag(op, "ceil_mode", ceil_mode)
    if pads is not None and any(max(pads[i]) >= effective(window[i], gaps[i]) for i in range(2)):
        got = f"padding={padding!r}, pool_size={pool_size!r}, dilation={dilation!r}"
        rule = "padding must be smaller than the window, or a window sees no real cell"
        _check.fail(ValueError, op, rule, "pad < dilation * (pool_size - 1) + 1", got, "Use less padding.")
    rows, cols = axes(op, "pool_size", x.shape[1:3], window, step, gaps, padding, ceil_mode)
    y_shape = (x.shape[0], rows.out, cols.out, x.shape[3])
    if backward:
        _check.shape(op, "dy", dy, y_shape, "the forward's result (batch, height, width, channels)")
    refuse_too_large(op, y_shape, y_shape, x.shape, x.shape)
    if not (rows.real_counts().all() and cols.real_counts().all()):
        got = f"x.shape={x.shape}, pool_size={pool_size!r}, padding={padding!r}, dilation={dilation!r}"
        _check.fail(
            ValueError,
            op,
            "a window sees no real cell",
            "at least one cell per window",
            got,
            "Use less padding.",
        )
    return dtype, (rows, cols)
