"""Activations by name, and as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv import initializers, ops
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
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "threshold": ops.threshold,
    "step": ops.threshold,  # 1 above 0, else 0: the perceptron's
}


def get(owner: str, activation: Any) -> Callable[[Any], Any] | None:
    """The function for ``activation=``: a name, any callable on ops' values, or None ("linear")."""
    if activation is None or activation == "linear":
        return None
    if isinstance(activation, str):
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
        return self._function(inputs) if self._function else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": config_of(self.name, self.activation)}


class ReLU(Layer):
    """``max(x, 0)``, optionally capped and leaking, as Keras's layer.

    Args:
        max_value: cap; None or 6.
        negative_slope: slope below zero.
        threshold: must be 0.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        negative_slope = _numbers.as_float(self.name, "negative_slope", negative_slope)
        if threshold != 0 or (max_value is not None and (max_value != 6 or negative_slope != 0)):
            raise ValueError(
                f"[{self.name}] this combination is not supported: expected threshold=0 and max_value None, or 6 with "
                f"negative_slope=0, got max_value={max_value}, negative_slope={negative_slope}, threshold={threshold}. "
                "Write the function with fastconv.ops."
            )
        self.max_value = max_value
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        if self.max_value is not None:
            return ops.relu6(inputs)
        return ops.leaky_relu(inputs, negative_slope=self.negative_slope) if self.negative_slope else ops.relu(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value, "negative_slope": self.negative_slope}


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
    """Softmax over the last axis."""

    def __init__(self, axis: int = -1, **keywords: Any) -> None:
        super().__init__(**keywords)
        if axis != -1:
            raise ValueError(
                f"[{self.name}] axis must be the last one: expected axis=-1, got axis={axis!r}. Transpose the data."
            )

    def call(self, inputs: Any) -> Any:
        return ops.softmax(inputs)


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
        self.shared_axes = [_numbers.as_int(self.name, "shared_axes", axis) for axis in shared_axes or ()]

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
