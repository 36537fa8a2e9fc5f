"""Elementwise activations: relu, gelu, … and their gradients."""

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
    wide,
)

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "scale",
    "scale_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "threshold",
    "threshold_backward",
]

ActivationTuple = tuple[str, float, float]  # (kind, alpha, beta) as csrc/core/activation.h has them
LINEAR: ActivationTuple = ("linear", 1.0, 0.0)

# What `activation="name"` means: the kind with its default parameters.
BY_NAME: dict[str, ActivationTuple] = {
    "linear": LINEAR,
    "relu": ("relu", 1.0, 0.0),
    "relu6": ("relu6", 1.0, 0.0),
    "leaky_relu": ("leaky_relu", 0.2, 0.0),
    "elu": ("elu", 1.0, 0.0),
    "selu": ("selu", 1.0, 0.0),
    "gelu": ("gelu", 1.0, 0.0),
    "silu": ("silu", 1.0, 0.0),
    "swish": ("silu", 1.0, 0.0),
    "hard_sigmoid": ("hard_sigmoid", 1.0, 0.0),
    "hard_swish": ("hard_swish", 1.0, 0.0),
    "hard_silu": ("hard_swish", 1.0, 0.0),
    "sigmoid": ("sigmoid", 1.0, 0.0),
    "tanh": ("tanh", 1.0, 0.0),
    "softplus": ("softplus", 1.0, 0.0),
    "threshold": ("threshold", 0.0, 0.0),
    "exponential": ("exponential", 1.0, 0.0),
    "mish": ("mish", 1.0, 0.0),
    "softsign": ("softsign", 1.0, 0.0),
    "sparse_plus": ("sparse_plus", 1.0, 0.0),
}

# Kinds whose derivative follows from y alone: backward need not keep x, and a fused forward need not store it.
_FROM_OUTPUT = {
    "clip",
    "elu",
    "exponential",
    "hard_sigmoid",
    "linear",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "softplus",
    "tanh",
}


def has_gradient_from_output(activation: ActivationTuple) -> bool:
    """Whether the derivative can be had from the activation's output."""
    kind, alpha, _ = activation
    if kind == "leaky_relu":
        return alpha > 0
    return kind in _FROM_OUTPUT and not (
        kind == "elu" and alpha < 0
    )  # a negative alpha folds both branches onto one side


def parse_activation(op: str, activation: Any) -> ActivationTuple:
    """The tuple for ``activation=`` of conv2d and dense: None or a name."""
    if activation is None:
        return LINEAR
    if not isinstance(activation, str):
        raise TypeError(
            f"[{op}] activation must be a name or None: expected str, got activation={activation!r} "
            f"({type(activation).__name__}). Use one of {', '.join(sorted(BY_NAME))}."
        )
    if activation not in BY_NAME:
        raise ValueError(
            f"[{op}] activation is not known: expected one of {', '.join(sorted(BY_NAME))}, got activation={activation!r}. "
            "Use one of these names or None."
        )
    return BY_NAME[activation]


def _spec(dtype: str, shape: Shape | None, activation: ActivationTuple) -> Any:
    return _cpu.ActivationSpec.make(dtype, shape, activation)


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], *, activation: ActivationTuple) -> Lowered:
    spec = _spec(dtype, shapes[0], activation)
    return Lowered(((spec.shape("y"), dtype),), (Call("activation_forward", spec, (0, 1)),))


def _lower_backward(kernel: str) -> Any:
    def lower(dtype: str, shapes: tuple[Shape | None, ...], *, activation: ActivationTuple) -> Lowered:
        spec = _spec(dtype, shapes[1], activation)
        expect_shape(activation[0], "dy", shapes[0], spec.shape("y"))
        return Lowered(((spec.shape("x"), dtype),), (Call(kernel, spec, (0, 1, 2)),))

    return lower


def _gradient(g: Gradient) -> tuple[Any, ...]:
    activation = g.attrs["activation"]
    if has_gradient_from_output(activation):
        return (apply(BACKWARD_FROM_OUTPUT, g.dys[0], g.outputs()[0], activation=activation),)
    return (apply(BACKWARD, g.dys[0], g.inputs[0], activation=activation),)


FORWARD = register(OpDef("activation", ("x",), _lower_forward, _gradient, title="{activation[0]}"))
BACKWARD = register(OpDef("activation_backward", ("dy", "x"), _lower_backward("activation_backward")))
BACKWARD_FROM_OUTPUT = register(
    OpDef("activation_backward_from_output", ("dy", "y"), _lower_backward("activation_backward_from_output"))
)


def activate(x: Any, activation: ActivationTuple, out: Any = None) -> Any:
    """The activation given as a tuple."""
    return apply(FORWARD, x, out=out, activation=activation)


def activate_backward(dy: Any, x: Any, activation: ActivationTuple, needs: Any) -> tuple:
    """``(dx,)`` of the activation given as a tuple."""
    return backward(FORWARD, dy, (x,), {"activation": activation}, all_needs(activation[0], needs, ("x",), (True,)))


_FORMULAS = {
    "relu": ("x < 0 ? 0 : x", "NaN stays NaN; the derivative at 0 is 0. Source: Nair, Hinton 2010."),
    "relu6": ("min(max(x, 0), 6)", "The derivative at 0 and 6 is 0. Source: Krizhevsky 2010."),
    "selu": ("1.0507 * (x > 0 ? x : 1.67326 * (exp(x) - 1))", "Source: Klambauer et al. 2017."),
    "silu": ("x * sigmoid(x)", "Source: Elfwing et al. 2017; also called swish."),
    "hard_sigmoid": ("relu6(x + 3) / 6", "Keras 3's definition."),
    "hard_swish": ("x * relu6(x + 3) / 6", "Source: Howard et al. 2019 (MobileNetV3)."),
    "sigmoid": ("1 / (1 + exp(-x))", "Does not overflow for any x."),
    "tanh": ("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", "Odd; does not overflow."),
    "softplus": ("log(1 + exp(x))", "Computed as max(x, 0) + log1p(exp(-abs(x)))."),
    "exponential": ("exp(x)", "Infinity where it overflows."),
    "mish": ("x * tanh(softplus(x))", "By exp(-abs(x)): nothing overflows or cancels. Source: Misra 2019."),
    "softsign": ("x / (1 + abs(x))", "Source: Turian et al. 2009."),
    "sparse_plus": ("x <= -1 ? 0 : x >= 1 ? x : (x + 1)^2 / 4", "Keras 3's definition."),
}


def simple(name: str) -> tuple[Any, Any]:
    """The public pair for an activation without parameters."""
    formula, notes = _FORMULAS[name]
    activation = BY_NAME[name]

    def forward(x: Any, *, out: Any = None) -> Any:
        return activate(x, activation, out)

    def gradient(dy: Any, x: Any, *, needs: Any = None) -> tuple:
        return activate_backward(dy, x, activation, needs)

    forward.__name__ = forward.__qualname__ = name
    forward.__doc__ = f"""``{formula}``, elementwise.

    Args:
        x: float32 or float64 array of any shape.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.

    Raises:
        TypeError: if ``x`` is not a float array.

    Numerics: {notes}
    """
    gradient.__name__ = gradient.__qualname__ = f"{name}_backward"
    gradient.__doc__ = f"Gradient of :func:`{name}`: ``(dx,)`` for the cotangent ``dy`` of x's shape."
    return forward, gradient


relu, relu_backward = simple("relu")
relu6, relu6_backward = simple("relu6")
selu, selu_backward = simple("selu")
silu, silu_backward = simple("silu")
hard_sigmoid, hard_sigmoid_backward = simple("hard_sigmoid")
hard_swish, hard_swish_backward = simple("hard_swish")
sigmoid, sigmoid_backward = simple("sigmoid")
tanh, tanh_backward = simple("tanh")
softplus, softplus_backward = simple("softplus")


def _leaky_relu(negative_slope: Any) -> ActivationTuple:
    return ("leaky_relu", _numbers.as_float("leaky_relu", "negative_slope", negative_slope), 0.0)


def leaky_relu(x: Any, *, negative_slope: float = 0.2, out: Any = None) -> Any:
    """``x > 0 ? x : negative_slope * x``, elementwise (Maas et al. 2013).

    Args:
        x: float32 or float64 array of any shape.
        negative_slope: slope below zero.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.
    """
    return activate(x, _leaky_relu(negative_slope), out)


def leaky_relu_backward(dy: Any, x: Any, *, negative_slope: float = 0.2, needs: Any = None) -> tuple:
    """Gradient of :func:`leaky_relu`: ``(dx,)``."""
    return activate_backward(dy, x, _leaky_relu(negative_slope), needs)


def _elu(alpha: Any) -> ActivationTuple:
    return ("elu", _numbers.as_float("elu", "alpha", alpha), 0.0)


def elu(x: Any, *, alpha: float = 1.0, out: Any = None) -> Any:
    """``x > 0 ? x : alpha * (exp(x) - 1)``, elementwise (Clevert et al. 2015).

    Args:
        x: float32 or float64 array of any shape.
        alpha: scale of the negative part.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.
    """
    return activate(x, _elu(alpha), out)


def elu_backward(dy: Any, x: Any, *, alpha: float = 1.0, needs: Any = None) -> tuple:
    """Gradient of :func:`elu`: ``(dx,)``."""
    return activate_backward(dy, x, _elu(alpha), needs)


def _gelu(approximate: Any) -> ActivationTuple:
    return ("gelu_tanh" if _numbers.as_bool("gelu", "approximate", approximate) else "gelu", 1.0, 0.0)


def gelu(x: Any, *, approximate: bool = False, out: Any = None) -> Any:
    """``x * Phi(x)`` with the normal distribution's Phi, elementwise (Hendrycks, Gimpel 2016).

    Args:
        x: float32 or float64 array of any shape.
        approximate: use the tanh approximation instead of erf.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.
    """
    return activate(x, _gelu(approximate), out)


def gelu_backward(dy: Any, x: Any, *, approximate: bool = False, needs: Any = None) -> tuple:
    """Gradient of :func:`gelu`: ``(dx,)``."""
    return activate_backward(dy, x, _gelu(approximate), needs)


def _threshold(value: Any) -> ActivationTuple:
    return ("threshold", _numbers.as_float("threshold", "value", value), 0.0)


def threshold(x: Any, value: float = 0.0, *, out: Any = None) -> Any:
    """``x > value ? 1 : 0``, elementwise: the perceptron's step. Its gradient is 0 everywhere.

    Args:
        x: float32 or float64 array of any shape.
        value: the step's place.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype; NaN stays NaN.
    """
    return activate(x, _threshold(value), out)


def threshold_backward(dy: Any, x: Any, value: float = 0.0, *, needs: Any = None) -> tuple:
    """Gradient of :func:`threshold`: ``(zeros,)``."""
    return activate_backward(dy, x, _threshold(value), needs)


def _scale(factor: Any, offset: Any) -> ActivationTuple:
    return (
        "linear",
        _numbers.as_float("scale", "factor", factor),
        _numbers.as_float("scale", "offset", offset),
    )


def scale(x: Any, factor: float, offset: float = 0.0, *, out: Any = None) -> Any:
    """``factor * x + offset``, elementwise.

    Args:
        x: float32 or float64 array of any shape.
        factor, offset: numbers.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.
    """
    return activate(x, _scale(factor, offset), out)


def scale_backward(dy: Any, x: Any, factor: float, offset: float = 0.0, *, needs: Any = None) -> tuple:
    """Gradient of :func:`scale`: ``(factor * dy,)``."""
    return activate_backward(dy, x, _scale(factor, offset), needs)


def _lower_prelu(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
    spec = _cpu.PreluSpec.make(dtype, *shapes)
    return Lowered(((spec.shape("y"), dtype),), (Call("prelu_forward", spec, (0, 1, 2)),))


def _lower_prelu_backward(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
    spec = _cpu.PreluSpec.make(dtype, shapes[1], shapes[2])
    expect_shape("prelu", "dy", shapes[0], spec.shape("y"))
    outputs = ((spec.shape("x"), dtype), (spec.shape("alpha"), wide(dtype)))
    return Lowered(outputs, (Call("prelu_backward", spec, (0, 1, 2, 3, 4)),))


PRELU: OpDef = register(
    OpDef("prelu", ("x", "alpha"), _lower_prelu, lambda g: apply(PRELU_BACKWARD, g.dys[0], *g.inputs), wide=("alpha",))
)
PRELU_BACKWARD: OpDef = register(OpDef("prelu_backward", ("dy", "x", "alpha"), _lower_prelu_backward, wide=("alpha",)))


def prelu(x: Any, alpha: Any, *, out: Any = None) -> Any:
    """``x > 0 ? x : alpha * x`` with a slope per trailing cell (He et al. 2015).

    Args:
        x: float32 or float64 array.
        alpha: slopes; its shape is x's last axes (leading ones allowed). Of x's dtype, but float32 where that has 16 bits.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.
    """
    return apply(PRELU, x, alpha, out=out)


def prelu_backward(dy: Any, x: Any, alpha: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`prelu`: ``(dx, dalpha)`` of the dtypes of x and alpha."""
    return backward(PRELU, dy, (x, alpha), {}, all_needs("prelu", needs, ("x", "alpha"), (True, True)))
