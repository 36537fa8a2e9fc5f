"""SeparableConv2D: a depthwise convolution, then a pointwise one."""

from __future__ import annotations

from typing import Any

from fastconv import initializers, ops
from fastconv.layers.convolution import _Convolution
from fastconv.ops import _numbers

__all__ = ["SeparableConv2D"]


class SeparableConv2D(_Convolution):
    """Each channel has ``depth_multiplier`` filters of its own; 1x1 filters then mix the channels.

    Args:
        filters: number of output channels.
        kernel_size, strides, padding, dilation_rate: of the depthwise part, as in Keras.
        depth_multiplier: filters per channel.
        depthwise_initializer, pointwise_initializer, bias_initializer, activation, use_bias: as in Keras.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, filters). Weights: depthwise kernel (R, S, C, depth_multiplier),
    pointwise kernel (1, 1, C * depth_multiplier, filters), bias.

    Source: F. Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017.
    """

    ruled_weights = (("depthwise", "depthwise_kernel"), ("pointwise", "pointwise_kernel"), "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        **keywords: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            data_format=data_format,
            **keywords,
        )
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.depth_multiplier = _numbers.as_count(self.name, "depth_multiplier", depth_multiplier)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.kernel_initializer, "depthwise_kernel"
        )
        self.pointwise_kernel = self.add_weight(
            (1, 1, channels * self.depth_multiplier, self.filters), self.pointwise_initializer, "pointwise_kernel"
        )
        self._build_bias(self.filters)

    def call(self, inputs: Any) -> Any:
        depthwise = self._filters(self.depthwise_kernel)
        r, s, channels, multiplier = depthwise.shape
        y = ops.conv2d(
            inputs,
            ops.reshape(depthwise, (r, s, 1, channels * multiplier)),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=channels,
        )
        return self._activate(ops.conv2d(y, self._filters(self.pointwise_kernel), self.bias))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["depthwise_initializer"] = config.pop("kernel_initializer")
        return {
            **config,
            "filters": self.filters,
            "depth_multiplier": self.depth_multiplier,
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
        }
