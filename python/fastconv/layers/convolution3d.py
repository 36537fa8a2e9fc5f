"""Convolution over volumes: Conv3D, Conv3DTranspose."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.convolution import _Convolution, same_crops, transpose_pads
from fastconv.ops import _numbers

__all__ = ["Conv3D", "Conv3DTranspose"]


class _Convolution3D(_Convolution):
    """Keras's arguments for three axes: depth, height, width."""

    def __init__(self, kernel_size: Any, strides: Any, padding: Any, dilation_rate: Any, **keywords: Any) -> None:
        super().__init__((1, 1), **keywords)
        self.kernel_size: Any = _geometry.three_counts(self.name, "kernel_size", kernel_size)
        self.stride: Any = _geometry.three_counts(self.name, "strides", strides)
        self.dilation: Any = _geometry.three_counts(self.name, "dilation_rate", dilation_rate)
        modes = isinstance(padding, str)
        self.padding: Any = (_numbers.as_layer_padding if modes else _geometry.three_pads)(self.name, padding)


class Conv3D(_Convolution3D):
    """3-D convolution (cross-correlation) over volumes, e.g. of video or of a scan.

    Args:
        filters: number of output channels.
        kernel_size, strides, dilation_rate: ints or (depth, height, width).
        padding: "valid", "same", "same_lower", or numbers: see ``fastconv.ops.conv3d``.
        groups, activation, use_bias, initializers: as in Keras.

    Input shape: (N, D, H, W, C). Output shape: (N, O, P, Q, filters). Weights: kernel (T, R, S, C // groups, filters), bias.

    Example:
        >>> from fastconv import layers
        >>> layers.Conv3D(8, (3, 5, 5), padding="same")(layers.Input((16, 32, 32, 3))).shape
        (None, 16, 32, 32, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            data_format=data_format,
            **keywords,
        )
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.groups = _numbers.as_count(self.name, "groups", groups)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)
        channels = self._group_channels(input_shape[4], self.groups)
        self._build((*self.kernel_size, channels, self.filters), self.filters)

    def call(self, inputs: Any) -> Any:
        y = ops.conv3d(
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


class Conv3DTranspose(_Convolution3D):
    """Transposed convolution: the adjoint of Conv3D in its input.

    A transposed convolution of all slices paints every tap along depth; folding adds the taps up.

    Args:
        filters: number of output channels.
        kernel_size, strides, padding, dilation_rate, activation, use_bias: as in Keras; ``padding`` may also be numbers.
        output_padding: as in Conv2DTranspose.

    Input shape: (N, D, H, W, C). Output shape: (N, O, P, Q, filters). Weights: kernel (T, R, S, filters, C), bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: Any = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        **keywords: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            data_format=data_format,
            **keywords,
        )
        if self.padding == "same_lower":
            raise ValueError(
                f"[{self.name}] padding is not known: expected 'valid', 'same' or numbers, got padding={padding!r}. Use one "
                "of these."
            )
        self.filters = _numbers.as_count(self.name, "filters", filters)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = _geometry.three_counts(self.name, "output_padding", output_padding, least=0)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)
        self._build((*self.kernel_size, self.filters, input_shape[4]), self.filters)

    def _along_depth(self, slices: int) -> tuple[int, Any]:
        """How many slices the result has, and the pads along depth of the convolution it would come from."""
        taps, stride, dilation = self.kernel_size[0], self.stride[0], self.dilation[0]
        effective = (taps - 1) * dilation + 1
        whole = (slices - 1) * stride
        if not isinstance(self.padding, str):
            extra = self.output_padding[0] if self.output_padding else 0
            return whole + effective - sum(self.padding[0]) + extra, self.padding[0]
        if self.output_padding is None:
            return (whole + max(effective, stride), 0) if self.padding == "valid" else (slices * stride, "same")
        if self.padding == "valid":
            return whole + effective + self.output_padding[0], 0
        before, after = same_crops(effective, self.output_padding[0])
        return whole + effective - before - after, (before, max(after, 0))

    def call(self, inputs: Any) -> Any:
        n, slices, height, width, channels = inputs.shape
        t, r, s, filters, _ = self.kernel.shape
        plane = (self.kernel_size[1:], self.stride[1:], self.dilation[1:])
        extra = None if self.output_padding is None else self.output_padding[1:]
        around = self.padding if isinstance(self.padding, str) else self.padding[1:]
        padding, output_padding = transpose_pads(*plane, around, extra)
        columns = ops.conv2d_transpose(
            ops.reshape(inputs, (n * slices, height, width, channels)),
            ops.reshape(ops.transpose(self.kernel, (1, 2, 0, 3, 4)), (r, s, t * filters, channels)),
            stride=self.stride[1:],
            padding=padding,
            output_padding=output_padding,
            dilation=self.dilation[1:],
        )
        depth, pads = self._along_depth(slices)
        y = ops.fold_depth(
            ops.reshape(columns, (n, slices, *columns.shape[1:])),
            depth,
            t,
            stride=self.stride[0],
            padding=pads,
            dilation=self.dilation[0],
        )
        return self._activate(y if self.bias is None else ops.add(y, self.bias))

    def get_config(self) -> dict[str, Any]:
        output_padding = list(self.output_padding) if self.output_padding else None
        return {**super().get_config(), "filters": self.filters, "output_padding": output_padding}
