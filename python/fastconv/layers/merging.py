"""Layers that join branches, and zero padding."""

from __future__ import annotations

import functools
from typing import Any

from fastconv import ops
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = ["Add", "Concatenate", "Multiply", "Subtract", "ZeroPadding2D"]


class _Merge(Layer):
    """Takes a list of at least two inputs."""

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list) or len(input_shape) < 2:
            raise ValueError(
                f"[{self.name}] inputs must be a list of at least 2 tensors: expected [a, b, ...], got shape {input_shape}. "
                "Call the layer on a list."
            )


class Add(_Merge):
    """Sum of the inputs (they broadcast)."""

    def call(self, inputs: Any) -> Any:
        return functools.reduce(ops.add, inputs)


class Subtract(_Merge):
    """First input minus the second."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2:
            raise ValueError(
                f"[{self.name}] inputs must be 2 tensors: expected [a, b], got {len(input_shape)}. Use Add."
            )

    def call(self, inputs: Any) -> Any:
        return ops.subtract(*inputs)


class Multiply(_Merge):
    """Product of the inputs (they broadcast)."""

    def call(self, inputs: Any) -> Any:
        return functools.reduce(ops.multiply, inputs)


class Concatenate(_Merge):
    """The inputs one after another along ``axis``."""

    def __init__(self, axis: int = -1, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.axis = _numbers.as_int(self.name, "axis", axis)
        if self.axis == 0:
            raise ValueError(
                f"[{self.name}] axis must not be the batch: expected axis != 0, got axis=0. Use -1 for channels."
            )

    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class ZeroPadding2D(Layer):
    """Rows and columns of zeros around images.

    Args:
        padding: int, (height, width) or ((top, bottom), (left, right)).
    """

    def __init__(self, padding: Any = (1, 1), **keywords: Any) -> None:
        super().__init__(**keywords)
        pads = _numbers.as_layer_padding(self.name, padding)
        if isinstance(pads, str):
            raise TypeError(
                f"[{self.name}] padding must be numbers: expected int or pairs, got padding={padding!r}. Pass ints."
            )
        self.padding = pads

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 4:
            raise ValueError(
                f"[{self.name}] rank 4 expected, got {len(input_shape)}: expected images (N, H, W, C), got {input_shape}. "
                "Add Reshape, or a channel axis with x[..., None]."
            )

    def call(self, inputs: Any) -> Any:
        return ops.pad(inputs, ((0, 0), *self.padding, (0, 0)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": [list(side) for side in self.padding]}
