"""Random contrast and brightness: active in training only, by a seed that every step renews."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.augmentation import Augmentation
from fastconv.ops import _numbers
from fastconv.variables import Seed

__all__ = ["RandomBrightness", "RandomContrast"]


class _Color(Augmentation):
    """The values that images have."""

    def __init__(self, value_range: Any, seed: int | None, data_format: str | None, keywords: dict[str, Any]) -> None:
        super().__init__(seed, **keywords)
        _geometry.check_data_format(self.name, data_format)
        first, last = _numbers.as_range(self.name, "value_range", value_range)
        self.value_range = (min(first, last), max(first, last))
        self._color_seed = self.add_seed(Seed(self.seed))

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "value_range": list(self.value_range)}

    factor: tuple[float, float]


class RandomContrast(_Color):
    """``(x - mean) * f + mean``, clipped; the mean of each channel of an image, f drawn for each image.

    Args:
        factor: (lower, upper): f is between ``1 - lower`` and ``1 + upper``, as in Keras; or one number for both.
        value_range: (least, largest) value of results.
        seed: for a sequence of its own; from fastconv.random's stream by default.

    Input shape: (N, H, W, C). Output shape: the same.
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(value_range, seed, data_format, keywords)
        self.factor = self._factor("factor", factor if isinstance(factor, (tuple, list)) else (factor, factor))
        if self.factor[0] < 0:
            raise ValueError(
                f"[{self.name}] factor must not be negative: expected numbers in [0, 1], got factor={factor!r}. Give how much "
                "less and how much more."
            )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        lower, upper = self.factor
        return ops.adjust2d(inputs, contrast=(1 - lower, 1 + upper), limits=self.value_range, seed=self._color_seed)


class RandomBrightness(_Color):
    """Adds one number to all of an image, and clips.

    Args:
        factor: (lower, upper) in [-1, 1], shares of the range of values, or one number for (-factor, factor).
        value_range: (least, largest) value of results.
        seed: for a sequence of its own; from fastconv.random's stream by default.

    Input shape: (N, H, W, C). Output shape: the same.
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(value_range, seed, data_format, keywords)
        self.factor = self._factor("factor", factor)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        least, largest = self.value_range
        lower, upper = (share * (largest - least) for share in self.factor)
        return ops.adjust2d(inputs, brightness=(lower, upper), limits=self.value_range, seed=self._color_seed)
