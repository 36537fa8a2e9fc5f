"""Ops that move cells without arithmetic: reshape, flatten, transpose, concatenate, and one that moves gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    shape_of,
)

__all__ = [
    "concatenate",
    "concatenate_backward",
    "flatten",
    "flatten_backward",
    "reshape",
    "reshape_backward",
    "straight_through",
    "straight_through_backward",
    "transpose",
    "transpose_backward",
]


def _lower_reshape(dtype: str, shapes: tuple[Shape | None, ...], *, shape: Shape) -> Lowered:
    (x,) = shapes
    assert x is not None
    size = math.prod(x)
    free = [i for i, extent in enumerate(shape) if extent == -1]
    known = math.prod(extent for extent in shape if extent != -1)
    fits = len(free) <= 1 and all(extent >= -1 for extent in shape)
    fits = fits and (size == known if not free else known > 0 and size % known == 0)
    if not fits:
        raise ValueError(
            f"[reshape] shape must hold as many cells as x: expected {size} cells (one extent may be -1), got shape={shape}, "
            f"x.shape={x}. Count the cells of x."
        )
    resolved = tuple(size // known if extent == -1 else extent for extent in shape)
    return Lowered(((resolved, dtype),), view_of=0)


RESHAPE: OpDef = register(
    OpDef(
        "reshape",
        ("x",),
        _lower_reshape,
        lambda g: (apply(RESHAPE, g.dys[0], shape=tuple(g.inputs[0].shape)),),
    )
)


def _as_shape(op: str, shape: Any) -> Shape:
    if not isinstance(shape, (tuple, list)):
        return (_numbers.as_int(op, "shape", shape),)
    return tuple(_numbers.as_int(op, "shape", extent) for extent in shape)


def reshape(x: Any, shape: Any, *, out: Any = None) -> Any:
    """``x`` with other extents, cells in row-major order.

    Args:
        x: float32 or float64 array.
        shape: new extents; one may be -1.
        out: optional preallocated result.

    Returns:
        A new array (in a plan: the same memory).
    """
    return apply(RESHAPE, x, out=out, shape=_as_shape("reshape", shape))


def reshape_backward(dy: Any, x: Any, shape: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`reshape`: ``(dx,)``."""
    return backward(
        RESHAPE,
        dy,
        (x,),
        {"shape": _as_shape("reshape", shape)},
        all_needs("reshape", needs, ("x",), (True,)),
    )


def _lower_straight_through(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
    x, value = shapes
    expect_shape("straight_through", "value", value, x or ())
    return Lowered(((x or (), dtype),), view_of=1)


STRAIGHT_THROUGH: OpDef = register(
    OpDef("straight_through", ("x", "value"), _lower_straight_through, lambda g: (g.dys[0], None))
)


def straight_through(x: Any, value: Any, *, out: Any = None) -> Any:
    """``value``, whose gradient goes to ``x`` as if it were x, past all that made value of x (Bengio et al. 2013).

    Args:
        x, value: float32 or float64 arrays of one shape.
        out: optional preallocated result.

    Returns:
        A new array (in a plan: value's memory).
    """
    return apply(STRAIGHT_THROUGH, x, value, out=out)


def straight_through_backward(dy: Any, x: Any, value: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`straight_through`: ``(dy, None)``."""
    wanted = all_needs("straight_through", needs, ("x", "value"), (True, False))
    return backward(STRAIGHT_THROUGH, dy, (x, value), {}, wanted)


def _flat_shape(x: Any) -> Shape:
    shape = shape_of("flatten", "x", x)
    if not shape:
        raise ValueError("[flatten] x must have a batch axis: expected x.ndim >= 1, got x.shape=(). Use reshape.")
    return (shape[0], math.prod(shape[1:]))


def flatten(x: Any, *, out: Any = None) -> Any:
    """x (N, ...) -> y (N, cells per sample), cells in row-major order."""
    return apply(RESHAPE, x, out=out, shape=_flat_shape(x))


def flatten_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`flatten`: ``(dx,)``."""
    return backward(RESHAPE, dy, (x,), {"shape": _flat_shape(x)}, all_needs("flatten", needs, ("x",), (True,)))


def _lower_transpose(dtype: str, shapes: tuple[Shape | None, ...], *, axes: Shape) -> Lowered:
    spec = _cpu.TransposeSpec.make(dtype, shapes[0], axes)
    return Lowered(((spec.shape("y"), dtype),), (Call("transpose_axes", spec, (0, 1)),))


def _transpose_gradient(g: Gradient) -> tuple[Any, ...]:
    axes, x = g.attrs["axes"], g.inputs[0].shape
    expect_shape("transpose", "dy", tuple(g.dys[0].shape), tuple(x[axis] for axis in axes))
    return (apply(TRANSPOSE, g.dys[0], axes=tuple(axes.index(i) for i in range(len(axes)))),)


TRANSPOSE: OpDef = register(OpDef("transpose", ("x",), _lower_transpose, _transpose_gradient))


def _as_axes(x: Any, axes: Any) -> Shape:
    rank = len(shape_of("transpose", "x", x))
    if axes is None:
        return tuple(range(rank))[::-1]
    return tuple(axis + rank if -rank <= axis < 0 else axis for axis in _as_shape("transpose", axes))


def transpose(x: Any, axes: Any = None, *, out: Any = None) -> Any:
    """``x`` with its axes in another order: axis k of the result is axis ``axes[k]`` of x.

    Args:
        x: float32 or float64 array.
        axes: every axis once, negative ones count from the end; None reverses them.
        out: optional preallocated result.

    Returns:
        A new array, C-contiguous.

    Raises:
        ValueError: if ``axes`` is no permutation.
    """
    return apply(TRANSPOSE, x, out=out, axes=_as_axes(x, axes))


def transpose_backward(dy: Any, x: Any, axes: Any = None, *, needs: Any = None) -> tuple:
    """Gradient of :func:`transpose`: ``(dx,)``, dy with its axes back in place."""
    return backward(TRANSPOSE, dy, (x,), {"axes": _as_axes(x, axes)}, all_needs("transpose", needs, ("x",), (True,)))


def _at(rank: int, axis: int, start: int) -> Shape:
    return tuple(start if i == axis else 0 for i in range(rank))


def _concatenated_shape(shapes: Sequence[Shape | None], axis: int) -> Shape:
    first = shapes[0]
    assert first is not None
    if not -len(first) <= axis < len(first):
        raise ValueError(
            f"[concatenate] axis must name one of the {len(first)} axes: expected {-len(first)} <= axis < {len(first)}, got "
            f"axis={axis}. Use one of them."
        )
    axis %= len(first)
    total = 0
    for i, shape in enumerate(shapes):
        assert shape is not None
        if len(shape) != len(first) or any(shape[k] != first[k] for k in range(len(first)) if k != axis):
            raise ValueError(
                f"[concatenate] arrays must agree on every axis but {axis}: expected the shape of arrays[0] {first}, got "
                f"arrays[{i}].shape={shape}. Pad or crop it."
            )
        total += shape[axis]
    return countable("concatenate", tuple(total if k == axis else extent for k, extent in enumerate(first)))


def _lower_concatenate(dtype: str, shapes: tuple[Shape | None, ...], *, axis: int) -> Lowered:
    y = _concatenated_shape(shapes, axis)
    rank, axis = len(y), axis % len(y)
    calls, start = [], 0
    for i, x in enumerate(shapes):
        assert x is not None
        spec = _cpu.BoxSpec.make(dtype, "concatenate", x, y, (0,) * rank, _at(rank, axis, start), x)
        calls.append(Call("box_copy", spec, (i, len(shapes))))
        start += x[axis]
    return Lowered(((y, dtype),), tuple(calls))


def _lower_split(dtype: str, shapes: tuple[Shape | None, ...], *, axis: int, parts: tuple[Shape, ...]) -> Lowered:
    (dy,) = shapes
    assert dy is not None
    expect_shape("concatenate", "dy", dy, _concatenated_shape(parts, axis))
    rank, axis = len(dy), axis % len(dy)
    calls, start = [], 0
    for i, part in enumerate(parts):
        spec = _cpu.BoxSpec.make(dtype, "concatenate", dy, part, _at(rank, axis, start), (0,) * rank, part)
        calls.append(Call("box_copy", spec, (0, 1 + i)))
        start += part[axis]
    return Lowered(tuple((part, dtype) for part in parts), tuple(calls))


def _concatenate_gradient(g: Gradient) -> tuple[Any, ...]:
    parts = tuple(tuple(x.shape) for x in g.inputs)
    result = apply(SPLIT, g.dys[0], axis=g.attrs["axis"], parts=parts)
    return result if isinstance(result, tuple) else (result,)


CONCATENATE = register(OpDef("concatenate", ("*arrays",), _lower_concatenate, _concatenate_gradient))
SPLIT = register(OpDef("concatenate_backward", ("dy",), _lower_split))


def _as_arrays(arrays: Any) -> tuple[Any, ...]:
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise TypeError(
            f"[concatenate] arrays must be a list or tuple of at least one array: expected a list, got {type(arrays).__name__} "
            f"of length {len(arrays) if isinstance(arrays, (tuple, list)) else 'unknown'}. Pass [a, b]."
        )
    return tuple(arrays)


def concatenate(arrays: Any, axis: int = -1, *, out: Any = None) -> Any:
    """The arrays one after another along ``axis``.

    Args:
        arrays: list of arrays of one dtype that agree on every other axis.
        axis: which axis grows; negative counts from the end.
        out: optional preallocated result.
    """
    return apply(CONCATENATE, *_as_arrays(arrays), out=out, axis=_numbers.as_int("concatenate", "axis", axis))


def concatenate_backward(dy: Any, arrays: Any, axis: int = -1, *, needs: Any = None) -> tuple:
    """Gradient of :func:`concatenate`: a tuple with dy's part for each array."""
    inputs = _as_arrays(arrays)
    attrs = {"axis": _numbers.as_int("concatenate", "axis", axis)}
    names = [f"arrays[{i}]" for i in range(len(inputs))]
    return backward(CONCATENATE, dy, inputs, attrs, all_needs("concatenate", needs, names, (True,) * len(inputs)))


_MAX_EXTENT = 2**62  # what a spec can still count with; memory ends long before


def countable(op: str, shape: Shape) -> Shape:
    """``shape``, or ValueError if no spec can count it."""
    if max(shape, default=0) > _MAX_EXTENT:
        raise ValueError(
            f"[{op}] the result is too large: expected extents up to {_MAX_EXTENT}, got shape {shape}. Use smaller ones."
        )
    return shape
