"""Cells in other places: permuted axes, and the taps of a window along depth side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from ._window import Axis, axes

__all__ = [
    "fold_depth",
    "fold_depth_backward",
    "transpose",
    "transpose_backward",
    "unfold_depth",
    "unfold_depth_backward",
]

VOLUME = ("batch", "depth", "height", "width", "channels")


@_check.quiet
def transpose(x: np.ndarray, axes: Any = None) -> np.ndarray:
    """``numpy.transpose``: axis k of the result is axis ``axes[k]`` of x; None reverses them."""
    dtype, order = _transpose("transpose", axes, x=(x, None))
    return _check.cast(np.transpose(x, order), dtype)


@_check.quiet
def transpose_backward(
    dy: np.ndarray, x: np.ndarray, axes: Any = None, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy with the axes back where they were."""
    op = "transpose_backward"
    dtype, order = _transpose(op, axes, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, tuple(x.shape[axis] for axis in order), "the transposed shape")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(np.transpose(dy, np.argsort(order)), dtype) if want else None,)


def _transpose(op: str, axes: Any, **named: Any) -> tuple[np.dtype, tuple[int, ...]]:
    dtype = _check.arrays(op, **named)
    ndim = named["x"][0].ndim
    if axes is None:
        return dtype, tuple(range(ndim))[::-1]
    given = _check.sequence(op, "axes", axes, ndim)
    order = tuple(_check.integer(op, "axes", axis, -ndim, given=axes, high=ndim - 1) % ndim for axis in given)
    if sorted(order) != list(range(ndim)):
        _check.fail(
            ValueError, op, "axes must name every axis once", f"a permutation of {ndim}", f"{axes}", "List all."
        )
    return dtype, order


@_check.quiet
def unfold_depth(
    x: np.ndarray, taps: int, *, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1
) -> np.ndarray:
    """``y[n,p,h,w,(g,t,c)] = x[n, p·stride−before+t·dilation, h, w, (g,c)]``, 0 outside: a window's slices as channels.

    Args:
        x: volumes (N, D, H, W, C).
        taps, stride, dilation: of the window along depth.
        padding: int, (before, after), "valid", "same" or "same_lower".
        groups: divides C; the taps of a group of channels lie together.

    Returns:
        (N, P, H, W, taps · C).
    """
    dtype, depth, _ = _depth("unfold_depth", x.shape, taps, stride, padding, dilation, groups, x=(x, VOLUME))
    return _check.cast(_unfold(x, depth, groups), dtype)


@_check.quiet
def unfold_depth_backward(
    dy: np.ndarray,
    x: np.ndarray,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dx,)``: every slice's sum over the windows that have it."""
    op = "unfold_depth_backward"
    named = {"x": (x, VOLUME), "dy": (dy, VOLUME)}
    dtype, depth, folded = _depth(op, x.shape, taps, stride, padding, dilation, groups, **named)
    _check.shape(op, "dy", dy, folded, "the forward's result")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_fold(dy, x.shape, depth, groups), dtype) if want else None,)


@_check.quiet
def fold_depth(
    columns: np.ndarray,
    depth: int,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
) -> np.ndarray:
    """The adjoint of :func:`unfold_depth`: what it makes of volumes ``depth`` slices deep, added up again.

    Args:
        columns: (N, P, H, W, taps · C).
        depth: slices of the result.

    Returns:
        (N, depth, H, W, C).
    """
    dtype, shape, axis = _folded("fold_depth", depth, taps, stride, padding, dilation, groups, x=(columns, VOLUME))
    return _check.cast(_fold(columns, shape, axis, groups), dtype)


@_check.quiet
def fold_depth_backward(
    dy: np.ndarray,
    columns: np.ndarray,
    depth: int,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    needs: Any = None,
) -> tuple[np.ndarray | None]:
    """``(dcolumns,)``: dy unfolded."""
    op = "fold_depth_backward"
    named = {"x": (columns, VOLUME), "dy": (dy, VOLUME)}
    dtype, shape, axis = _folded(op, depth, taps, stride, padding, dilation, groups, **named)
    _check.shape(op, "dy", dy, shape, "the forward's result")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_unfold(dy, axis, groups), dtype) if want else None,)


def _unfold(x: np.ndarray, depth: Axis, groups: int) -> np.ndarray:
    n, _, h, w, c = x.shape
    y = np.zeros((n, depth.out, h, w, groups, depth.window, c // groups))
    by_group = x.reshape(*x.shape[:4], groups, c // groups)
    for t, outputs, inputs in depth.taps():
        y[:, outputs, :, :, :, t] = by_group[:, inputs]
    return y.reshape(n, depth.out, h, w, -1 if y.size else depth.window * c)


def _fold(columns: np.ndarray, shape: tuple[int, ...], depth: Axis, groups: int) -> np.ndarray:
    x = np.zeros((*shape[:4], groups, shape[4] // groups))
    by_tap = columns.reshape(*columns.shape[:4], groups, depth.window, shape[4] // groups)
    for t, outputs, inputs in depth.taps():
        x[:, inputs] += by_tap[:, outputs, :, :, :, t]
    return x.reshape(shape)


def _depth(
    op: str, shape: Any, taps: Any, stride: Any, padding: Any, dilation: Any, groups: Any, **named: Any
) -> tuple[np.dtype, Axis, tuple[int, ...]]:
    """dtype, the axis along depth, and the unfolded shape."""
    dtype = _check.arrays(op, **named)
    taps, stride, dilation, groups = (
        _check.integer(op, name, value, 1)
        for name, value in (("taps", taps), ("stride", stride), ("dilation", dilation), ("groups", groups))
    )
    n, extent, h, w, c = shape
    if c % groups:
        _check.fail(
            ValueError, op, "groups must divide the channels", "C % groups == 0", f"{groups=}, {c=}", "Change it."
        )
    pads = padding if isinstance(padding, str) else (_pads(op, padding), (0, 0))
    depth, _ = axes(op, "taps", (extent, 1), (taps, 1), (stride, 1), (dilation, 1), pads)
    refuse_too_large(op, (n, depth.out, h, w, taps * c), shape)
    return dtype, depth, (n, depth.out, h, w, taps * c)


def _pads(op: str, padding: Any) -> tuple[int, int]:
    before, after = _check.pair(op, "padding", padding, 0)
    return before, after


def _folded(
    op: str, depth: Any, taps: Any, stride: Any, padding: Any, dilation: Any, groups: Any, **named: Any
) -> tuple[np.dtype, tuple[int, ...], Axis]:
    dtype = _check.arrays(op, **named)
    columns = named["x"][0]
    taps, extent = _check.integer(op, "taps", taps, 1), _check.integer(op, "depth", depth, 1)
    n, _, h, w, channels = columns.shape
    if channels % taps:
        got = f"taps={taps}, columns.shape={columns.shape}"
        _check.fail(
            ValueError, op, "taps must divide the channels of columns", "channels % taps == 0", got, "Change it."
        )
    shape = (n, extent, h, w, channels // taps)
    _, axis, unfolded = _depth(op, shape, taps, stride, padding, dilation, groups, **named)
    _check.shape(op, "columns", columns, unfolded, "what unfolding that depth gives")
    return dtype, shape, axis
