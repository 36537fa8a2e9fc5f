"""3-D convolution and pooling, as 2-D ones of the same numbers.

A convolution's taps along depth become channels (:mod:`fastconv.ops.depth`); what is left is a 2-D convolution of all
slices. A pooling is one over the pixels of every slice, then one over the slices.
"""

from __future__ import annotations

from typing import Any

from fastconv.graph import is_symbolic
from fastconv.ops import _devices, _numbers, pool
from fastconv.ops.conv import conv2d, conv2d_backward
from fastconv.ops.depth import unfold_depth, unfold_depth_backward
from fastconv.ops.registry import all_needs, apply, expect_rank, expect_shape
from fastconv.ops.shaping import reshape, transpose

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

_VOLUMES = "(N, D, H, W, C)"


def _judged(op: str, name: str, value: Any, axes: str = _VOLUMES) -> Any:
    """An array of rank 5, judged under its own name before it takes part in other ops."""
    if not is_symbolic(value):
        value = _devices.as_floats(op, name, getattr(value, "array", value))
    expect_rank(op, name, tuple(value.shape), 5, axes)
    return value


def _split_padding(op: str, padding: Any) -> tuple[Any, Any]:
    """What is padded along depth and what around slices."""
    if isinstance(padding, str):
        return padding, padding
    depth, height, width = _numbers.as_triple_pads(op, padding)
    return depth, (height, width)


def _as_slices(x: Any) -> Any:
    """(N, D, H, W, C) as images (N * D, H, W, C); the same memory."""
    n, depth, *image = x.shape
    return reshape(x, (n * depth, *image))


def _as_volumes(y: Any, n: int) -> Any:
    """Back again, of ``n`` volumes."""
    slices, *image = y.shape
    return reshape(y, (n, slices // n if n else 0, *image))


class _Convolution:
    """What both directions of a 3-D convolution need."""

    def __init__(self, w: Any, stride: Any, padding: Any, dilation: Any, groups: Any, activation: Any) -> None:
        depth_stride, *strides = _numbers.as_triple("conv3d", "stride", stride)
        depth_dilation, *dilations = _numbers.as_triple("conv3d", "dilation", dilation)
        along, around = _split_padding("conv3d", padding)
        groups = _numbers.as_int("conv3d", "groups", groups)
        self.taps, self.w_shape = w.shape[0], tuple(w.shape)
        self.depth = {"stride": depth_stride, "padding": along, "dilation": depth_dilation, "groups": groups}
        self.plane = {
            "stride": tuple(strides),
            "padding": around,
            "dilation": tuple(dilations),
            "groups": groups,
            "activation": activation,
        }
        self.flat = self.taps == 1 and depth_stride == 1 and along in ("valid", "same", "same_lower", (0, 0))

    def columns(self, x: Any) -> Any:
        """The windows along depth as channels of images."""
        return x if self.flat else unfold_depth(x, self.taps, **self.depth)

    def filters(self, w: Any) -> Any:
        """(T, R, S, C/groups, K) as (R, S, T * C/groups, K)."""
        t, r, s, c, k = w.shape
        return reshape(transpose(w, (1, 2, 0, 3, 4)), (r, s, t * c, k))

    def filter_gradient(self, dw: Any) -> Any:
        """The way back of :meth:`filters`."""
        t, r, s, c, k = self.w_shape
        return transpose(reshape(dw, (r, s, t, c, k)), (2, 0, 1, 3, 4))


def conv3d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    activation: str | None = None,
    out: Any = None,
) -> Any:
    """3-D cross-correlation: :func:`conv2d` with one axis more.

    Args:
        x: volumes (N, D, H, W, C), float32 or float64; on CUDA float32, float16 or bfloat16.
        w: filters (T, R, S, C // groups, K) of x's dtype.
        bias: (K,) or None; of x's dtype, but float32 where that has 16 bits.
        stride, dilation: int or (depth, height, width), >= 1.
        padding: int, three ints, three pairs (before, after), "valid", "same" or "same_lower".
        groups: channels are split into this many independent groups.
        activation: name of an activation that is applied to y in the same pass.
        out: optional preallocated result.

    Returns:
        y (N, O, P, Q, K), of x's dtype.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes. MemoryError: if y cannot be held.

    Numerics: those of :func:`conv2d` on T * C channels, which a copy of x holds, T times as large.
    """
    x, w = _judged("conv3d", "x", x), _judged("conv3d", "w", w, "(T, R, S, C // groups, K)")
    c = _Convolution(w, stride, padding, dilation, groups, activation)
    y = conv2d(_as_slices(c.columns(x)), c.filters(w), bias, **c.plane)
    n = x.shape[0]
    return reshape(y, (n, -1, *y.shape[1:]) if n else (0, c.columns(x).shape[1], *y.shape[1:]), out=out)


def conv3d_backward(
    dy: Any,
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    activation: str | None = None,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`conv3d`: ``(dx, dw, dbias)``, None where not needed."""
    wanted = all_needs("conv3d", needs, ("x", "w", "bias"), (True, True, bias is not None))
    dy, x, w = _judged("conv3d", "dy", dy), _judged("conv3d", "x", x), _judged("conv3d", "w", w, "(T, R, S, C, K)")
    c = _Convolution(w, stride, padding, dilation, groups, activation)
    columns = c.columns(x)
    expect_shape("conv3d", "dy", dy.shape[:2], columns.shape[:2])
    images = _as_slices(columns)
    dx, dw, dbias = conv2d_backward(_as_slices(dy), images, c.filters(w), bias, **c.plane, needs=wanted)
    if dx is not None:
        dx = reshape(dx, columns.shape)
        dx = dx if c.flat else unfold_depth_backward(dx, x, c.taps, **c.depth)[0]
    return dx, None if dw is None else c.filter_gradient(dw), dbias


class _Pooling:
    """A 3-D pooling as two 2-D ones: of the pixels of every slice, then of slices."""

    def __init__(self, kind: str, pool_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any) -> None:
        op = f"{kind}_pool3d"
        depth, *size = _numbers.as_triple(op, "pool_size", pool_size)
        depth_step, *step = (depth, *size) if stride is None else _numbers.as_triple(op, "stride", stride)
        depth_gap, *gap = _numbers.as_triple(op, "dilation", dilation)
        along, around = _split_padding(op, padding)
        along = along if isinstance(along, str) else (along, (0, 0))
        self.op = op
        self.pixels = pool.settings(kind, tuple(size), tuple(step), around, tuple(gap), ceil_mode)
        self.slices = pool.settings(kind, (depth, 1), (depth_step, 1), along, (depth_gap, 1), ceil_mode)

    def of_pixels(self, x: Any) -> Any:
        """(N, D, H, W, C) -> images (N * D, P, Q, C)."""
        return apply(pool.FORWARD, _as_slices(x), **self.pixels)

    def stacked(self, y: Any, x: Any) -> Any:
        """Images (N * D, P, Q, C) as (N, D, P * Q, C), whose rows are slices."""
        _, p, q, channels = y.shape
        return reshape(y, (*x.shape[:2], p * q, channels))


def _window_pool(kind: str) -> tuple[Any, Any]:
    def forward(
        x: Any,
        pool_size: Any = 2,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        out: Any = None,
    ) -> Any:
        p = _Pooling(kind, pool_size, stride, padding, dilation, ceil_mode)
        x = _judged(p.op, "x", x)
        images = p.of_pixels(x)
        y = apply(pool.FORWARD, p.stacked(images, x), **p.slices)
        return reshape(y, (*y.shape[:2], *images.shape[1:]), out=out)

    def gradient(
        dy: Any,
        x: Any,
        pool_size: Any = 2,
        *,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        needs: Any = None,
    ) -> tuple:
        p = _Pooling(kind, pool_size, stride, padding, dilation, ceil_mode)
        if not all_needs(p.op, needs, ("x",), (True,))[0]:
            return (None,)
        dy, x = _judged(p.op, "dy", dy), _judged(p.op, "x", x)
        images = p.of_pixels(x)
        stacked = p.stacked(images, x)
        expect_shape(p.op, "dy", dy.shape[2:], images.shape[1:])
        (d_stacked,) = pool.pool_backward(reshape(dy, (*dy.shape[:2], *stacked.shape[2:])), stacked, p.slices, None)
        (dx,) = pool.pool_backward(reshape(d_stacked, images.shape), _as_slices(x), p.pixels, None)
        return (reshape(dx, x.shape),)

    forward.__name__ = forward.__qualname__ = f"{kind}_pool3d"
    forward.__doc__ = f"""The {kind} of every window of volumes; :func:`{kind}_pool2d` with one axis more.

    Args:
        x: volumes (N, D, H, W, C), float32 or float64.
        pool_size: window, int or (depth, height, width).
        stride: int or three ints; None means pool_size.
        padding: int, three ints, three pairs, "valid", "same" or "same_lower"; smaller than the window.
        dilation: distance of neighbouring cells of a window; 1 means none.
        ceil_mode: keep a last, partial window that starts inside the volume or its leading pad.
        out: optional preallocated result.

    Returns:
        y (N, O, P, Q, C), of x's dtype.

    Numerics: padding never counts; of equal cells the first in row-major order wins; NaN wins.
    """
    gradient.__name__ = gradient.__qualname__ = f"{kind}_pool3d_backward"
    gradient.__doc__ = f"Gradient of :func:`{kind}_pool3d`: ``(dx,)`` for the cotangent ``dy`` of y's shape."
    return forward, gradient


max_pool3d, max_pool3d_backward = _window_pool("max")
min_pool3d, min_pool3d_backward = _window_pool("min")
avg_pool3d, avg_pool3d_backward = _window_pool("avg")
sum_pool3d, sum_pool3d_backward = _window_pool("sum")
