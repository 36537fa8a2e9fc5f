"""Images and sequences in another size: UpSampling, Resizing, CenterCrop."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.base import Layer
from fastconv.ops import _numbers
from fastconv.ops.resize import COORDINATES, ROUNDINGS

__all__ = ["CenterCrop", "Resampling2D", "Resizing", "UpSampling1D", "UpSampling2D"]

_UPSAMPLINGS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
_RESAMPLINGS = _UPSAMPLINGS[:3]
_RESIZINGS = (*_UPSAMPLINGS, "area")


class UpSampling1D(Layer):
    """Repeats every step of sequences.

    Args:
        size: how often.

    Input shape: (N, T, C). Output shape: (N, size * T, C).
    """

    def __init__(self, size: int = 2, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.size = _geometry.one_count(self.name, "size", size)

    def build(self, input_shape: Any) -> None:
        _geometry.check_sequences(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return _geometry.as_sequence(ops.upsample(_geometry.as_row(inputs), (1, self.size)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


class UpSampling2D(Layer):
    """Images ``size`` times as high and wide.

    Args:
        size: factor, or (of rows, of columns).
        data_format: "channels_last".
        interpolation: "nearest" repeats rows and columns; "bilinear", "bicubic" (as Keras on TensorFlow and JAX), "lanczos3" or
            "lanczos5".

    Input shape: (N, H, W, C). Output shape: (N, size * H, size * W, C).
    """

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.size = _numbers.as_counts(self.name, "size", size)
        self.interpolation = _numbers.as_one_of(self.name, "interpolation", interpolation, _UPSAMPLINGS)

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return ops.upsample(inputs, self.size, interpolation=self.interpolation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "interpolation": self.interpolation}


class Resizing(Layer):
    """Images in a given size; travels with the model, in inference and in training.

    Args:
        height, width: of the results.
        interpolation: "bilinear", "nearest", "bicubic" (as Keras on TensorFlow and JAX), "lanczos3", "lanczos5", or "area", the
            mean over what a cell covers, which Keras's layer has not.
        crop_to_aspect_ratio: cuts off borders first, so that nothing is distorted.
        pad_to_aspect_ratio: adds borders of ``fill_value`` first, so that nothing is distorted.
        fill_mode: "constant".
        fill_value: of the borders.
        antialias: where images become smaller, every cell counts.
        data_format: "channels_last".

    Input shape: (N, H, W, C). Output shape: (N, height, width, C).
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.height = _numbers.as_count(self.name, "height", height)
        self.width = _numbers.as_count(self.name, "width", width)
        self.interpolation = _numbers.as_one_of(self.name, "interpolation", interpolation, _RESIZINGS)
        self.crop_to_aspect_ratio = _numbers.as_bool(self.name, "crop_to_aspect_ratio", crop_to_aspect_ratio)
        self.pad_to_aspect_ratio = _numbers.as_bool(self.name, "pad_to_aspect_ratio", pad_to_aspect_ratio)
        self.fill_mode = _numbers.as_one_of(self.name, "fill_mode", fill_mode, ("constant",))
        self.fill_value = _numbers.as_float(self.name, "fill_value", fill_value)
        self.antialias = _numbers.as_bool(self.name, "antialias", antialias)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(
                f"[{self.name}] images are cropped or padded: expected one of crop_to_aspect_ratio and pad_to_aspect_ratio, got "
                "both. Choose one."
            )

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        if self.crop_to_aspect_ratio:
            inputs = _cropped_to_ratio(inputs, self.height, self.width)
        elif self.pad_to_aspect_ratio:
            inputs = _padded_to_ratio(inputs, self.height, self.width, self.fill_value)
        size = (self.height, self.width)
        return ops.resize2d(inputs, size, interpolation=self.interpolation, antialias=self.antialias)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }


class Resampling2D(Layer):
    """Images in a given size, with every choice that ONNX and PyTorch have; Keras lacks it.

    Args:
        height, width: of the results.
        interpolation: "bilinear", "nearest" or "bicubic".
        antialias, coordinates, rounding, cubic_coeff_a, exclude_outside, scales: as of ``fastconv.ops.resize2d``. PyTorch's
            ``align_corners=True`` is ``coordinates="align_corners"``, its bicubic ``cubic_coeff_a=-0.75, exclude_outside=False``.

    Input shape: (N, H, W, C). Output shape: (N, height, width, C).
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        antialias: bool = False,
        coordinates: str = "half_pixel",
        rounding: str = "round_prefer_ceil",
        cubic_coeff_a: float = -0.5,
        exclude_outside: bool = True,
        scales: Any = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.height = _numbers.as_count(self.name, "height", height)
        self.width = _numbers.as_count(self.name, "width", width)
        self.interpolation = _numbers.as_one_of(self.name, "interpolation", interpolation, _RESAMPLINGS)
        self.antialias = _numbers.as_bool(self.name, "antialias", antialias)
        self.coordinates = _numbers.as_one_of(self.name, "coordinates", coordinates, COORDINATES)
        self.rounding = _numbers.as_one_of(self.name, "rounding", rounding, ROUNDINGS)
        self.cubic_coeff_a = _numbers.as_float(self.name, "cubic_coeff_a", cubic_coeff_a)
        self.exclude_outside = _numbers.as_bool(self.name, "exclude_outside", exclude_outside)
        self.scales = scales

    @property
    def _settings(self) -> dict[str, Any]:
        return {
            "interpolation": self.interpolation,
            "antialias": self.antialias,
            "coordinates": self.coordinates,
            "rounding": self.rounding,
            "cubic_coeff_a": self.cubic_coeff_a,
            "exclude_outside": self.exclude_outside,
            "scales": self.scales,
        }

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        return ops.resize2d(inputs, (self.height, self.width), **self._settings)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width, **self._settings}


class CenterCrop(Layer):
    """The middle of each image. An image that is smaller is cut to the window's aspect ratio and resized.

    Args:
        height, width: of the window.
        data_format: "channels_last".

    Input shape: (N, H, W, C). Output shape: (N, height, width, C).
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        _geometry.check_data_format(self.name, data_format)
        self.height = _numbers.as_count(self.name, "height", height)
        self.width = _numbers.as_count(self.name, "width", width)

    def build(self, input_shape: Any) -> None:
        _geometry.check_images(self.name, input_shape)

    def call(self, inputs: Any) -> Any:
        _, rows, columns, _ = inputs.shape
        if rows >= self.height and columns >= self.width:
            return _window(inputs, (rows - self.height) // 2, self.height, (columns - self.width) // 2, self.width)
        return ops.resize2d(_cropped_to_ratio(inputs, self.height, self.width), (self.height, self.width))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


def _window(x: Any, top: int, height: int, left: int, width: int) -> Any:
    _, rows, columns, _ = x.shape
    widths = ((0, 0), (top, rows - top - height), (left, columns - left - width), (0, 0))
    return ops.crop(x, widths) if any(map(any, widths)) else x


def _cropped_to_ratio(x: Any, height: int, width: int) -> Any:
    """The largest window in the middle that is as wide for its height as (height, width); Keras's rounding."""
    _, rows, columns, _ = x.shape
    inner_rows = max(min(rows, int(columns * height / width)), 1)
    inner_columns = max(min(columns, int(rows * width / height)), 1)
    return _window(x, (rows - inner_rows) // 2, inner_rows, (columns - inner_columns) // 2, inner_columns)


def _padded_to_ratio(x: Any, height: int, width: int, value: float) -> Any:
    """The images with borders, as wide for their height as (height, width) up to a cell; Keras's rounding."""
    _, rows, columns, _ = x.shape
    above = (max(rows, int(columns * height / width)) - rows) // 2
    before = (max(columns, int(rows * width / height)) - columns) // 2
    if not above and not before:
        return x
    return ops.pad(x, ((0, 0), (above, above), (before, before), (0, 0)), value)
