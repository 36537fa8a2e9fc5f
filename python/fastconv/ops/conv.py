"""2-D convolution and its transpose."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.graph import is_symbolic
from fastconv.ops import _devices, _numbers, elementwise
from fastconv.ops import activation as act
from fastconv.ops.cast import cast
from fastconv.ops.fused import activated_backward, apply_activated
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
    wide,
)

__all__ = ["conv2d", "conv2d_backward", "conv2d_transpose", "conv2d_transpose_backward"]

_NAMES = ("x", "w", "bias")


def _geometry(op: str, stride: Any, padding: Any, dilation: Any, groups: Any) -> dict[str, Any]:
    """The settings as numbers, in the form that specs take."""
    return {
        "stride": _numbers.as_pair(op, "stride", stride),
        "padding": _numbers.as_padding(op, padding),
        "dilation": _numbers.as_pair(op, "dilation", dilation),
        "groups": _numbers.as_int(op, "groups", groups),
    }


def _spec(dtype: str, x: Shape | None, w: Shape | None, activation: Any = act.LINEAR, **geometry: Any) -> Any:
    g = geometry
    return _cpu.Conv2dSpec.make(dtype, x, w, g["stride"], g["padding"], g["dilation"], g["groups"], activation)


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    x, w, bias = shapes
    spec = _spec(dtype, x, w, **attrs)
    expect_shape("conv2d", "bias", bias, spec.shape("bias"))
    tensors = (0, 1, None if bias is None else 2, None, None, None, None, 3)
    return Lowered(((spec.shape("y"), dtype),), (Call("conv2d_forward", spec, tensors),))


def _lower_normalized(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    spec = _spec(dtype, *shapes[:2], **attrs)
    for name, shape in zip(("bias", "mean", "scale", "shift", "residual"), shapes[2:], strict=True):
        expect_shape("conv2d", name, shape, spec.shape(name))
    tensors = (*(None if shape is None else i for i, shape in enumerate(shapes)), len(shapes))
    return Lowered(((spec.shape("y"), dtype),), (Call("conv2d_forward", spec, tensors),))


def _lower_pooled(dtype: str, shapes: tuple[Shape | None, ...], *, indexed: bool, **attrs: Any) -> Lowered:
    conv = _spec(dtype, *shapes[:2], **attrs)
    for name, shape in zip(("bias", "mean", "scale", "shift"), shapes[2:], strict=True):
        expect_shape("conv2d", name, shape, conv.shape(name))
    spec = _cpu.Conv2dPoolSpec.make(conv)
    tensors = (*(None if shape is None else i for i, shape in enumerate(shapes)), 6, 7 if indexed else None)
    outputs = ((spec.shape("y"), dtype), (spec.shape("index"), "uint8"))
    return Lowered(outputs[: 1 + indexed], (Call("conv2d_pool_forward", spec, tensors),))


def _lower_moments(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    x, w, bias = shapes
    spec = _spec(dtype, x, w, **attrs)
    expect_shape("conv2d", "bias", bias, spec.shape("bias"))
    outputs = ((spec.shape("y"), dtype), (spec.shape("moments"), "float64"))
    return Lowered(outputs, (Call("conv2d_forward_moments", spec, (0, 1, None if bias is None else 2, 3, 4)),))


def _lower_backward_input(dtype: str, shapes: tuple[Shape | None, ...], *, x_shape: Shape, **geometry: Any) -> Lowered:
    dy, w, gate, addend = shapes
    spec = _spec(dtype, x_shape, w, **geometry)
    expect_shape("conv2d", "dy", dy, spec.shape("y"))
    expect_shape("conv2d", "gate", gate, spec.shape("x"))
    expect_shape("conv2d", "addend", addend, spec.shape("x"))
    tensors = (0, 1, None if gate is None else 2, None if addend is None else 3, 4)
    return Lowered(((spec.shape("x"), dtype),), (Call("conv2d_backward_input", spec, tensors),))


def _lower_backward_input_sums(
    dtype: str, shapes: tuple[Shape | None, ...], *, x_shape: Shape, **geometry: Any
) -> Lowered:
    dy, w, gate, addend, normalized, batch_mean = shapes
    spec = _spec(dtype, x_shape, w, **geometry)
    expect_shape("conv2d", "dy", dy, spec.shape("y"))
    for name, shape in (("gate", gate), ("addend", addend), ("normalized", normalized)):
        expect_shape("conv2d", name, shape, spec.shape("x"))
    expect_shape("conv2d", "batch_mean", batch_mean, spec.shape("batch_mean"))
    tensors = (*(None if shape is None else i for i, shape in enumerate(shapes)), 6, 7)
    outputs = ((spec.shape("x"), dtype), (spec.shape("sums"), "float64"))
    return Lowered(outputs, (Call("conv2d_backward_input_sums", spec, tensors),))


def _lower_backward_weight(
    dtype: str, shapes: tuple[Shape | None, ...], *, w_shape: Shape, with_bias: bool, **geometry: Any
) -> Lowered:
    x, dy = shapes
    spec = _spec(dtype, x, w_shape, **geometry)
    expect_shape("conv2d", "dy", dy, spec.shape("y"))
    outputs = [(spec.shape("w"), wide(dtype))] + ([(spec.shape("bias"), wide(dtype))] if with_bias else [])
    return Lowered(tuple(outputs), (Call("conv2d_backward_weight", spec, (0, 1, 2, 3 if with_bias else None)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    x, w, bias = g.inputs
    (dy,) = g.dys
    expect_shape("conv2d", "bias", None if bias is None else bias.shape, tuple(w.shape[3:]))
    dx = dw = dbias = None
    if g.needs[0]:
        dx = apply(BACKWARD_INPUT, dy, w, None, None, x_shape=tuple(x.shape), **g.attrs)
    if g.needs[1] or g.needs[2]:
        with_bias = bool(g.needs[2])
        result = apply(BACKWARD_WEIGHT, x, dy, w_shape=tuple(w.shape), with_bias=with_bias, **g.attrs)
        dw, dbias = result if with_bias else (result, None)
    return dx, dw, dbias


FORWARD = register(OpDef("conv2d", ("x", "w", "bias?"), _lower_forward, _gradient, wide=("bias",)))
# y = activation((conv2d(x) - mean) * scale + shift + residual); plans write convolution and batch_norm this way.
NORMALIZED = register(
    OpDef(
        "conv2d_normalized",
        ("x", "w", "bias?", "mean", "scale", "shift?", "residual?"),
        _lower_normalized,
        wide=("bias", "mean", "scale", "shift"),
    )
)
# The same without a residual, and of y only the maxima of windows of 2 x 2, with the cells that won where that is to be
# known.
POOLED = register(
    OpDef(
        "conv2d_pooled",
        ("x", "w", "bias?", "mean?", "scale?", "shift?"),
        _lower_pooled,
        wide=("bias", "mean", "scale", "shift"),
    )
)
# dx + addend, then the gradient of the activation at gate; plans move both in.
BACKWARD_INPUT = register(OpDef("conv2d_backward_input", ("dy", "w", "gate?", "addend?"), _lower_backward_input))
# The same two with the sums over each channel that a batch normalisation next to them needs; plans write them this way.
FORWARD_MOMENTS = register(OpDef("conv2d_moments", ("x", "w", "bias?"), _lower_moments, wide=("bias",)))
BACKWARD_INPUT_SUMS = register(
    OpDef(
        "conv2d_backward_input_sums",
        ("dy", "w", "gate?", "addend?", "normalized", "batch_mean"),
        _lower_backward_input_sums,
        wide=("batch_mean",),
    )
)
BACKWARD_WEIGHT = register(OpDef("conv2d_backward_weight", ("x", "dy"), _lower_backward_weight))


def conv2d(
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
    """2-D cross-correlation: ``y[n,p,q,k] = act(bias[k] + Σ x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[r,s,c,k])``.

    Args:
        x: images (N, H, W, C), float32 or float64; on CUDA float32, float16 or bfloat16.
        w: filters (R, S, C // groups, K) of x's dtype. Depthwise is ``groups=C`` with w (R, S, 1, C * multiplier).
        bias: (K,) or None; of x's dtype, but float32 where that has 16 bits.
        stride: int or (height, width), >= 1.
        padding: int, (h, w), ((top, bottom), (left, right)), "valid", "same" (y is ceil(x / stride); the odd row goes to
            the end, as in Keras) or "same_lower" (to the start).
        dilation: int or (height, width); 1 means none.
        groups: channels are split into this many independent groups.
        activation: name of an activation that is applied to y in the same pass.
        out: optional preallocated result.

    Returns:
        y (N, P, Q, K) with ``P = (H + top + bottom - (R - 1) * dilation - 1) // stride + 1``; of x's dtype.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes. MemoryError: if y cannot be held.

    Numerics: the same bits for any number of threads. With ``fastconv.set_precision("strict")`` a float32 result is as
        exact as a sum of float32 products in a fixed order, whatever the batch size. With "fast", large convolutions use
        minimal filtering or products of split numbers: ‖error‖ <= 1e-5 ‖y‖ (tests/test_winograd.py, tests/test_amx.py).
        One infinity may make NaNs of the results within six pixels of it.
        NaN propagates; padding multiplies nothing, so an infinite weight beside it gives infinity, not NaN.

    Example:
        >>> import numpy as np, fastconv
        >>> x = np.ones((1, 3, 3, 1), np.float32)
        >>> fastconv.ops.conv2d(x, np.ones((2, 2, 1, 1), np.float32)).ravel()
        array([4., 4., 4., 4.], dtype=float32)
    """
    attrs = _geometry("conv2d", stride, padding, dilation, groups)
    return apply_activated(FORWARD, (x, w, bias), activation, out, attrs)


def conv2d_backward(
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
    """Gradients of :func:`conv2d` for the cotangent ``dy`` (N, P, Q, K).

    Args:
        dy: cotangent of y.
        x, w, bias: the forward's arrays; the other keywords as in the forward.
        needs: which gradients are wanted, a bool for each of (x, w, bias).

    Returns:
        ``(dx, dw, dbias)``; None where not needed. An empty batch gives dw and dbias of exact zeros. dx is of x's dtype;
        dw and dbias, sums over a batch, are float32 where that has 16 bits.
    """
    attrs = _geometry("conv2d", stride, padding, dilation, groups)
    wanted = all_needs("conv2d", needs, _NAMES, (True, True, bias is not None))
    return activated_backward(FORWARD, dy, (x, w, bias), activation, attrs, wanted)


def _transpose_spec(dtype: str, x: Shape | None, w: Shape | None, g: dict[str, Any]) -> Any:
    return _cpu.Conv2dSpec.make_transpose(
        dtype, x, w, g["stride"], g["padding"], g["output_padding"], g["dilation"], g["groups"]
    )


def _lower_transpose(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    x, w = shapes
    spec = _transpose_spec(dtype, x, w, attrs)
    return Lowered(((spec.shape("x"), dtype),), (Call("conv2d_backward_input", spec, (0, 1, None, None, 2)),))


def _lower_transpose_backward_input(
    dtype: str, shapes: tuple[Shape | None, ...], *, x_shape: Shape, **attrs: Any
) -> Lowered:
    dy, w = shapes
    spec = _transpose_spec(dtype, x_shape, w, attrs)
    expect_shape("conv2d_transpose", "dy", dy, spec.shape("x"))
    return Lowered(
        ((spec.shape("y"), dtype),), (Call("conv2d_forward", spec, (0, 1, None, None, None, None, None, 2)),)
    )


def _lower_transpose_backward_weight(
    dtype: str, shapes: tuple[Shape | None, ...], *, w_shape: Shape, **attrs: Any
) -> Lowered:
    x, dy = shapes
    spec = _transpose_spec(dtype, x, w_shape, attrs)
    expect_shape("conv2d_transpose", "dy", dy, spec.shape("x"))
    return Lowered(((spec.shape("w"), wide(dtype)),), (Call("conv2d_backward_weight", spec, (1, 0, 2, None)),))


def _transpose_gradient(g: Gradient) -> tuple[Any, ...]:
    x, w = g.inputs
    (dy,) = g.dys
    dx = apply(TRANSPOSE_BACKWARD_INPUT, dy, w, x_shape=tuple(x.shape), **g.attrs) if g.needs[0] else None
    dw = apply(TRANSPOSE_BACKWARD_WEIGHT, x, dy, w_shape=tuple(w.shape), **g.attrs) if g.needs[1] else None
    return dx, dw


TRANSPOSE = register(OpDef("conv2d_transpose", ("x", "w"), _lower_transpose, _transpose_gradient))
TRANSPOSE_BACKWARD_INPUT = register(
    OpDef("conv2d_transpose_backward_input", ("dy", "w"), _lower_transpose_backward_input)
)
TRANSPOSE_BACKWARD_WEIGHT = register(
    OpDef("conv2d_transpose_backward_weight", ("x", "dy"), _lower_transpose_backward_weight)
)


def _transpose_attrs(stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: Any) -> dict[str, Any]:
    attrs = _geometry("conv2d_transpose", stride, padding, dilation, groups)
    attrs["output_padding"] = _numbers.as_pair("conv2d_transpose", "output_padding", output_padding)
    return attrs


def _judged(name: str, value: Any) -> Any:
    """An argument of the addition behind a transposed convolution, judged under its own name."""
    return value if is_symbolic(value) else _devices.as_floats("conv2d_transpose", name, getattr(value, "array", value))


def _transpose_bias(y: Any, w: Any, bias: Any, groups: int) -> Any:
    """The bias as it is added to y: kept in float32, cast where y has 16 bits."""
    expect_shape("conv2d_transpose", "bias", bias.shape, (w.shape[2] * groups,))
    return cast(bias, y.dtype) if str(bias.dtype) == wide(str(y.dtype)) else bias


def conv2d_transpose(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    out: Any = None,
) -> Any:
    """The adjoint of :func:`conv2d` in its input ("deconvolution"): each x cell paints a filter onto y.

    Args:
        x: images (N, H, W, C), float32 or float64.
        w: filters (R, S, K // groups, C), Keras's layout.
        bias: (K,) or None.
        stride, padding, dilation, groups: of the convolution this is the adjoint of; with "same" y is x times stride.
        output_padding: extra rows and columns at y's end, smaller than the stride or the dilation.
        out: optional preallocated result.

    Returns:
        y (N, P, Q, K) with ``P = (H - 1) * stride - top - bottom + (R - 1) * dilation + 1 + output_padding``.

    Raises:
        TypeError: for kinds and dtypes. ValueError: for numbers and shapes. MemoryError: if y cannot be held.
    """
    attrs = _transpose_attrs(stride, padding, output_padding, dilation, groups)
    if bias is None:
        return apply(TRANSPOSE, x, w, out=out, **attrs)
    y = apply(TRANSPOSE, x, w, **attrs)
    return elementwise.add(y, _transpose_bias(y, w, _judged("bias", bias), attrs["groups"]), out=out)


def conv2d_transpose_backward(
    dy: Any,
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: Any = 1,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`conv2d_transpose`: ``(dx, dw, dbias)``, None where not needed."""
    attrs = _transpose_attrs(stride, padding, output_padding, dilation, groups)
    wanted = all_needs("conv2d_transpose", needs, _NAMES, (True, True, bias is not None))
    dx, dw = backward(TRANSPOSE, dy, (x, w), attrs, wanted[:2])
    if not wanted[2]:
        return dx, dw, None
    dy, bias = _judged("dy", dy), _judged("bias", bias)
    added = _transpose_bias(dy, w, bias, attrs["groups"])
    return dx, dw, cast(elementwise.add_backward(dy, dy, added, needs=(False, True))[1], bias.dtype)
