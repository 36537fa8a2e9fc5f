"""Layers that move, repeat or pass on cells, or call a function of the user's: Permute, UpSampling3D, Identity, Lambda."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from fastconv import _arguments, ops
from fastconv.layers import _geometry
from fastconv.layers.base import Layer
from fastconv.ops import _numbers

__all__ = ["Identity", "Lambda", "Permute", "UpSampling3D"]


class Permute(Layer):
    """The axes of every sample in another order.

    Args:
        dims: every axis of a sample once; 1 is the first after the batch.

    Example:
        >>> from fastconv import layers
        >>> layers.Permute((3, 1, 2))(layers.Input((32, 48, 3))).shape
        (None, 3, 32, 48)
    """

    def __init__(self, dims: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.dims = tuple(
            _numbers.as_int(self.name, "dims", axis) for axis in _arguments.items(self.name, "dims", dims)
        )
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"[{self.name}] dims must name every axis of a sample once: expected a permutation of 1 to {len(self.dims)}, "
                f"got dims={self.dims}. The batch stays in front."
            )

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"[{self.name}] rank {len(self.dims) + 1} expected, got {len(input_shape)}: expected one of dims={self.dims} "
                f"for each axis of a sample, got input of shape {tuple(input_shape)}. List them all."
            )

    def call(self, inputs: Any) -> Any:
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": list(self.dims)}


class UpSampling3D(Layer):
    """Every cell of a volume repeated along depth, height and width.

    Args:
        size: int or (depth, height, width).

    Input shape: (N, D, H, W, C). Output shape: (N, D * size[0], H * size[1], W * size[2], C).
    """

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.size = _geometry.three_counts(self.name, "size", size)

    def build(self, input_shape: Any) -> None:
        _geometry.check_volumes(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        n, depth, height, width, channels = inputs.shape
        slices, rows, columns = self.size
        images = ops.repeat_pixels(ops.reshape(inputs, (n * depth, height, width, channels)), (rows, columns))
        pixels = height * rows * width * columns
        y = ops.repeat_pixels(ops.reshape(images, (n, depth, pixels, channels)), (slices, 1))
        return ops.reshape(y, (n, depth * slices, height * rows, width * columns, channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size)}


class Identity(Layer):
    """Passes its input on."""

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function of the user's as a layer; its gradient follows from the operations in it.

    Args:
        function: ``f(inputs, **arguments)``, or with ``training``, written with ``fastconv.ops``.
        output_shape, mask: must be None: shapes follow from the operations, and there are no masks.
        arguments: further keywords for the function.

    A model with such a layer cannot be saved, since a file holds no code: derive a class from Layer for that.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        if not callable(function):
            raise TypeError(
                f"[{self.name}] function must be callable: expected a function, got {type(function).__name__}. Pass one."
            )
        for name, value in (("output_shape", output_shape), ("mask", mask)):
            if value is not None:
                raise ValueError(f"[{self.name}] {name} is not supported: expected None, got {value!r}. Leave it out.")
        self.function = function
        self.arguments = dict(arguments or {})
        self._knows_training = "training" in signature(function).parameters

    def call(self, inputs: Any, training: bool = False) -> Any:
        training_too = {"training": training} if self._knows_training else {}
        return self.function(inputs, **self.arguments, **training_too)

    def get_config(self) -> dict[str, Any]:
        raise ValueError(
            f"[{self.name}] a Lambda layer cannot be saved: expected a layer class, got a function. Derive a class from "
            "fastconv.layers.Layer and give it to load_model in custom_objects; or save the weights alone."
        )
