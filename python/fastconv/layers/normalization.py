"""BatchNormalization, LayerNormalization and GroupNormalization."""

from __future__ import annotations

from typing import Any

from fastconv import initializers, ops
from fastconv.graph import Value, record_update
from fastconv.layers._geometry import channels_of
from fastconv.layers.base import Layer
from fastconv.ops import _numbers
from fastconv.variables import Variable

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization"]


class _Normalization(Layer):
    """Epsilon, and the affine part that both kinds have."""

    ruled_weights = ("beta", "gamma")

    def __init__(
        self,
        axis: int,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        if _numbers.as_int(self.name, "axis", axis) != -1:
            raise ValueError(
                f"[{self.name}] axis must be the last one: expected axis=-1, got axis={axis!r}. Transpose the data."
            )
        self.epsilon = _numbers.as_positive(self.name, "epsilon", epsilon)
        self.center = _numbers.as_bool(self.name, "center", center)
        self.scale = _numbers.as_bool(self.name, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def build(self, input_shape: Any) -> None:
        shape = (channels_of(self.name, input_shape),)
        if self.scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, "gamma")
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, "beta")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
        }


class BatchNormalization(_Normalization):
    """Normalises each channel by the batch's statistics in training, by moving ones in inference.

    Args:
        momentum: ``moving = momentum * moving + (1 - momentum) * batch``.
        epsilon: added to the variance.
        center, scale: whether there are beta and gamma.

    Input shape / Output shape: (N, ..., C), the same. Weights: gamma, beta, moving_mean, moving_variance, all (C,).
    A layer with ``trainable=False`` runs in inference mode, as in Keras.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **keywords: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, **keywords)
        self.momentum = _numbers.as_float_in(self.name, "momentum", momentum, 0, 1)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        shape = (input_shape[-1],)
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, "moving_mean", trainable=False)
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, "moving_variance", trainable=False
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        statistics = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        if not (training and self.trainable):
            return ops.batch_norm(inputs, *statistics, epsilon=self.epsilon)
        y, mean, variance = ops.batch_norm(
            inputs, *statistics, epsilon=self.epsilon, training=True, momentum=self.momentum
        )
        for variable, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            if isinstance(new, Value):
                record_update(variable, new)
            else:
                variable.assign(new)
        return y

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }


class LayerNormalization(_Normalization):
    """Normalises each sample's last axis by its own statistics.

    Input shape / Output shape: (N, ..., D), the same. Weights: gamma, beta, both (D,).
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **keywords: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, **keywords)

    def call(self, inputs: Any) -> Any:
        return ops.layer_norm(inputs, self.gamma, self.beta, epsilon=self.epsilon)


class GroupNormalization(_Normalization):
    """Normalises groups of channels of each sample by their own statistics.

    Args:
        groups: how many; a divisor of the channels. -1: a group per channel, which is instance normalisation; 1: one of all.

    Input shape / Output shape: (N, ..., C), the same. Weights: gamma, beta, both (C,).

    Source: Wu, He, Group Normalization, 2018.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **keywords: Any,
    ) -> None:
        super().__init__(axis, epsilon, center, scale, beta_initializer, gamma_initializer, **keywords)
        self.groups = _numbers.as_int(self.name, "groups", groups)
        if self.groups != -1:
            _numbers.as_count(self.name, "groups", groups)

    def build(self, input_shape: Any) -> None:
        channels = channels_of(self.name, input_shape)
        if channels % self.groups:
            raise ValueError(
                f"[{self.name}] groups must divide the channels: expected C % groups == 0, got C={channels}, "
                f"groups={self.groups}. Use a divisor of {channels}, or -1 for a group per channel."
            )
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        groups = inputs.shape[-1] if self.groups == -1 else self.groups
        return ops.group_norm(inputs, self.gamma, self.beta, groups, epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}
