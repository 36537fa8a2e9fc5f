"""Convolution over sequences, computed as images of one row: Conv1D, Conv1DTranspose, DepthwiseConv1D, SeparableConv1D."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.convolution import Conv2DTranspose, DepthwiseConv2D, _Convolution
from fastconv.layers.separable import SeparableConv2D
from fastconv.ops import _numbers

__all__ = ["Conv1D", "Conv1DTranspose", "DepthwiseConv1D", "SeparableConv1D"]


class Conv1D(_Convolution):
    """1-D convolution (cross-correlation) along the steps of a sequence, computed as an image of one row.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: ints.
        padding: "valid", "same", "same_lower", "causal" (a step sees itself and earlier ones), a number or (before, after).
        groups, activation, use_bias, initializers: as in Keras.

    Input shape: (N, T, C). Output shape: (N, P, filters). Weights: kernel (R, C // groups, filters), bias.

    Example:
        >>> from fastconv import layers
        >>> layers.Conv1D(8, 3, padding="causal")(layers.Input((20, 4))).shape
        (None, 20, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        self.causal = isinstance(padding, str) and padding == "causal"
        super().__init__(
            (1, 1), activation=activation, use_bias=use_bias, data_format=data_format, padding="valid", **keywords
        )
        self.kernel_size = (1, _geometry.one_count(self.name, "kernel_size", kernel_size))
        self.stride = (1, _geometry.one_count(self.name, "strides", strides))
        self.dilation = (1, _geometry.one_count(self.name, "dilation_rate", dilation_rate))
        if self.causal:
            self.padding = ((0, 0), ((self.kernel_size[1] - 1) * self.dilation[1], 0))
        else:
            self.padding = _along_steps(self.name, padding)
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.groups = _numbers.as_count(self.name, "groups", groups)

    def build(self, input_shape: Any) -> None:
        _geometry.check_sequences(self.name, input_shape)
        channels = self._group_channels(input_shape[2], self.groups)
        self._build((self.kernel_size[1], channels, self.filters), self.filters)

    def call(self, inputs: Any) -> Any:
        y = ops.conv2d(
            _geometry.as_row(inputs),
            ops.reshape(self.kernel, (1, *self.kernel.shape)),
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return _geometry.as_sequence(self._activate(y))

    def get_config(self) -> dict[str, Any]:
        padding = self.padding if isinstance(self.padding, str) else list(self.padding[1])
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "kernel_size": [self.kernel_size[1]],
            "strides": [self.stride[1]],
            "dilation_rate": [self.dilation[1]],
            "padding": "causal" if self.causal else padding,
        }


class _AsRow(_Convolution):
    """A convolution over images, told to take sequences: numbers along steps, 1 along the rows there are none of."""

    def _take_sequences(self, kernel_size: Any, strides: Any, dilation_rate: Any) -> None:
        self.kernel_size = (1, _geometry.one_count(self.name, "kernel_size", kernel_size))
        self.stride = (1, _geometry.one_count(self.name, "strides", strides))
        self.dilation = (1, _geometry.one_count(self.name, "dilation_rate", dilation_rate))

    def build(self, input_shape: Any) -> None:
        _geometry.check_sequences(self.name, input_shape)
        n, steps, channels = input_shape
        super().build((n, 1, steps, channels))

    def call(self, inputs: Any) -> Any:
        return _geometry.as_sequence(super().call(_geometry.as_row(inputs)))

    def _filters(self, kernel: Any) -> Any:
        return ops.reshape(kernel, (1, *kernel.shape))

    def add_weight(self, shape: Any, *arguments: Any, **keywords: Any) -> Any:
        """Kernels have no axis of rows."""
        return super().add_weight(shape[1:] if len(shape) == 4 else shape, *arguments, **keywords)

    def get_config(self) -> dict[str, Any]:
        one = {key: [getattr(self, name)[1]] for key, name in _NUMBERS.items()}
        return {**super().get_config(), **one}


_NUMBERS = {"kernel_size": "kernel_size", "strides": "stride", "dilation_rate": "dilation"}


class Conv1DTranspose(_AsRow, Conv2DTranspose):
    """Transposed convolution over sequences: the adjoint of Conv1D in its input.

    Args:
        filters: number of output channels.
        kernel_size, strides, output_padding, dilation_rate: ints; the rest as in Conv2DTranspose.

    Input shape: (N, T, C). Output shape: (N, P, filters). Weights: kernel (R, filters, C), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(
            filters,
            (1, 1),
            padding=padding,
            data_format=data_format,
            activation=activation,
            use_bias=use_bias,
            **keywords,
        )
        self._take_sequences(kernel_size, strides, dilation_rate)
        if output_padding is not None:
            self.output_padding = (0, _geometry.one_count(self.name, "output_padding", output_padding, least=0))

    def get_config(self) -> dict[str, Any]:
        output_padding = None if self.output_padding is None else [self.output_padding[1]]
        return {**super().get_config(), "output_padding": output_padding}


class DepthwiseConv1D(_AsRow, DepthwiseConv2D):
    """Each channel of a sequence has its own ``depth_multiplier`` filters.

    Args:
        kernel_size, strides, dilation_rate: ints; the rest as in DepthwiseConv2D.

    Input shape: (N, T, C). Output shape: (N, P, C * depth_multiplier). Weights: kernel (R, C, depth_multiplier), bias.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        **keywords: Any,
    ) -> None:
        super().__init__(
            (1, 1),
            padding=padding,
            depth_multiplier=depth_multiplier,
            data_format=data_format,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            **keywords,
        )
        self._take_sequences(kernel_size, strides, dilation_rate)


class SeparableConv1D(_AsRow, SeparableConv2D):
    """A depthwise convolution over sequences, then a pointwise one.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: ints; the rest as in SeparableConv2D.

    Input shape: (N, T, C). Output shape: (N, P, filters). Weights: depthwise kernel (R, C, depth_multiplier), pointwise
    kernel (1, C * depth_multiplier, filters), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        **keywords: Any,
    ) -> None:
        super().__init__(
            filters,
            (1, 1),
            padding=padding,
            data_format=data_format,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            **keywords,
        )
        self._take_sequences(kernel_size, strides, dilation_rate)


def _along_steps(name: str, padding: Any) -> Any:
    """A mode, or numbers for an image of one row."""
    if isinstance(padding, str):
        return _numbers.as_layer_padding(name, padding)
    return ((0, 0), _numbers.as_counts(name, "padding", padding, least=0))
