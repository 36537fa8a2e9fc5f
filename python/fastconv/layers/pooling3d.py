"""Pooling over volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = ["AveragePooling3D", "GlobalAveragePooling3D", "GlobalMaxPooling3D", "MaxPooling3D"]


class _Pooling3D(Layer):
    """What the windowed layers share.

    Args:
        pool_size: int or (depth, height, width). strides: None means pool_size.
        padding: "valid", "same", "same_lower" or numbers.

    Input shape: (N, D, H, W, C). Output shape: (N, O, P, Q, C). No weights.
    """

    _op: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: Any = "valid",
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.pool_size = _geometry.three_counts(self.name, "pool_size", pool_size)
        self.stride = self.pool_size if strides is None else _geometry.three_counts(self.name, "strides", strides)
        modes = isinstance(padding, str)
        self.padding: Any = (_numbers.as_layer_padding if modes else _geometry.three_pads)(self.name, padding)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, self.pool_size, stride=self.stride, padding=self.padding)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.stride),
            "padding": self.padding if isinstance(self.padding, str) else [list(side) for side in self.padding],
        }


class MaxPooling3D(_Pooling3D):
    """Maximum over windows."""

    _op = staticmethod(ops.max_pool3d)


class AveragePooling3D(_Pooling3D):
    """Average over windows; padding does not count."""

    _op = staticmethod(ops.avg_pool3d)


class _GlobalPooling3D(Layer):
    """(N, D, H, W, C) -> (N, C), or (N, 1, 1, 1, C) with ``keepdims``."""

    _op: ClassVar[Callable[..., Any]]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.keepdims = _numbers.as_bool(self.name, "keepdims", keepdims)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        n, depth, height, width, channels = inputs.shape
        y = type(self)._op(
            ops.reshape(inputs, (n, depth * height, width, channels))
        )  # all cells of a volume: one image
        return ops.reshape(y, (n, 1, 1, 1, channels)) if self.keepdims else y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling3D(_GlobalPooling3D):
    """Maximum of each channel over the volume."""

    _op = staticmethod(ops.global_max_pool2d)


class GlobalAveragePooling3D(_GlobalPooling3D):
    """Average of each channel over the volume."""

    _op = staticmethod(ops.global_avg_pool2d)
