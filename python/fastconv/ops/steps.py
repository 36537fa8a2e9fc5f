"""The kernel behind recurrent layers: the steps over projected inputs, and the way back through them."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import activation
from fastconv.ops.borders import crop
from fastconv.ops.dense import BACKWARD_WEIGHT as DENSE_BACKWARD_WEIGHT
from fastconv.ops.registry import Call, Gradient, Lowered, OpDef, Shape, apply, expect_shape, register
from fastconv.ops.shaping import concatenate

__all__ = ["RNN", "check_activation"]


def _spec(dtype: str, p: Shape | None, recurrent: Shape | None, kind: str, *settings: Any) -> Any:
    return _cpu.RnnSpec.make(dtype, kind, p, recurrent, *settings)


def _lower(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    p, recurrent, bias, h0, c0 = shapes
    kind = attrs["kind"]
    spec = _spec(dtype, p, recurrent, *attrs.values())
    for name, shape in (("bias", bias), ("h0", h0), ("c0", c0)):
        expect_shape(kind.removesuffix("_before"), name, shape, spec.shape(name))
    results = {"simple_rnn": ("y",), "lstm": ("y", "state", "gates")}.get(kind, ("y", "gates"))
    places = {name: 5 + i for i, name in enumerate(results)}
    given = tuple(None if shapes[i] is None else i for i in range(5))
    tensors = (*given, *(places.get(name) for name in ("y", "gates", "state")))
    return Lowered(tuple((spec.shape(name), dtype) for name in results), (Call("rnn_forward", spec, tensors),))


def _lower_backward(
    dtype: str, shapes: tuple[Shape | None, ...], *, p_shape: Shape, wanted: tuple[str, ...], **attrs: Any
) -> Lowered:
    dy, dstate, _, _, _, recurrent, _, _ = shapes
    op = attrs["kind"].removesuffix("_before")
    spec = _spec(dtype, p_shape, recurrent, *attrs.values())
    expect_shape(op, "dy", dy, spec.shape("y"))
    expect_shape(op, "dstate", dstate, spec.shape("y"))
    places = {name: 8 + i for i, name in enumerate(wanted)}
    given = tuple(None if shape is None else i for i, shape in enumerate(shapes))
    tensors = (*given, *(places.get(name) for name in ("dp", "dr", "before", "dh0", "dc0")))
    return Lowered(tuple((spec.shape(name), dtype) for name in wanted), (Call("rnn_backward", spec, tensors),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    p, recurrent, bias, h0, c0 = g.inputs
    kind = g.attrs["kind"]
    y, *saved = g.outputs()
    state = saved[0] if kind == "lstm" else None
    gates = saved[-1] if saved else None
    dstate = g.dys[1] if kind == "lstm" else None
    weights = g.needs[1] or g.needs[2]
    wanted = ["dp", *(["dr"] if kind == "gru" else []), *(["before"] if weights else [])]
    wanted += [
        name for name, array, need in (("dh0", h0, g.needs[3]), ("dc0", c0, g.needs[4])) if need and array is not None
    ]
    inputs = (g.dys[0], dstate, y, gates, state, recurrent, h0, c0)
    results = apply(BACKWARD, *inputs, p_shape=tuple(p.shape), wanted=tuple(wanted), **g.attrs)
    found = dict(zip(wanted, results if isinstance(results, tuple) else (results,), strict=True))
    drecurrent = dbias = None
    if weights:
        dr = found.get("dr", found["dp"])
        drecurrent, dbias = _weight_gradients(kind, found["before"], dr, recurrent, bias is not None)
    return found["dp"], drecurrent, dbias, found.get("dh0"), found.get("dc0")


def _weight_gradients(kind: str, before: Any, dr: Any, recurrent: Any, with_bias: bool) -> tuple[Any, Any]:
    """Of the recurrent weights and bias: of what was multiplied with them, over all samples and steps."""
    if kind != "gru_before":
        return _product(before, dr, tuple(recurrent.shape), with_bias)
    units = recurrent.shape[0]
    state, reset = _columns(before, 0, units), _columns(before, units, 2 * units)
    dw, dbias = _product(state, _columns(dr, 0, 2 * units), (units, 2 * units), with_bias)
    dw_candidate, dbias_candidate = _product(reset, _columns(dr, 2 * units, 3 * units), (units, units), with_bias)
    return concatenate([dw, dw_candidate]), concatenate([dbias, dbias_candidate]) if with_bias else None


def _product(x: Any, dy: Any, w_shape: Shape, with_bias: bool) -> tuple[Any, Any]:
    result = apply(DENSE_BACKWARD_WEIGHT, x, dy, w_shape=w_shape, with_bias=with_bias)
    return result if with_bias else (result, None)


def _columns(x: Any, begin: int, end: int) -> Any:
    return crop(x, ((0, 0),) * (x.ndim - 1) + ((begin, x.shape[-1] - end),))


RNN = register(
    OpDef("rnn", ("p", "recurrent", "bias?", "h0?", "c0?"), _lower, _gradient, wide=("bias",), title="{kind}")
)
BACKWARD = register(
    OpDef(
        "rnn_backward",
        ("dy?", "dstate?", "y", "gates?", "state?", "recurrent", "h0?", "c0?"),
        _lower_backward,
        title="{kind}",
    )
)


def check_activation(op: str, name: str, value: Any) -> activation.ActivationTuple:
    """The activation's tuple; ValueError for one whose slope is not known from its result."""
    kind = activation.parse_activation(op, value)
    if not activation.has_gradient_from_output(kind):
        raise ValueError(
            f"[{op}] {name} must tell its slope by its result, since only that is kept of every step: expected one of linear, "
            f"relu, tanh, sigmoid, hard_sigmoid, elu, selu, softplus, got {name}={value!r}. Use one of these."
        )
    return kind
