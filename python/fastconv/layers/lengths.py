"""Normalisation by the length of what lies along some axes: RMSNormalization and UnitNormalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv import ops
from fastconv.layers.base import Layer
from fastconv.layers.functions import along, sample_axes
from fastconv.ops import _numbers

__all__ = ["RMSNormalization", "UnitNormalization"]

_NO_LENGTH = 1e-24  # below the square of a length that counts, as in Keras; it makes 0 / 0 a 0


class RMSNormalization(Layer):
    """Divides each sample's last axis by the root of its mean square, and scales it: ``scale * x / sqrt(mean(x²) + epsilon)``.

    Args:
        axis: -1, the last, is the only one.
        epsilon: added to the mean square.

    Input shape / Output shape: (N, ..., D), the same. Weights: scale (D,).

    Source: Zhang, Sennrich, Root Mean Square Layer Normalization, 2019.
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **keywords: Any) -> None:
        super().__init__(**keywords)
        if axis not in (-1, [-1], (-1,)):
            raise ValueError(
                f"[{self.name}] axis must be the last one: expected axis=-1, got axis={axis!r}. Transpose the data."
            )
        self.epsilon = _numbers.as_positive(self.name, "epsilon", epsilon)

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", "scale")

    def call(self, inputs: Any) -> Any:
        return ops.rms_norm(inputs, self.scale, epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": -1, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Divides by the length (the root of the sum of squares), so that it is 1 then; zeros stay zeros.

    Args:
        axis: along which the vectors lie, or several axes; not the batch's.

    Input shape / Output shape: any, the same.
    """

    def __init__(self, axis: int | Sequence[int] = -1, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.axis: Any = (
            [_numbers.as_int(self.name, "axis", a) for a in axis]
            if isinstance(axis, (list, tuple))
            else _numbers.as_int(self.name, "axis", axis)
        )

    def build(self, input_shape: Any) -> None:
        axes = sample_axes(self.name, self.axis, len(input_shape))
        self._factor = 1 / math.sqrt(math.prod(input_shape[a] for a in axes))

    def call(self, inputs: Any) -> Any:
        return ops.scale(along(inputs, self.axis, lambda x: ops.rms_norm(x, epsilon=_NO_LENGTH)), self._factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
