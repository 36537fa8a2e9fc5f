"""Ops that add or remove cells at the ends of axes: pad, crop. Each is the other's gradient."""

from __future__ import annotations

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
from fastconv.ops.shaping import countable

__all__ = ["crop", "crop_backward", "pad", "pad_backward"]

Widths = tuple[tuple[int, int], ...]


def _padded_shape(x: Shape, widths: Widths) -> Shape:
    if len(widths) != len(x) or any(w < 0 for pair in widths for w in pair):
        raise ValueError(
            f"[pad] pad_width must give (before, after) >= 0 for every axis: expected {len(x)} pairs, got pad_width={widths}, "
            f"x.shape={x}. Give one pair per axis."
        )
    return countable("pad", tuple(extent + before + after for extent, (before, after) in zip(x, widths, strict=True)))


def _cropped_shape(x: Shape, widths: Widths) -> Shape:
    fits = len(widths) == len(x) and all(
        pair == (0, 0) or (min(pair) >= 0 and sum(pair) < extent) for extent, pair in zip(x, widths, strict=True)
    )
    if not fits:
        raise ValueError(
            f"[crop] crop_width must give (before, after) >= 0 for every axis and leave cells: expected {len(x)} pairs with "
            f"before + after < extent, got crop_width={widths}, x.shape={x}. Crop less."
        )
    return tuple(extent - before - after for extent, (before, after) in zip(x, widths, strict=True))


def _lower_pad(dtype: str, shapes: tuple[Shape | None, ...], *, widths: Widths, value: float) -> Lowered:
    (x,) = shapes
    assert x is not None
    y = _padded_shape(x, widths)
    starts = tuple(before for before, _ in widths)
    copy = _cpu.BoxSpec.make(dtype, "pad", x, y, (0,) * len(x), starts, x)
    fill = _cpu.FillSpec.make(dtype, y, value)
    return Lowered(((y, dtype),), (Call("fill", fill, (1,)), Call("box_copy", copy, (0, 1))))


def _lower_crop(dtype: str, shapes: tuple[Shape | None, ...], *, widths: Widths) -> Lowered:
    (x,) = shapes
    assert x is not None
    y = _cropped_shape(x, widths)
    starts = tuple(before for before, _ in widths)
    spec = _cpu.BoxSpec.make(dtype, "crop", x, y, starts, (0,) * len(x), y)
    return Lowered(((y, dtype),), (Call("box_copy", spec, (0, 1)),))


def _pad_gradient(g: Gradient) -> tuple[Any, ...]:
    widths = g.attrs["widths"]
    expect_shape("pad", "dy", tuple(g.dys[0].shape), _padded_shape(tuple(g.inputs[0].shape), widths))
    return (apply(CROP, g.dys[0], widths=widths),)


def _crop_gradient(g: Gradient) -> tuple[Any, ...]:
    widths = g.attrs["widths"]
    expect_shape("crop", "dy", tuple(g.dys[0].shape), _cropped_shape(tuple(g.inputs[0].shape), widths))
    return (apply(PAD, g.dys[0], widths=widths, value=0.0),)


PAD: OpDef = register(OpDef("pad", ("x",), _lower_pad, _pad_gradient))
CROP: OpDef = register(OpDef("crop", ("x",), _lower_crop, _crop_gradient))


def _as_widths(op: str, name: str, x: Any, value: Any) -> Widths:
    if not isinstance(value, (tuple, list)):
        value = (value,) * len(shape_of(op, "x", x))
    return tuple(_numbers.as_pair(op, name, pair) for pair in value)


def _pad_attrs(x: Any, pad_width: Any, value: Any) -> dict[str, Any]:
    return {"widths": _as_widths("pad", "pad_width", x, pad_width), "value": _numbers.as_float("pad", "value", value)}


def pad(x: Any, pad_width: Any, value: float = 0.0, *, out: Any = None) -> Any:
    """``x`` with constant cells around it.

    Args:
        x: float32 or float64 array.
        pad_width: an int, or for every axis an int or (before, after).
        value: what the new cells hold.
        out: optional preallocated result.
    """
    return apply(PAD, x, out=out, **_pad_attrs(x, pad_width, value))


def pad_backward(dy: Any, x: Any, pad_width: Any, value: float = 0.0, *, needs: Any = None) -> tuple:
    """Gradient of :func:`pad`: ``(dx,)``, dy without the padding."""
    return backward(PAD, dy, (x,), _pad_attrs(x, pad_width, value), all_needs("pad", needs, ("x",), (True,)))


def crop(x: Any, crop_width: Any, *, out: Any = None) -> Any:
    """``x`` without its outer cells.

    Args:
        x: float32 or float64 array.
        crop_width: how many cells to cut off: an int, or for every axis an int or (before, after).
        out: optional preallocated result.

    Raises:
        ValueError: if an axis would be left without cells.
    """
    return apply(CROP, x, out=out, widths=_as_widths("crop", "crop_width", x, crop_width))


def crop_backward(dy: Any, x: Any, crop_width: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`crop`: ``(dx,)``, dy with zeros around it."""
    attrs = {"widths": _as_widths("crop", "crop_width", x, crop_width)}
    return backward(CROP, dy, (x,), attrs, all_needs("crop", needs, ("x",), (True,)))
