"""Batch normalisation, and normalisation of rows: by mean and variance, or by the root of the mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.activation import LINEAR, ActivationTuple
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

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
]


def _spec(
    op: str,
    dtype: str,
    x: Shape | None,
    epsilon: float = 1.0,
    momentum: float = 0.0,
    activation: ActivationTuple = LINEAR,
) -> Any:
    return _cpu.NormSpec.make(dtype, op, x, epsilon, momentum, activation, op != "rms_norm")


def _expect(op: str, spec: Any, **shapes: Shape | None) -> None:
    for name, shape in shapes.items():
        expect_shape(op, name, shape, spec.shape(name if name != "var" else "variance"))


def _like_x(spec: Any, dtype: str, names: Sequence[str]) -> tuple[tuple[Shape, str], ...]:
    """Shape and dtype of results: what is laid out like x is of its type, parameters and statistics are wide."""
    return tuple((spec.shape(n), dtype if n in ("x", "y", "residual") else wide(dtype)) for n in names)


def _register_of(index: int, shape: Shape | None) -> int | None:
    return None if shape is None else index


def _lower_training(
    dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float, momentum: float, activation: ActivationTuple
) -> Lowered:
    x, gamma, beta, mean, var, residual = shapes
    spec = _spec("batch_norm", dtype, x, epsilon, momentum, activation)
    _expect("batch_norm", spec, gamma=gamma, beta=beta, mean=mean, var=var, residual=residual)
    names = ("y", "new_mean", "new_variance", "batch_mean", "batch_rstd")
    tensors = (0, _register_of(1, gamma), _register_of(2, beta), 3, 4, _register_of(5, residual), 6, 7, 8, 9, 10)
    return Lowered(_like_x(spec, dtype, names), (Call("batch_norm_training", spec, tensors),))


def _lower_from_moments(
    dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float, momentum: float, activation: ActivationTuple
) -> Lowered:
    x, gamma, beta, mean, var, residual, moments = shapes
    spec = _spec("batch_norm", dtype, x, epsilon, momentum, activation)
    _expect("batch_norm", spec, gamma=gamma, beta=beta, mean=mean, var=var, residual=residual, moments=moments)
    names = ("y", "new_mean", "new_variance", "batch_mean", "batch_rstd")
    tensors = (*(_register_of(i, shape) for i, shape in enumerate(shapes)), 7, 8, 9, 10, 11)
    return Lowered(_like_x(spec, dtype, names), (Call("batch_norm_training_from_moments", spec, tensors),))


def _lower_training_backward(
    dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float, activation: ActivationTuple, residual: bool
) -> Lowered:
    dy, x, y, gamma, _, _ = shapes
    spec = _spec("batch_norm", dtype, x, epsilon, activation=activation)
    _expect("batch_norm", spec, dy=dy)
    outputs = _like_x(spec, dtype, ("x", "gamma", "beta", *(("residual",) if residual else ())))
    tensors = (0, 1, _register_of(2, y), _register_of(3, gamma), 4, 5, 6, 7, 8, 9 if residual else None)
    return Lowered(outputs, (Call("batch_norm_training_backward", spec, tensors),))


def _lower_backward_from_sums(dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float) -> Lowered:
    dy, x, gamma, _, _, sums = shapes
    spec = _spec("batch_norm", dtype, x, epsilon)
    _expect("batch_norm", spec, dy=dy, sums=sums)
    outputs = _like_x(spec, dtype, ("x", "gamma", "beta"))
    tensors = (0, 1, _register_of(2, gamma), 3, 4, 5, 6, 7, 8)
    return Lowered(outputs, (Call("batch_norm_training_backward_from_sums", spec, tensors),))


def _training_gradient(g: Gradient) -> tuple[Any, ...]:
    x, gamma, *_, residual = g.inputs
    y, _, _, batch_mean, batch_rstd = g.outputs()
    attrs = {key: g.attrs[key] for key in ("epsilon", "activation")}
    if attrs["activation"] == LINEAR:
        y = None  # only a relu needs it, to see where it was closed
    gradients = apply(
        TRAINING_BACKWARD, g.dys[0], x, y, gamma, batch_mean, batch_rstd, residual=residual is not None, **attrs
    )
    return (*gradients[:3], None, None, gradients[3] if residual is not None else None)


def _lower_inference(
    dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float, activation: ActivationTuple
) -> Lowered:
    x, gamma, beta, mean, var, residual = shapes
    spec = _spec("batch_norm", dtype, x, epsilon, activation=activation)
    _expect("batch_norm", spec, gamma=gamma, beta=beta, mean=mean, var=var, residual=residual)
    tensors = (0, _register_of(1, gamma), _register_of(2, beta), 3, 4, _register_of(5, residual), 6)
    return Lowered(((spec.shape("y"), dtype),), (Call("batch_norm_inference", spec, tensors),))


def _lower_scale(dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float) -> Lowered:
    gamma, var = shapes
    spec = _spec("batch_norm", dtype, var, epsilon)
    _expect("batch_norm", spec, gamma=gamma)
    return Lowered(((spec.shape("scale"), dtype),), (Call("batch_norm_scale", spec, (_register_of(0, gamma), 1, 2)),))


def _lower_inference_backward(dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float) -> Lowered:
    dy, x, gamma, _, _ = shapes
    spec = _spec("batch_norm", dtype, x, epsilon)
    _expect("batch_norm", spec, dy=dy)
    outputs = _like_x(spec, dtype, ("x", "gamma", "beta"))
    tensors = (0, 1, _register_of(2, gamma), 3, 4, 5, 6, 7)
    return Lowered(outputs, (Call("batch_norm_inference_backward", spec, tensors),))


def _inference_gradient(g: Gradient) -> tuple[Any, ...]:
    """Of the normalisation alone: plans take in an activation after they have differentiated."""
    x, gamma, _, mean, var, _ = g.inputs
    return (*apply(INFERENCE_BACKWARD, g.dys[0], x, gamma, mean, var, epsilon=g.attrs["epsilon"]), None, None, None)


# y = activation(batch_norm(x) + residual); plans write batch_norm, add and relu this way.
_INPUTS = ("x", "gamma?", "beta?", "mean", "var", "residual?")
_WIDE = ("gamma", "beta", "mean", "var", "batch_mean", "batch_rstd", "row_mean", "row_rstd")
TRAINING = register(OpDef("batch_norm_training", _INPUTS, _lower_training, _training_gradient, wide=_WIDE))
TRAINING_BACKWARD = register(
    OpDef(
        "batch_norm_training_backward",
        ("dy", "x", "y?", "gamma?", "batch_mean", "batch_rstd"),
        _lower_training_backward,
        wide=_WIDE,
    )
)
# With what the convolution that makes x (dy) has summed up; plans write them this way.
FROM_MOMENTS = register(
    OpDef(
        "batch_norm_training_from_moments",
        (*_INPUTS, "moments"),
        _lower_from_moments,
        dtypes={"moments": ("float64",)},
        wide=_WIDE,
    )
)
BACKWARD_FROM_SUMS = register(
    OpDef(
        "batch_norm_training_backward_from_sums",
        ("dy", "x", "gamma?", "batch_mean", "batch_rstd", "sums"),
        _lower_backward_from_sums,
        dtypes={"sums": ("float64",)},
        wide=_WIDE,
    )
)
INFERENCE = register(OpDef("batch_norm_inference", _INPUTS, _lower_inference, _inference_gradient, wide=_WIDE))
# What plans give a convolution to normalise its results with: gamma / sqrt(var + epsilon), of their own type.
SCALE = register(OpDef("batch_norm_scale", ("gamma?", "var"), _lower_scale))
INFERENCE_BACKWARD = register(
    OpDef("batch_norm_inference_backward", ("dy", "x", "gamma?", "mean", "var"), _lower_inference_backward, wide=_WIDE)
)


def batch_norm(
    x: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    *,
    epsilon: float = 1e-3,
    training: bool = False,
    momentum: float = 0.99,
) -> Any:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` per channel (Ioffe, Szegedy 2015).

    Args:
        x: (..., C), float32 or float64; on CUDA float32, float16 or bfloat16.
        gamma, beta: (C,) or None; these and the statistics are of x's dtype, but float32 where that has 16 bits.
        mean, var: (C,), the moving statistics.
        epsilon: added to the variance.
        training: normalise by the batch's own mean and biased variance, and update the moving statistics.
        momentum: ``new = momentum * old + (1 - momentum) * batch``.

    Returns:
        y of x's shape and dtype; with ``training=True`` the tuple ``(y, new_mean, new_var)``, the statistics of var's dtype.

    Numerics: statistics are accumulated in float64 in a fixed order.
    """
    eps = _numbers.as_float("batch_norm", "epsilon", epsilon)
    keep = _numbers.as_float_in(
        "batch_norm", "momentum", momentum, 0, 1
    )  # inference has no use for it, yet it must be one
    if not _numbers.as_bool("batch_norm", "training", training):
        return apply(INFERENCE, x, gamma, beta, mean, var, None, epsilon=eps, activation=LINEAR)
    return apply(TRAINING, x, gamma, beta, mean, var, None, epsilon=eps, momentum=keep, activation=LINEAR)[:3]


def batch_norm_backward(
    dy: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    mean: Any,
    var: Any,
    *,
    epsilon: float = 1e-3,
    training: bool = False,
    momentum: float = 0.99,
    needs: Any = None,
) -> tuple:
    """Gradients of :func:`batch_norm`'s y: ``(dx, dgamma, dbeta, None, None)``, None also where not needed.

    dx is of x's dtype, dgamma and dbeta of the statistics'.
    """
    attrs: dict[str, Any] = {
        "epsilon": _numbers.as_float("batch_norm", "epsilon", epsilon),
        "activation": LINEAR,
    }
    keep = _numbers.as_float_in("batch_norm", "momentum", momentum, 0, 1)
    default = (True, gamma is not None, beta is not None, False, False)
    wanted = all_needs("batch_norm", needs, ("x", "gamma", "beta", "mean", "var"), default)
    op: OpDef = INFERENCE
    dys: tuple[Any, ...] = (dy,)
    if _numbers.as_bool("batch_norm", "training", training):
        attrs["momentum"] = keep
        op, dys = TRAINING, (dy, None, None, None, None)
    return backward(op, dys, (x, gamma, beta, mean, var, None), attrs, (*wanted, False))[:5]


def _row_norm_op(name: str) -> tuple[OpDef, OpDef]:
    """The op and its gradient; without a centre there is no beta either."""
    centred = name == "layer_norm"

    def lower(dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float) -> Lowered:
        x, gamma, beta = shapes if centred else (*shapes, None)
        spec = _spec(name, dtype, x, epsilon)
        _expect(name, spec, gamma=gamma, beta=beta)
        first = len(shapes)
        tensors = (0, _register_of(1, gamma), _register_of(2, beta), first, first + 1, first + 2)
        outputs = _like_x(spec, dtype, ("y", "row_mean", "row_rstd"))
        return Lowered(outputs, (Call("layer_norm_forward", spec, tensors),))

    def lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, epsilon: float) -> Lowered:
        dy, x, gamma, _, _ = shapes
        spec = _spec(name, dtype, x, epsilon)
        _expect(name, spec, dy=dy)
        outputs = _like_x(spec, dtype, ("x", "gamma", "beta"))
        tensors = (0, 1, _register_of(2, gamma), 3, 4, 5, 6, 7)
        return Lowered(outputs, (Call("layer_norm_backward", spec, tensors),))

    def gradient(g: Gradient) -> tuple[Any, ...]:
        x, gamma = g.inputs[:2]
        _, row_mean, row_rstd = g.outputs()
        gradients = apply(gradient_op, g.dys[0], x, gamma, row_mean, row_rstd, epsilon=g.attrs["epsilon"])
        return gradients[: len(g.inputs)]

    names = ("dy", "x", "gamma?", "row_mean", "row_rstd")
    gradient_op = register(OpDef(f"{name}_backward", names, lower_backward, wide=_WIDE))
    inputs = ("x", "gamma?", "beta?") if centred else ("x", "gamma?")
    return register(OpDef(name, inputs, lower, gradient, wide=_WIDE)), gradient_op


LAYER_NORM, LAYER_NORM_BACKWARD = _row_norm_op("layer_norm")
RMS_NORM, RMS_NORM_BACKWARD = _row_norm_op("rms_norm")


def layer_norm(x: Any, gamma: Any, beta: Any, *, epsilon: float = 1e-3) -> Any:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` with each row's own statistics (Ba et al. 2016).

    Args:
        x: (..., D), float32 or float64, on CUDA float32, float16 or bfloat16; a row is the last axis.
        gamma, beta: (D,) or None; of x's dtype, but float32 where that has 16 bits.
        epsilon: added to the biased variance.

    Returns:
        y of x's shape and dtype.
    """
    return apply(LAYER_NORM, x, gamma, beta, epsilon=_numbers.as_float("layer_norm", "epsilon", epsilon))[0]


def layer_norm_backward(dy: Any, x: Any, gamma: Any, beta: Any, *, epsilon: float = 1e-3, needs: Any = None) -> tuple:
    """Gradients of :func:`layer_norm`: ``(dx, dgamma, dbeta)``, None where not needed.

    dx is of x's dtype; dgamma and dbeta are float32 where that has 16 bits.
    """
    attrs = {"epsilon": _numbers.as_float("layer_norm", "epsilon", epsilon)}
    wanted = all_needs("layer_norm", needs, ("x", "gamma", "beta"), (True, gamma is not None, beta is not None))
    return backward(LAYER_NORM, (dy, None, None), (x, gamma, beta), attrs, wanted)


def rms_norm(x: Any, gamma: Any = None, *, epsilon: float = 1e-6) -> Any:
    """``gamma * x / sqrt(mean(x²) + epsilon)`` with each row's own mean (Zhang, Sennrich 2019).

    Args:
        x: (..., D), float32 or float64, on CUDA float32, float16 or bfloat16; a row is the last axis.
        gamma: (D,) or None; of x's dtype, but float32 where that has 16 bits.
        epsilon: added to the mean square.

    Returns:
        y of x's shape and dtype.
    """
    return apply(RMS_NORM, x, gamma, epsilon=_numbers.as_float("rms_norm", "epsilon", epsilon))[0]


def rms_norm_backward(dy: Any, x: Any, gamma: Any = None, *, epsilon: float = 1e-6, needs: Any = None) -> tuple:
    """Gradients of :func:`rms_norm`: ``(dx, dgamma)``, None where not needed; dtypes as of :func:`layer_norm_backward`."""
    attrs = {"epsilon": _numbers.as_float("rms_norm", "epsilon", epsilon)}
    wanted = all_needs("rms_norm", needs, ("x", "gamma"), (True, gamma is not None))
    return backward(RMS_NORM, (dy, None, None), (x, gamma), attrs, wanted)
