"""The taps of a window along depth side by side in the channels, and their sum: what makes 3-D convolutions 2-D ones."""

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
)

__all__ = ["fold_depth", "fold_depth_backward", "unfold_depth", "unfold_depth_backward"]


def _spec(op: str, dtype: str, x: Shape | None, a: dict[str, Any]) -> Any:
    return _cpu.DepthSpec.make(dtype, op, x, a["taps"], a["stride"], a["padding"], a["dilation"], a["groups"])


def _lower_unfold(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    spec = _spec("unfold_depth", dtype, shapes[0], attrs)
    return Lowered(((spec.shape("columns"), dtype),), (Call("depth_unfold", spec, (0, 1)),))


def _lower_fold(dtype: str, shapes: tuple[Shape | None, ...], *, depth: int, **attrs: Any) -> Lowered:
    (columns,) = shapes
    assert columns is not None
    taps = attrs["taps"]
    if len(columns) != 5 or taps < 1 or columns[4] % taps:
        raise ValueError(
            f"[fold_depth] columns must be (N, P, H, W, taps * C): expected 5 dimensions and channels divisible by taps, got "
            f"columns.shape={columns}, taps={taps}. Give what unfold_depth makes."
        )
    spec = _spec("fold_depth", dtype, (columns[0], depth, *columns[2:4], columns[4] // taps), attrs)
    expect_shape("fold_depth", "columns", columns, spec.shape("columns"))
    return Lowered(((spec.shape("x"), dtype),), (Call("depth_fold", spec, (0, 1)),))


def _unfold_gradient(g: Gradient) -> tuple[Any, ...]:
    return (apply(FOLD, g.dys[0], depth=g.inputs[0].shape[1], **g.attrs),)


def _fold_gradient(g: Gradient) -> tuple[Any, ...]:
    attrs = {name: value for name, value in g.attrs.items() if name != "depth"}
    return (apply(UNFOLD, g.dys[0], **attrs),)


UNFOLD: OpDef = register(OpDef("unfold_depth", ("x",), _lower_unfold, _unfold_gradient))
FOLD: OpDef = register(OpDef("fold_depth", ("columns",), _lower_fold, _fold_gradient))


def _attrs(op: str, taps: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> dict[str, Any]:
    pads = padding if isinstance(padding, str) else (_numbers.as_pair(op, "padding", padding), (0, 0))
    return {
        "taps": _numbers.as_int(op, "taps", taps),
        "stride": _numbers.as_int(op, "stride", stride),
        "padding": pads,
        "dilation": _numbers.as_int(op, "dilation", dilation),
        "groups": _numbers.as_int(op, "groups", groups),
    }


def unfold_depth(
    x: Any,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    out: Any = None,
) -> Any:
    """``columns[n,p,h,w,(g,t,c)] = x[n, p·stride − before + t·dilation, h, w, (g,c)]``, 0 outside of x.

    Args:
        x: volumes (N, D, H, W, C), float32 or float64; on CUDA float32, float16 or bfloat16.
        taps, stride, dilation: of the window along depth, ints >= 1.
        padding: int, (before, after), "valid", "same" or "same_lower".
        groups: divides C; the taps of a group of channels lie side by side.
        out: optional preallocated result.

    Returns:
        columns (N, P, H, W, taps * C) with ``P = (D + before + after - (taps - 1) * dilation - 1) // stride + 1``.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes.
    """
    return apply(UNFOLD, x, out=out, **_attrs("unfold_depth", taps, stride, padding, dilation, groups))


def unfold_depth_backward(
    dy: Any,
    x: Any,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`unfold_depth`: ``(dx,)``, dy folded."""
    attrs = _attrs("unfold_depth", taps, stride, padding, dilation, groups)
    return backward(UNFOLD, dy, (x,), attrs, all_needs("unfold_depth", needs, ("x",), (True,)))


def fold_depth(
    columns: Any,
    depth: int,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    out: Any = None,
) -> Any:
    """The adjoint of :func:`unfold_depth`: every slice is the sum of the columns' cells that came from it.

    Args:
        columns: (N, P, H, W, taps * C).
        depth: slices of the result.
        taps, stride, padding, dilation, groups: of the unfolding this is the adjoint of.
        out: optional preallocated result.

    Returns:
        x (N, depth, H, W, C); slices that no window has are 0.

    Numerics: sums in the tensor's type (float32 of 16 bits), taps in ascending order.
    """
    attrs = _attrs("fold_depth", taps, stride, padding, dilation, groups)
    return apply(FOLD, columns, out=out, depth=_numbers.as_int("fold_depth", "depth", depth), **attrs)


def fold_depth_backward(
    dy: Any,
    columns: Any,
    depth: int,
    taps: int,
    *,
    stride: int = 1,
    padding: Any = 0,
    dilation: int = 1,
    groups: int = 1,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`fold_depth`: ``(dcolumns,)``, dy unfolded."""
    attrs = _attrs("fold_depth", taps, stride, padding, dilation, groups)
    attrs["depth"] = _numbers.as_int("fold_depth", "depth", depth)
    return backward(FOLD, dy, (columns,), attrs, all_needs("fold_depth", needs, ("columns",), (True,)))
