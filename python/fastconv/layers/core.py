"""Input, Dense, and the layers that reshape, drop and scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv import initializers, ops
from fastconv.layers import activations
from fastconv.layers._geometry import check_data_format, check_single
from fastconv.layers.base import Layer
from fastconv.layers.symbolic import LayerCall, SymbolicTensor, as_batch_shape
from fastconv.ops import _numbers
from fastconv.variables import Seed, Variable

__all__ = ["Dense", "Dropout", "Flatten", "Input", "InputLayer", "Rescaling", "Reshape"]


class InputLayer(Layer):
    """The place where data enters a model; passes them through unchanged and has no weights."""

    autocast = False

    def __init__(self, shape: Any = None, **keywords: Any) -> None:
        if shape is not None:
            keywords["input_shape"] = shape
        super().__init__(**keywords)
        if self.declared_input_shape is None:
            raise ValueError(
                f"[{self.name}] shape must be given: expected the shape of one sample, got None. Give e.g. (32, 32, 3)."
            )
        self.output = SymbolicTensor(self.declared_input_shape, self.dtype, LayerCall(self, (), False))

    def call(self, inputs: Any) -> Any:
        return inputs


def Input(
    shape: Any = None, *, name: str | None = None, dtype: str | None = None, batch_shape: Any = None
) -> SymbolicTensor:
    """A symbolic tensor for the functional API.

    Args:
        shape: of one sample, without the batch axis, e.g. (32, 32, 3).
        name: of the input layer.
        dtype: "float32" or "float64"; of a mixed policy, float32.
        batch_shape: shape with the batch axis, which must be None; instead of ``shape``.

    Example:
        >>> from fastconv import layers
        >>> x = layers.Input((32, 32, 3))
        >>> layers.Conv2D(16, 3)(x).shape
        (None, 30, 30, 16)
    """
    if batch_shape is not None:
        shape = as_batch_shape("Input", batch_shape)[1:]
    return InputLayer(shape, name=name, dtype=dtype).output


class Dense(Layer):
    """``y = activation(x · kernel + bias)``.

    Args:
        units: number of outputs.
        activation: name or function; None for a linear layer.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: names, instances or functions.
        kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: names or objects of
            ``fastconv.regularizers`` and ``fastconv.constraints``.

    Input shape: (N, D) or (N, T, D). Output shape: (N, units) or (N, T, units). Weights: kernel (D, units), bias (units,).
    """

    ruled_weights = ("kernel", "bias")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.units = _numbers.as_count(self.name, "units", units)
        self.activation = activation
        self._function = activations.get(self.name, activation)
        self.use_bias = _numbers.as_bool(self.name, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias: Variable | None = None

    def build(self, input_shape: Any) -> None:
        if len(input_shape) not in (2, 3):
            raise ValueError(
                f"[{self.name}] rank 2 expected, got {len(input_shape)}: expected vectors (N, D), got input of shape {input_shape}. "
                "Add Flatten or a global pooling layer before Dense."
            )
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, "kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, "bias")

    def call(self, inputs: Any) -> Any:
        y = ops.dense(inputs, self.kernel, self.bias)
        return activations.apply(self.name, self._function, y)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.config_of(self.name, self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Flatten(Layer):
    """(N, ...) -> (N, cells per sample), row-major, channels last."""

    def __init__(self, data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        check_data_format(self.name, data_format)

    def call(self, inputs: Any) -> Any:
        return ops.flatten(inputs)


class Reshape(Layer):
    """Gives every sample another shape.

    Args:
        target_shape: of one sample; one extent may be -1.
    """

    def __init__(self, target_shape: Any, **keywords: Any) -> None:
        super().__init__(**keywords)
        if not isinstance(target_shape, (tuple, list)):
            target_shape = (target_shape,)
        self.target_shape = tuple(_numbers.as_int(self.name, "target_shape", extent) for extent in target_shape)
        if self.target_shape.count(-1) > 1 or any(extent < 1 and extent != -1 for extent in self.target_shape):
            raise ValueError(
                f"[{self.name}] target_shape must hold extents: expected ints >= 1, one of them may be -1, got "
                f"target_shape={self.target_shape}. Count the cells of a sample."
            )

    def call(self, inputs: Any) -> Any:
        check_single(self.name, inputs)
        cells = math.prod(inputs.shape[1:])
        known = math.prod(extent for extent in self.target_shape if extent != -1)
        shape = tuple(cells // max(known, 1) if extent == -1 else extent for extent in self.target_shape)
        return ops.reshape(inputs, (inputs.shape[0], *shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Dropout(Layer):
    """Sets a share ``rate`` of the cells to zero in training and scales the others up; passes everything in inference.

    Args:
        rate: share of cells set to zero, in [0, 1).
        noise_shape: of the mask, which repeats along axes of extent 1: (None, 1, 1, None) drops whole channels of images.
            None: the inputs' shape, also for single extents.
        seed: for a sequence of masks of its own; from fastconv.random's stream by default.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        self.rate = _numbers.as_float(self.name, "rate", rate)
        if not 0 <= self.rate < 1:
            raise ValueError(
                f"[{self.name}] rate must be in [0, 1): expected 0 <= rate < 1, got rate={rate}. Use a smaller one."
            )
        self.noise_shape = _noise_shape(self.name, noise_shape)
        self.seed = None if seed is None else _numbers.as_int(self.name, "seed", seed)
        self._mask_seed = self.add_seed(Seed(self.seed))

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training and self.rate):
            return inputs
        return ops.dropout(inputs, self.rate, seed=self._mask_seed, noise_shape=self.noise_shape)

    def get_config(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": shape, "seed": self.seed}


def _noise_shape(name: str, value: Any) -> tuple[int | None, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"[{name}] noise_shape must be extents: expected a tuple of ints or None, got noise_shape={value!r}. Pass one per "
            "axis, the batch's first."
        )
    return tuple(None if n is None else _numbers.as_count(name, "noise_shape", n) for n in value)


class Rescaling(Layer):
    """``y = x * scale + offset``, e.g. ``Rescaling(1 / 255)`` for pixels."""

    def __init__(self, scale: float, offset: float = 0.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.scale = _numbers.as_float(self.name, "scale", scale)
        self.offset = _numbers.as_float(self.name, "offset", offset)

    def call(self, inputs: Any) -> Any:
        return ops.scale(inputs, self.scale, self.offset)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
