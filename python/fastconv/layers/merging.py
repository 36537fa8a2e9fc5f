"""Layers that join branches."""

from __future__ import annotations

import functools
from typing import Any

from fastconv import ops
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


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


class Average(_Merge):
    """Mean of the inputs (they broadcast)."""

    def call(self, inputs: Any) -> Any:
        return ops.scale(functools.reduce(ops.add, inputs), 1 / len(inputs))


class Maximum(_Merge):
    """Largest of the inputs, cell by cell (they broadcast); of equal ones the gradient goes to the first."""

    def call(self, inputs: Any) -> Any:
        return functools.reduce(ops.maximum, inputs)


class Minimum(_Merge):
    """Smallest of the inputs, cell by cell (they broadcast); of equal ones the gradient goes to the first."""

    def call(self, inputs: Any) -> Any:
        return functools.reduce(ops.minimum, inputs)


class Dot(_Merge):
    """Scalar product of two vectors per sample.

    Args:
        axes: 1 or -1, or a pair of these: the one axis that vectors have.
        normalize: must be False.

    Input shape: two of (N, D). Output shape: (N, 1).
    """

    def __init__(self, axes: Any, normalize: bool = False, **keywords: Any) -> None:
        super().__init__(**keywords)
        pair = _numbers.as_pair(self.name, "axes", axes)
        if not set(pair) <= {1, -1}:
            raise ValueError(
                f"[{self.name}] axes must be that of vectors: expected 1 or -1, got axes={axes!r}. Flatten the inputs."
            )
        if _numbers.as_bool(self.name, "normalize", normalize):
            raise ValueError(
                f"[{self.name}] cosines are not supported: expected normalize=False, got True. Use a layer of your own."
            )
        self.axes = axes if isinstance(axes, int) else list(pair)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if len(input_shape) != 2 or input_shape[0] != input_shape[1] or len(input_shape[0]) != 2:
            raise ValueError(
                f"[{self.name}] inputs must be two vectors of one length: expected [(N, D), (N, D)], got {input_shape}. "
                "Flatten them."
            )

    def call(self, inputs: Any) -> Any:
        n, length = inputs[0].shape
        products = ops.reshape(ops.multiply(*inputs), (n, 1, length, 1))
        return ops.reshape(ops.sum_pool2d(products, (1, length)), (n, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": False}


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


def add(inputs: Any, **keywords: Any) -> Any:
    """``Add(**keywords)(inputs)``."""
    return Add(**keywords)(inputs)


def subtract(inputs: Any, **keywords: Any) -> Any:
    """``Subtract(**keywords)(inputs)``."""
    return Subtract(**keywords)(inputs)


def multiply(inputs: Any, **keywords: Any) -> Any:
    """``Multiply(**keywords)(inputs)``."""
    return Multiply(**keywords)(inputs)


def average(inputs: Any, **keywords: Any) -> Any:
    """``Average(**keywords)(inputs)``."""
    return Average(**keywords)(inputs)


def maximum(inputs: Any, **keywords: Any) -> Any:
    """``Maximum(**keywords)(inputs)``."""
    return Maximum(**keywords)(inputs)


def minimum(inputs: Any, **keywords: Any) -> Any:
    """``Minimum(**keywords)(inputs)``."""
    return Minimum(**keywords)(inputs)


def dot(inputs: Any, axes: Any = -1, **keywords: Any) -> Any:
    """``Dot(axes, **keywords)(inputs)``."""
    return Dot(axes, **keywords)(inputs)


def concatenate(inputs: Any, axis: int = -1, **keywords: Any) -> Any:
    """``Concatenate(axis, **keywords)(inputs)``."""
    return Concatenate(axis, **keywords)(inputs)
