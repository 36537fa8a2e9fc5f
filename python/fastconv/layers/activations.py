"""Activations by name, and as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastconv import initializers, ops
from fastconv.graph import is_symbolic
from fastconv.layers import functions
from fastconv.layers._results import check_results
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = ["ELU", "GELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax", "get"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "leaky_relu": ops.leaky_relu,
    "elu": ops.elu,
    "selu": ops.selu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "swish": ops.silu,
    "hard_sigmoid": ops.hard_sigmoid,
    "hard_swish": ops.hard_swish,
    "hard_silu": ops.hard_swish,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "softmax": functions.softmax,
    "log_softmax": functions.log_softmax,
    "threshold": ops.threshold,
    "step": ops.threshold,  # 1 above 0, else 0: the perceptron's
    "celu": functions.celu,
    "exponential": ops.exponential,
    "glu": functions.glu,
    "hard_shrink": functions.hard_shrink,
    "hard_tanh": functions.hard_tanh,
    "log_sigmoid": functions.log_sigmoid,
    "mish": ops.mish,
    "soft_shrink": functions.soft_shrink,
    "softsign": ops.softsign,
    "sparse_plus": ops.sparse_plus,
    "sparse_sigmoid": functions.sparse_sigmoid,
    "sparsemax": functions.sparsemax,
    "squareplus": ops.squareplus,
    "tanh_shrink": functions.tanh_shrink,
}


def get(owner: str, activation: Any) -> Callable[[Any], Any] | None:
    """The function for ``activation=``: a name, any callable on ops' values, or None ("linear")."""
    if activation is None:
        return None
    if isinstance(activation, str):
        if activation == "linear":
            return None
        if activation not in _FUNCTIONS:
            raise ValueError(
                f"[{owner}] activation is not known: expected one of linear, {', '.join(_FUNCTIONS)}, got "
                f"activation={activation!r}. Use one of these, or pass a function."
            )
        return _FUNCTIONS[activation]
    if isinstance(activation, type) or not callable(activation):
        raise TypeError(
            f"[{owner}] activation must be a name or a function: expected str or callable, got activation={activation!r} "
            f"({type(activation).__name__}). For example 'relu'."
        )
    return activation


def apply(owner: str, function: Callable[[Any], Any] | None, x: Any) -> Any:
    """``function``, as :func:`get` gave it, of ``x``."""
    if function is None:
        return x
    y = function(x)
    source = f"the activation {getattr(function, '__name__', type(function).__name__)}"
    check_results(owner, source, y, is_symbolic(x))
    return y


def config_of(owner: str, activation: Any) -> str | None:
    """What a saved model says for ``activation``: its name."""
    if activation is None or isinstance(activation, str):
        return activation
    for name, function in _FUNCTIONS.items():
        if activation is function:
            return name
    raise ValueError(
        f"[{owner}] a function of your own cannot be saved: expected an activation by name, got {activation!r}. "
        "Use a name, or a layer class of your own with custom_objects."
    )


class Activation(Layer):
    """Applies an activation.

    Args:
        activation: its name, e.g. "relu", or a function.

    Input shape / Output shape: any, the same.
    """

    def __init__(self, activation: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.activation = activation
        self._function = get(self.name, activation)

    def call(self, inputs: Any) -> Any:
        return apply(self.name, self._function, inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": config_of(self.name, self.activation)}


class ReLU(Layer):
    """``x`` above ``threshold``, capped at ``max_value``; below it ``negative_slope * (x - threshold)``.

    Args:
        max_value: cap, >= 0; None for none.
        negative_slope: slope below the threshold, >= 0.
        threshold: where the function begins, >= 0.

    Input shape / Output shape: any, the same.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        given = {"max_value": max_value, "negative_slope": negative_slope, "threshold": threshold}
        for name, value in given.items():
            if (name != "max_value" or value is not None) and _numbers.as_float(self.name, name, value) < 0:
                raise ValueError(
                    f"[{self.name}] {name} must not be negative: expected >= 0, got {value}. Use LeakyReLU."
                )
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        if self.threshold == 0 and self.max_value is None:
            return (
                ops.leaky_relu(inputs, negative_slope=self.negative_slope) if self.negative_slope else ops.relu(inputs)
            )
        if self.threshold == 0 and self.max_value == 6 and not self.negative_slope:
            return ops.relu6(inputs)
        above = ops.shrink(inputs, self.threshold) if self.threshold else inputs
        y = ops.relu(above) if self.max_value is None else ops.clip(above, 0.0, self.max_value)
        if not self.negative_slope:
            return y
        below = ops.relu(ops.scale(inputs, -1.0, self.threshold))
        return ops.subtract(y, ops.scale(below, self.negative_slope))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """``x > 0 ? x : negative_slope * x``; Keras's default slope is 0.3."""

    def __init__(self, negative_slope: float = 0.3, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.negative_slope = _numbers.as_float(self.name, "negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """``x > 0 ? x : alpha * (exp(x) - 1)``."""

    def __init__(self, alpha: float = 1.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.alpha = _numbers.as_float(self.name, "alpha", alpha)

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class GELU(Layer):
    """``x * Phi(x)``; ``approximate=True`` uses the tanh form."""

    def __init__(self, approximate: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.approximate = _numbers.as_bool(self.name, "approximate", approximate)

    def call(self, inputs: Any) -> Any:
        return ops.gelu(inputs, approximate=self.approximate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "approximate": self.approximate}


class Softmax(Layer):
    """Softmax over one axis, or over several together.

    Args:
        axis: which, not the batch's; the last is the fastest, others are moved there and back.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **keywords: Any) -> None:
        super().__init__(**keywords)
        numbers = [_numbers.as_int(self.name, "axis", a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
        self.axis: Any = numbers[0] if len(numbers) == 1 else numbers

    def build(self, input_shape: Any) -> None:
        functions.sample_axes(self.name, self.axis, len(input_shape))

    def call(self, inputs: Any) -> Any:
        return functions.softmax(inputs, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class PReLU(Layer):
    """``x > 0 ? x : alpha * x`` with learned slopes, one per cell, or shared along some axes.

    Args:
        alpha_initializer: initial slopes.
        shared_axes: axes (1 is the first after the batch) along which one slope serves all; leading ones only, e.g.
            [1, 2] for one slope per channel of an image.

    Weights: alpha, the input's shape with ones for the batch and the shared axes (without the batch axis, as Keras's).
    """

    ruled_weights = ("alpha",)

    def __init__(self, alpha_initializer: Any = "zeros", shared_axes: Any = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.shared_axes = [_numbers.as_int(self.name, "shared_axes", axis) for axis in self._axes(shared_axes)]

    def _axes(self, shared_axes: Any) -> list[Any]:
        if isinstance(shared_axes, (list, tuple)) or shared_axes is None:
            return list(shared_axes or ())
        raise TypeError(
            f"[{self.name}] shared_axes must be a list: expected axes, got shared_axes={shared_axes!r} "
            f"({type(shared_axes).__name__}). Pass [1, 2] for images."
        )

    def build(self, input_shape: Any) -> None:
        if self.shared_axes != list(range(1, len(self.shared_axes) + 1)) or len(self.shared_axes) >= len(input_shape):
            raise ValueError(
                f"[{self.name}] shared_axes must be the leading axes after the batch: expected a prefix of "
                f"{list(range(1, len(input_shape) - 1))}, got shared_axes={self.shared_axes}. Transpose the data."
            )
        shape = [1 if i in self.shared_axes else extent for i, extent in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(shape, self.alpha_initializer, "alpha")

    def call(self, inputs: Any) -> Any:
        return ops.prelu(inputs, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "shared_axes": self.shared_axes,
        }
