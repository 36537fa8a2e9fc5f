"""2-D pooling: maximum, minimum, average and sum over windows, and over whole images."""

from __future__ import annotations

import math
from typing import Any

from fastconv import _cpu
from fastconv.graph import is_symbolic
from fastconv.ops import _devices, _numbers
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_rank,
    expect_shape,
    register,
)
from fastconv.ops.shaping import countable, reshape

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "min_pool2d",
    "min_pool2d_backward",
    "repeat_pixels",
    "repeat_pixels_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
]


def _spec(dtype: str, x: Shape | None, a: dict[str, Any]) -> Any:
    return _cpu.Pool2dSpec.make(
        dtype,
        a["kind"],
        x,
        a["pool_size"],
        a["stride"],
        a["padding"],
        a["dilation"],
        a["ceil_mode"],
        a["count_include_pad"],
    )


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    spec = _spec(dtype, shapes[0], attrs)
    return Lowered(((spec.shape("y"), dtype),), (Call("pool2d_forward", spec, (0, 1, None)),))


def _lower_indexed(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    spec = _spec(dtype, shapes[0], attrs)
    outputs = ((spec.shape("y"), dtype), (spec.shape("index"), "uint8"))
    return Lowered(outputs, (Call("pool2d_forward", spec, (0, 1, 2)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    dy, x = shapes
    spec = _spec(dtype, x, attrs)
    expect_shape(f"{attrs['kind']}_pool2d", "dy", dy, spec.shape("y"))
    outputs = ((spec.shape("x"), dtype),)
    if not can_be_indexed(attrs):
        return Lowered(outputs, (Call("pool2d_backward", spec, (0, 1, 2)),))
    find = Call("pool2d_forward", spec, (1, None, 3))
    route = Call("pool2d_backward_from_index", spec, (0, 3, 2))
    return Lowered(outputs, (find, route), scratch=((spec.shape("index"), "uint8"),))


def _lower_backward_from_index(
    dtype: str, shapes: tuple[Shape | None, ...], *, x_shape: Shape, **attrs: Any
) -> Lowered:
    dy, index = shapes
    spec = _spec(dtype, x_shape, attrs)
    expect_shape(f"{attrs['kind']}_pool2d", "dy", dy, spec.shape("y"))
    tensors = (0, None if index is None else 1, 2)
    return Lowered(((spec.shape("x"), dtype),), (Call("pool2d_backward_from_index", spec, tensors),))


def can_be_indexed(attrs: dict[str, Any]) -> bool:
    """Whether one byte says which cell of a window is its maximum or minimum."""
    return attrs["kind"] in ("max", "min") and math.prod(attrs["pool_size"]) <= 256


def _gradient(g: Gradient) -> tuple[Any, ...]:
    (x,) = g.inputs
    if g.attrs["kind"] in ("max", "min"):
        return (apply(BACKWARD, g.dys[0], x, **g.attrs),)
    return (apply(BACKWARD_FROM_INDEX, g.dys[0], None, x_shape=tuple(x.shape), **g.attrs),)


FORWARD = register(OpDef("pool2d", ("x",), _lower_forward, _gradient, title="{kind}_pool2d"))
BACKWARD = register(OpDef("pool2d_backward", ("dy", "x"), _lower_backward, title="{kind}_pool2d_backward"))
# What plans make of the two: the forward keeps the winners' numbers, so that the gradient needs no x.
INDEXED = register(OpDef("pool2d_indexed", ("x",), _lower_indexed, title="{kind}_pool2d"))
BACKWARD_FROM_INDEX = register(
    OpDef(
        "pool2d_backward_from_index",
        ("dy", "index?"),
        _lower_backward_from_index,
        dtypes={"index": ("uint8",)},
        title="{kind}_pool2d_backward",
    )
)


def settings(
    kind: str,
    pool_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    count_include_pad: Any = False,
) -> dict[str, Any]:
    """What the public arguments are to the op."""
    op = f"{kind}_pool2d"
    size = _numbers.as_pair(op, "pool_size", pool_size)
    return {
        "kind": kind,
        "pool_size": size,
        "stride": size if stride is None else _numbers.as_pair(op, "stride", stride),
        "padding": _numbers.as_padding(op, padding),
        "dilation": _numbers.as_pair(op, "dilation", dilation),
        "ceil_mode": _numbers.as_bool(op, "ceil_mode", ceil_mode),
        "count_include_pad": _numbers.as_bool(op, "count_include_pad", count_include_pad),
    }


def pool_backward(dy: Any, x: Any, attrs: dict[str, Any], needs: Any) -> tuple:
    """``(dx,)`` of the pooling with these :func:`settings`."""
    return backward(FORWARD, dy, (x,), attrs, all_needs(f"{attrs['kind']}_pool2d", needs, ("x",), (True,)))


_ARGS = """
    Args:
        x: images (N, H, W, C), float32 or float64.
        pool_size: window, int or (height, width).
        stride: int or (height, width); None means pool_size.
        padding: int, (h, w), ((top, bottom), (left, right)), "valid", "same" or "same_lower"; smaller than the window.
        dilation: distance of neighbouring cells of a window; 1 means none.
        ceil_mode: keep a last, partial window that starts inside the image or its leading pad.
        out: optional preallocated result.

    Returns:
        y (N, P, Q, C) with ``P = (H + top + bottom - (pool_size - 1) * dilation - 1) // stride + 1`` (rounded up in
        ceil_mode); of x's dtype.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes.
"""
_NOTES = {
    "max": "Maximum over windows; padding never wins.\n{args}\n    Numerics: ties go to the first cell in row-major order; "
    "NaN wins.\n    ",
    "min": "Minimum over windows; padding never wins.\n{args}\n    Numerics: ties go to the first cell in row-major order; "
    "NaN wins.\n    ",
    "sum": "Sum over windows; padding counts as zero.\n{args}    ",
}


def _window_pool(kind: str) -> tuple[Any, Any]:
    """The public pair for a kind without further settings."""

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
        return apply(FORWARD, x, out=out, **settings(kind, pool_size, stride, padding, dilation, ceil_mode))

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
        return pool_backward(dy, x, settings(kind, pool_size, stride, padding, dilation, ceil_mode), needs)

    forward.__name__ = forward.__qualname__ = f"{kind}_pool2d"
    forward.__doc__ = _NOTES[kind].format(args=_ARGS)
    gradient.__name__ = gradient.__qualname__ = f"{kind}_pool2d_backward"
    gradient.__doc__ = f"Gradient of :func:`{kind}_pool2d`: ``(dx,)`` for the cotangent ``dy`` of y's shape."
    return forward, gradient


max_pool2d, max_pool2d_backward = _window_pool("max")
min_pool2d, min_pool2d_backward = _window_pool("min")
sum_pool2d, sum_pool2d_backward = _window_pool("sum")


def avg_pool2d(
    x: Any,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    out: Any = None,
) -> Any:
    """Average over windows; see :func:`max_pool2d` for the arguments.

    Args:
        count_include_pad: count padding cells (as zeros) in the divisor; cells that ceil_mode adds beyond the padding never
            count.
    """
    attrs = settings("avg", pool_size, stride, padding, dilation, ceil_mode, count_include_pad)
    return apply(FORWARD, x, out=out, **attrs)


def avg_pool2d_backward(
    dy: Any,
    x: Any,
    pool_size: Any = 2,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`avg_pool2d`: ``(dx,)`` for the cotangent ``dy`` of y's shape."""
    return pool_backward(
        dy, x, settings("avg", pool_size, stride, padding, dilation, ceil_mode, count_include_pad), needs
    )


def _global_attrs(kind: str, x: Any) -> tuple[dict[str, Any], int, int]:
    op = f"global_{kind}_pool2d"
    shape = x.shape if is_symbolic(x) else _devices.as_floats(op, "x", x).shape
    expect_rank(op, "x", shape, 4, "(N, H, W, C)")
    n, h, w, c = shape
    if min(h, w, c) < 1:
        raise ValueError(
            f"[{op}] x height, width and channels must be at least 1: expected only N = 0, got x.shape={tuple(shape)}. "
            "Check the layers before."
        )
    return settings(kind, (h, w), None, 0, 1, False), n, c


def global_max_pool2d(x: Any, *, out: Any = None) -> Any:
    """Maximum of each channel over the whole image: x (N, H, W, C) -> y (N, C)."""
    attrs, n, c = _global_attrs("max", x)
    return reshape(apply(FORWARD, x, **attrs), (n, c), out=out)


def global_max_pool2d_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`global_max_pool2d`: ``(dx,)``."""
    attrs, n, c = _global_attrs("max", x)
    return pool_backward(_as_one_window("global_max_pool2d", dy, n, c), x, attrs, needs)


def global_avg_pool2d(x: Any, *, out: Any = None) -> Any:
    """Average of each channel over the whole image: x (N, H, W, C) -> y (N, C)."""
    attrs, n, c = _global_attrs("avg", x)
    return reshape(apply(FORWARD, x, **attrs), (n, c), out=out)


def global_avg_pool2d_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`global_avg_pool2d`: ``(dx,)``."""
    attrs, n, c = _global_attrs("avg", x)
    return pool_backward(_as_one_window("global_avg_pool2d", dy, n, c), x, attrs, needs)


def _as_one_window(op: str, dy: Any, n: int, c: int) -> Any:
    if not is_symbolic(dy):
        dy = _devices.as_floats(op, "dy", dy)
    expect_shape(op, "dy", dy.shape, (n, c))
    return reshape(dy, (n, 1, 1, c))


def _lower_repeat(dtype: str, shapes: tuple[Shape | None, ...], *, size: tuple[int, int]) -> Lowered:
    (x,) = shapes
    assert x is not None
    expect_rank("repeat_pixels", "x", x, 4, "(N, H, W, C)")
    n, h, w, c = x
    spec = _spec(
        dtype, countable("repeat_pixels", (n, h * size[0], w * size[1], c)), settings("sum", size, size, 0, 1, False)
    )
    return Lowered(((spec.shape("x"), dtype),), (Call("pool2d_backward_from_index", spec, (0, None, 1)),))


def _repeat_gradient(g: Gradient) -> tuple[Any, ...]:
    n, h, w, c = g.inputs[0].shape
    rows, columns = g.attrs["size"]
    expect_shape("repeat_pixels", "dy", tuple(g.dys[0].shape), (n, h * rows, w * columns, c))
    return (apply(FORWARD, g.dys[0], **settings("sum", (rows, columns), None, 0, 1, False)),)


# What the gradient of a sum over windows does, side by side: every result goes to all cells of its window.
REPEAT = register(OpDef("repeat_pixels", ("x",), _lower_repeat, _repeat_gradient))


def _repeat_size(size: Any) -> tuple[int, int]:
    return _numbers.as_counts("repeat_pixels", "size", size)


def repeat_pixels(x: Any, size: Any, *, out: Any = None) -> Any:
    """Every pixel ``size`` times along height and width: nearest neighbours of a larger image.

    Args:
        x: images (N, H, W, C), float32 or float64; on CUDA float32, float16 or bfloat16.
        size: int or (height, width), >= 1.
        out: optional preallocated result.

    Returns:
        y (N, H * size[0], W * size[1], C), of x's dtype.
    """
    return apply(REPEAT, x, out=out, size=_repeat_size(size))


def repeat_pixels_backward(dy: Any, x: Any, size: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`repeat_pixels`: ``(dx,)``, the sums over repeated pixels."""
    wanted = all_needs("repeat_pixels", needs, ("x",), (True,))
    return backward(REPEAT, dy, (x,), {"size": _repeat_size(size)}, wanted)
