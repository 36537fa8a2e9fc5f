"""Pooling: the maximum, minimum, average or sum of every window."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from ._window import Axis, axes, effective, explicit

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
    dtype, rows, cols = _pool("max_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    best, _ = _first_best(x.astype(np.float64), rows, cols)
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
    dtype, rows, cols = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_to_first_best(dy, x.astype(np.float64), rows, cols), dtype) if want else None,)


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
    dtype, rows, cols = _pool("min_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    best, _ = _first_best(-x.astype(np.float64), rows, cols)
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
    dtype, rows, cols = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_to_first_best(dy, -x.astype(np.float64), rows, cols), dtype) if want else None,)


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
    dtype, rows, cols = _pool("avg_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    counts = _counts(rows, cols, _check.flag("avg_pool2d", "count_include_pad", count_include_pad))
    return _check.cast(_sum(x.astype(np.float64), rows, cols) / counts, dtype)


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
    dtype, rows, cols = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    counts = _counts(rows, cols, _check.flag(op, "count_include_pad", count_include_pad))
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_spread(dy / counts, x.shape, rows, cols), dtype) if want else None,)


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
    dtype, rows, cols = _pool("sum_pool2d", x, pool_size, stride, padding, dilation, ceil_mode)
    return _check.cast(_sum(x.astype(np.float64), rows, cols), dtype)


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
    dtype, rows, cols = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_spread(dy.astype(np.float64), x.shape, rows, cols), dtype) if want else None,)


# --- windows, in float64 ------------------------------------------------------------------------------------


def _taps(rows: Axis, cols: Axis) -> list:
    """Every tap that meets the image, numbered in row-major order."""
    pairs = itertools.product(rows.taps(), cols.taps())
    return [(i, (slice(None), p, q), (slice(None), h, v)) for i, ((_, p, h), (_, q, v)) in enumerate(pairs)]


def _first_best(x: np.ndarray, rows: Axis, cols: Axis) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of every window and the number of the first tap that has it; NaN beats all."""
    best = np.full((x.shape[0], rows.out, cols.out, x.shape[3]), -np.inf)
    winner = np.full(best.shape, -1)
    for i, outputs, inputs in _taps(rows, cols):
        value, held = x[inputs], best[outputs]
        # winner < 0 lets the first real cell win even when it is -inf: a pad must never get the gradient.
        wins = (value > held) | (np.isnan(value) & ~np.isnan(held)) | (winner[outputs] < 0)
        best[outputs] = np.where(wins, value, held)
        winner[outputs] = np.where(wins, i, winner[outputs])
    return best, winner


def _to_first_best(dy: np.ndarray, x: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    _, winner = _first_best(x, rows, cols)
    dx = np.zeros(x.shape)
    for i, outputs, inputs in _taps(rows, cols):
        dx[inputs] += np.where(winner[outputs] == i, dy[outputs], 0.0)
    return dx


def _sum(x: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    y = np.zeros((x.shape[0], rows.out, cols.out, x.shape[3]))
    for _, outputs, inputs in _taps(rows, cols):
        y[outputs] += x[inputs]
    return y


def _spread(dy: np.ndarray, shape: tuple[int, ...], rows: Axis, cols: Axis) -> np.ndarray:
    dx = np.zeros(shape)
    for _, outputs, inputs in _taps(rows, cols):
        dx[inputs] += dy[outputs]
    return dx


def _counts(rows: Axis, cols: Axis, include_pad: bool) -> np.ndarray:
    """Cells to divide by, (P, Q, 1), in float64."""
    down, across = (axis.padded_counts() if include_pad else axis.real_counts() for axis in (rows, cols))
    return np.outer(down, across).astype(np.float64)[:, :, None]


# --- what may be asked for ----------------------------------------------------------------------------------


def _pool(
    op: str, x: Any, pool_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, dy: Any = None
) -> tuple[np.dtype, Axis, Axis]:
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
    return dtype, rows, cols
