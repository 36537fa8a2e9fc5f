"""3-D convolution and pooling, straight from the sum over a window's taps."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from ._window import axes
from ._windows import Axes, correlate, correlate_weight, counts, gather, largest, scatter, spread, to_largest
from .by_name import activate, activate_backward, check_name
from .layout import VOLUME

__all__ = [
    "avg_pool3d",
    "avg_pool3d_backward",
    "conv3d",
    "conv3d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "min_pool3d",
    "min_pool3d_backward",
    "sum_pool3d",
    "sum_pool3d_backward",
]

_FILTER = ("kernel depth", "kernel height", "kernel width", "in channels", "out channels")


@_check.quiet
def conv3d(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """``y[n,o,p,q,k] = act(bias[k] + Σ x[n, o·sd−pd+t·dd, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[t,r,s,c,k])``.

    Args:
        x: volumes (N, D, H, W, C).
        w: filters (T, R, S, C/groups, K).
        bias: (K,) or None.
        stride, dilation: int or (depth, rows, columns).
        padding: int, three ints, three pairs, "valid", "same" or "same_lower".

    Returns:
        (N, O, P, Q, K).
    """
    dtype, window = _conv("conv3d", x, w, bias, stride, padding, dilation, groups, activation)
    z = correlate(x.astype(np.float64), w.astype(np.float64), window, groups)
    return _check.cast(activate(z if bias is None else z + bias.astype(np.float64), activation), dtype)


@_check.quiet
def conv3d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """Gradients ``(dx, dw, dbias)`` of ``Σ dy · conv3d(x, w, bias, …)``."""
    op = "conv3d_backward"
    dtype, window = _conv(op, x, w, bias, stride, padding, dilation, groups, activation, dy=dy)
    want = _check.needs(op, needs, (True, True, bias is not None))
    x64, w64, dz = x.astype(np.float64), w.astype(np.float64), dy.astype(np.float64)
    if activation is not None:
        z = correlate(x64, w64, window, groups)
        dz = activate_backward(dz, z if bias is None else z + bias, activation)
    return (
        _check.cast(scatter(dz, w64, window, groups), dtype) if want[0] else None,
        _check.cast(correlate_weight(x64, dz, w.shape, window, groups), dtype) if want[1] else None,
        _check.cast(dz.sum(axis=(0, 1, 2, 3)), dtype) if want[2] else None,
    )


def _pool3d(kind: str) -> tuple[Any, Any]:
    """The pair of functions for one kind of pooling."""
    sign = -1.0 if kind == "min" else 1.0

    @_check.quiet
    def forward(
        x: np.ndarray,
        pool_size: Any = 2,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> np.ndarray:
        dtype, window = _pool(f"{kind}_pool3d", x, pool_size, stride, padding, dilation, ceil_mode)
        x64 = x.astype(np.float64)
        if kind in ("max", "min"):
            return _check.cast(sign * largest(sign * x64, window)[0], dtype)
        y = gather(x64, window)
        return _check.cast(y / counts(window) if kind == "avg" else y, dtype)

    @_check.quiet
    def backward(
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
        op = f"{kind}_pool3d_backward"
        dtype, window = _pool(op, x, pool_size, stride, padding, dilation, ceil_mode, dy=dy)
        (want,) = _check.needs(op, needs, (True,))
        dy64 = dy.astype(np.float64)
        if kind in ("max", "min"):
            dx = to_largest(dy64, sign * x.astype(np.float64), window)
        else:
            dx = spread(dy64 / counts(window) if kind == "avg" else dy64, x.shape, window)
        return (_check.cast(dx, dtype) if want else None,)

    forward.__name__ = f"{kind}_pool3d"
    forward.__doc__ = (
        f"The {kind} of every window of volumes (N, D, H, W, C); padding does not count, ties go to the first."
    )
    backward.__name__ = f"{kind}_pool3d_backward"
    backward.__doc__ = f"``(dx,)`` of ``Σ dy · {kind}_pool3d(x, …)``."
    return forward, backward


max_pool3d, max_pool3d_backward = _pool3d("max")
min_pool3d, min_pool3d_backward = _pool3d("min")
avg_pool3d, avg_pool3d_backward = _pool3d("avg")
sum_pool3d, sum_pool3d_backward = _pool3d("sum")


# --- what may be asked for ----------------------------------------------------------------------------------


def _triple(op: str, name: str, value: Any, low: int) -> tuple[int, int, int]:
    if not isinstance(value, (tuple, list)) and np.ndim(value) == 0:
        return (_check.integer(op, name, value, low),) * 3
    a, b, c = (_check.integer(op, name, item, low, given=value) for item in _check.sequence(op, name, value, 3))
    return a, b, c


def _window(
    op: str, what: str, x: Any, sizes: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False
) -> Axes:
    pads: Any = (padding,) * 3
    if not isinstance(padding, str):
        sides = padding if isinstance(padding, (tuple, list)) else (padding,) * 3
        pads = [
            _check.pair(op, "padding", side, 0) for side in _check.sequence(op, "padding", sides, 3, "ints or pairs")
        ]
    found = []
    for i in range(3):
        pad = pads[i] if isinstance(pads[i], str) else (pads[i], (0, 0))
        axis, _ = axes(op, what, (x.shape[1 + i], 1), (sizes[i], 1), (stride[i], 1), (dilation[i], 1), pad, ceil)
        found.append(axis)
    return found


def _conv(
    op: str,
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    activation: Any,
    dy: Any = None,
) -> tuple[np.dtype, Axes]:
    named = {"x": (x, VOLUME), "w": (w, _FILTER), "bias": (bias, ("out channels",)), "dy": (dy, VOLUME)}
    dtype = _check.arrays(op, **{name: pair for name, pair in named.items() if pair[0] is not None})
    groups = _check.integer(op, "groups", groups, 1)
    check_name(op, activation)
    if x.shape[4] % groups or w.shape[3] != x.shape[4] // groups or w.shape[4] % groups:
        got = f"w.shape={w.shape}, x.shape={x.shape}, groups={groups}"
        _check.fail(ValueError, op, "w must fit x and groups", "w (T, R, S, C/groups, K)", got, "Reshape w.")
    if bias is not None:
        _check.shape(op, "bias", bias, (w.shape[4],), "the out channels of w")
    steps, gaps = _triple(op, "stride", stride, 1), _triple(op, "dilation", dilation, 1)
    window = _window(op, "kernel", x, w.shape[:3], steps, padding, gaps)
    y_shape = (x.shape[0], *(axis.out for axis in window), w.shape[4])
    if dy is not None:
        _check.shape(op, "dy", dy, y_shape, "the forward's result")
    refuse_too_large(op, y_shape, x.shape, w.shape)
    return dtype, window


def _pool(
    op: str, x: Any, pool_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, dy: Any = None
) -> tuple[np.dtype, Axes]:
    dtype = _check.arrays(op, x=(x, VOLUME), **({} if dy is None else {"dy": (dy, VOLUME)}))
    sizes = _triple(op, "pool_size", pool_size, 1)
    steps = sizes if stride is None else _triple(op, "stride", stride, 1)
    gaps = _triple(op, "dilation", dilation, 1)
    window = _window(op, "pool_size", x, sizes, steps, padding, gaps, _check.flag(op, "ceil_mode", ceil_mode))
    y_shape = (x.shape[0], *(axis.out for axis in window), x.shape[4])
    if dy is not None:
        _check.shape(op, "dy", dy, y_shape, "the forward's result")
    refuse_too_large(op, y_shape, x.shape)
    if not all(axis.real_counts().all() for axis in window):
        got = f"x.shape={x.shape}, pool_size={pool_size!r}, padding={padding!r}"
        _check.fail(ValueError, op, "a window sees no real cell", "at least one cell per window", got, "Pad less.")
    return dtype, window
