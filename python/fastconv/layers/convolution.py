"""Convolution layers: Conv2D, DepthwiseConv2D, Conv2DTranspose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from fastconv import initializers, ops
from fastconv.layers import _geometry, activations
from fastconv.layers._rules import Ruled
from fastconv.layers.base import Layer
from fastconv.ops import _numbers
from fastconv.variables import Variable

__all__ = ["Conv2D", "Conv2DTranspose", "DepthwiseConv2D"]


class _Convolution(Layer):
    """What the convolution layers share: Keras's arguments, translated once into those of the ops."""

    ruled_weights: ClassVar[Ruled] = ("kernel", "bias")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.kernel_size = _numbers.as_counts(self.name, "kernel_size", kernel_size)
        self.stride = _numbers.as_counts(self.name, "strides", strides)
        self.dilation = _numbers.as_counts(self.name, "dilation_rate", dilation_rate)
        self.padding = _numbers.as_layer_padding(self.name, padding)
        self.activation = activation
        self._function = activations.get(self.name, activation)
        self.use_bias = _numbers.as_bool(self.name, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias: Variable | None = None

    def _channels(self, input_shape: Any) -> int:
        _geometry.check_images(self.name, input_shape)
        return input_shape[3]

    def _group_channels(self, channels: int, groups: int) -> int:
        if channels % groups:
            raise ValueError(
                f"[{self.name}] input channels must be divisible by groups: expected C % groups == 0, got C={channels}, "
                f"groups={groups}. Use a divisor of {channels}."
            )
        return channels // groups

    def _build(self, kernel_shape: tuple[int, ...], filters: int) -> None:
        self.kernel = self.add_weight(kernel_shape, self.kernel_initializer, "kernel")
        self._build_bias(filters)

    def _build_bias(self, filters: int) -> None:
        if self.use_bias:
            self.bias = self.add_weight((filters,), self.bias_initializer, "bias")

    def _filters(self, kernel: Any) -> Any:
        """A kernel as the ops take it: with two axes of taps."""
        return kernel

    def _activate(self, y: Any) -> Any:
        return activations.apply(self.name, self._function, y)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": list(self.kernel_size),
            "strides": list(self.stride),
            "padding": self.padding if isinstance(self.padding, str) else [list(side) for side in self.padding],
            "dilation_rate": list(self.dilation),
            "activation": activations.config_of(self.name, self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Conv2D(_Convolution):
    """2-D convolution (cross-correlation).

    Args:
        filters: number of output channels.
        kernel_size: int or (height, width).
        strides, padding, dilation_rate, groups, activation, use_bias, initializers, regularizers, constraints: as in Keras;
            ``padding`` may also be numbers, see ``fastconv.ops.conv2d``.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, filters). Weights: kernel (R, S, C // groups, filters), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, dilation_rate, activation, use_bias, data_format=data_format, **keywords
        )
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.groups = _numbers.as_count(self.name, "groups", groups)

    def build(self, input_shape: Any) -> None:
        channels = self._group_channels(self._channels(input_shape), self.groups)
        self._build((*self.kernel_size, channels, self.filters), self.filters)

    def call(self, inputs: Any) -> Any:
        y = ops.conv2d(
            inputs,
            self.kernel,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return self._activate(y)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class DepthwiseConv2D(_Convolution):
    """Each channel has its own ``depth_multiplier`` filters.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, C * depth_multiplier). Weights: kernel (R, S, C, depth_multiplier),
    bias. The kernel's other arguments are depthwise_regularizer and depthwise_constraint.
    """

    ruled_weights = (("depthwise", "kernel"), "bias")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        **keywords: Any,
    ) -> None:
        keywords.setdefault("kernel_initializer", depthwise_initializer)
        super().__init__(
            kernel_size, strides, padding, dilation_rate, activation, use_bias, data_format=data_format, **keywords
        )
        self.depth_multiplier = _numbers.as_count(self.name, "depth_multiplier", depth_multiplier)

    def build(self, input_shape: Any) -> None:
        channels = self._channels(input_shape)
        self._build((*self.kernel_size, channels, self.depth_multiplier), channels * self.depth_multiplier)

    def call(self, inputs: Any) -> Any:
        kernel = self._filters(self.kernel)
        r, s, channels, multiplier = kernel.shape
        y = ops.conv2d(
            inputs,
            ops.reshape(kernel, (r, s, 1, channels * multiplier)),
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=channels,
        )
        return self._activate(y)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class Conv2DTranspose(_Convolution):
    """Transposed convolution ("deconvolution"): the adjoint of Conv2D in its input.

    Args:
        filters: number of output channels.
        kernel_size, strides, padding, dilation_rate, activation, use_bias: as in Keras.
        output_padding: extra rows and columns at the end; None as in Keras: "valid" gives
            ``(H - 1) * stride + max(kernel, stride)``, "same" gives ``H * stride``. A number with "same" gives
            ``(H - 1) * stride + kernel % 2 + output_padding``.

    Input shape: (N, H, W, C). Output shape: (N, P, Q, filters). Weights: kernel (R, S, filters, C), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, dilation_rate, activation, use_bias, data_format=data_format, **keywords
        )
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = _numbers.as_counts(self.name, "output_padding", output_padding, least=0)

    def build(self, input_shape: Any) -> None:
        self._build((*self.kernel_size, self.filters, self._channels(input_shape)), self.filters)

    def call(self, inputs: Any) -> Any:
        padding, output_padding = transpose_pads(
            self.kernel_size, self.stride, self.dilation, self.padding, self.output_padding
        )
        y = ops.conv2d_transpose(
            inputs,
            self._filters(self.kernel),
            self.bias,
            stride=self.stride,
            padding=padding,
            output_padding=output_padding,
            dilation=self.dilation,
        )
        return self._activate(y)

    def get_config(self) -> dict[str, Any]:
        output_padding = list(self.output_padding) if self.output_padding else None
        return {**super().get_config(), "filters": self.filters, "output_padding": output_padding}


def transpose_pads(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Any,
    output_padding: Sequence[int] | None,
) -> tuple[Any, tuple[int, int]]:
    """Keras's rules for two axes as numbers: the op's padding and output_padding."""
    effective = [(k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    if padding == "valid" and output_padding is None:
        extra = [max(s - e, 0) for s, e in zip(stride, effective, strict=True)]
        return 0, (extra[0], extra[1])
    if padding == "same" and output_padding is not None:
        (top, bottom), (left, right) = map(same_crops, effective, output_padding)
        return ((top, max(bottom, 0)), (left, max(right, 0))), (max(-bottom, 0), max(-right, 0))
    rows, columns = output_padding or (0, 0)
    return padding, (rows, columns)


def same_crops(effective: int, output_padding: int) -> tuple[int, int]:
    """Cells cut off before and after one axis: Keras's rule for "same" with an explicit ``output_padding``, which makes the
    extent ``(H - 1) * stride + effective % 2 + output_padding``. A negative number adds cells."""
    kept = effective + effective % 2 - 2 + output_padding
    before = min((kept + 1) // 2, effective - 1)
    return effective - 1 - before, effective - 1 - (kept - before)
