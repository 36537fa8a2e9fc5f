"""Random rotations, zooms and shears: active in training only, by a seed that every step renews."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.augmentation import Augmentation
from fastconv.ops import _numbers
from fastconv.variables import Seed

__all__ = ["RandomRotation", "RandomShear", "RandomZoom"]

_FILL_MODES = ("reflect", "wrap", "constant", "nearest", "mirror")
_INTERPOLATIONS = ("nearest", "bilinear")


class _Warp(Augmentation):
    """What beyond the image is seen, and how places between cells are."""

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        keywords: dict[str, Any],
    ) -> None:
        super().__init__(seed, data_format, **keywords)
        self.fill_mode = _numbers.as_one_of(self.name, "fill_mode", fill_mode, _FILL_MODES)
        self.interpolation = _numbers.as_one_of(self.name, "interpolation", interpolation, _INTERPOLATIONS)
        self.fill_value = _numbers.as_float(self.name, "fill_value", fill_value)
        self._warp_seed = self.add_seed(Seed(self.seed))

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def _warped(self, inputs: Any, **ranges: Any) -> Any:
        return ops.warp2d(
            inputs,
            seed=self._warp_seed,
            interpolation=self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            **ranges,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }


class RandomRotation(_Warp):
    """Turns each image around its centre by a random angle.

    Args:
        factor: (lower, upper) in turns, or one number for (-factor, factor); positive is counter-clockwise: 0.25 is 90 degrees.
        fill_mode: what appears at the edges: "reflect", "wrap", "constant", "nearest" as in Keras, or "mirror" (c b|a b c d|c b).
        interpolation: "bilinear" or "nearest".
        seed: for a sequence of its own; from fastconv.random's stream by default.
        fill_value: of "constant".
        data_format: "channels_last".

    Input shape: (N, H, W, C). Output shape: the same.
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, keywords)
        self.factor = self._factor("factor", factor)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self._warped(inputs, angle=self.factor) if training else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


class RandomZoom(_Warp):
    """Zooms each image around its centre.

    Args:
        height_factor: (lower, upper) in (-1, 1], or one number for (-factor, factor); positive zooms out: 0.2 shows 120 % of the
            height.
        width_factor: the same of the width; None keeps the aspect ratio.
        fill_mode: what appears at the edges: "reflect", "wrap", "constant", "nearest" as in Keras, or "mirror" (c b|a b c d|c b).
        interpolation: "bilinear" or "nearest".
        seed: for a sequence of its own; from fastconv.random's stream by default.
        fill_value: of "constant".
        data_format: "channels_last".

    Input shape: (N, H, W, C). Output shape: the same.
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, keywords)
        self.height_factor = self._factor("height_factor", height_factor)
        self.width_factor = None if width_factor is None else self._factor("width_factor", width_factor)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        rows, columns = ((1 + low, 1 + high) for low, high in (self.height_factor, self.width_factor or (0, 0)))
        return self._warped(inputs, zoom_rows=rows, zoom_columns=columns, one_zoom=self.width_factor is None)

    def get_config(self) -> dict[str, Any]:
        width = None if self.width_factor is None else list(self.width_factor)
        return {**super().get_config(), "height_factor": list(self.height_factor), "width_factor": width}


class RandomShear(_Warp):
    """Shears each image, seen from its first cell: its rows are moved by ``x_factor`` of a cell for each row down.

    Args:
        x_factor: (lower, upper) in [0, 1], or one number for (-factor, factor); half of the images are sheared the other way.
        y_factor: the same of the columns, for each column to the right.
        interpolation: "bilinear" or "nearest".
        fill_mode: what appears at the edges: "reflect", "wrap", "constant", "nearest" as in Keras, or "mirror" (c b|a b c d|c b).
        fill_value: of "constant".
        data_format: "channels_last".
        seed: for a sequence of its own; from fastconv.random's stream by default.

    Input shape: (N, H, W, C). Output shape: the same.
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, keywords)
        self.x_factor = self._shear_factor("x_factor", x_factor)
        self.y_factor = self._shear_factor("y_factor", y_factor)

    def _shear_factor(self, name: str, value: Any) -> tuple[float, float]:
        lower, upper = self._factor(name, value)
        if lower < 0 and lower != -upper:  # what Keras makes of one number
            raise ValueError(
                f"[{self.name}] {name} must not be negative: expected numbers in [0, 1], got {name}={value!r}. Images are sheared "
                "either way."
            )
        return lower, upper

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        return self._warped(inputs, shear_x=self.x_factor, shear_y=self.y_factor, either_way=True, centred=False)

    def get_config(self) -> dict[str, Any]:
        factors = {"x_factor": self.x_factor, "y_factor": self.y_factor}
        given = {name: upper if lower == -upper else [lower, upper] for name, (lower, upper) in factors.items()}
        return {**super().get_config(), **given}
