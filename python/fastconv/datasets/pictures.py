"""One picture from a file, by Pillow: in the size, the channels and the element type that are wanted."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..utils._checks import as_int
from ._files import open_regular

__all__ = ["COLOR_MODES", "SUFFIXES", "PictureReader"]

# Pillow's mode and the number of channels.
COLOR_MODES = {"grayscale": ("L", 1), "rgb": ("RGB", 3)}
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")  # no format that starts another program, as EPS does
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
_MAX_PIXELS = 1 << 27  # of one picture: a file of a few kB can announce gigabytes
_MAX_SIDE = 1 << 15


class PictureReader:
    """Reads pictures into uint8 arrays of one shape.

    Args:
        op: who asks, for messages.
        image_size: (H, W) to which pictures are resized, without keeping their proportions.
        color_mode: "rgb" or "grayscale".
        interpolation: "nearest", "bilinear", "bicubic", "lanczos" or "box", as Pillow defines them.

    Raises:
        ImportError: Pillow is not installed. ValueError: for arguments that are none of these.
    """

    def __init__(self, op: str, image_size: Any, color_mode: Any, interpolation: Any = "bilinear") -> None:
        height, width = _image_size(op, image_size)
        self._op = op
        self._mode, channels = _choice(op, "color_mode", color_mode, COLOR_MODES)
        self.shape = (height, width, channels)
        self._pillow = _pillow()
        filters = {name.lower(): value for name, value in self._pillow.Resampling.__members__.items()}
        self._resampling = _choice(op, "interpolation", interpolation, filters)

    def read(self, path: Path) -> np.ndarray:
        """The picture in a file: uint8 (H, W, C).

        Raises: as :meth:`open`.
        """
        return np.asarray(self.open(path)).reshape(self.shape)

    def open(self, path: Path, resize: bool = True) -> Any:
        """The picture in a file as an image of Pillow's, in the wanted mode, and size unless ``resize`` is False.

        Raises:
            DatasetError: it cannot be read, or has more than 2**27 pixels. MemoryError: it does not fit in memory.
        """
        op, (height, width, _) = self._op, self.shape
        try:
            with open_regular(path) as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of size and metadata; the limit is below
                with self._pillow.open(file, formats=_FORMATS) as image:
                    if image.width * image.height > _MAX_PIXELS:
                        raise DatasetError(
                            f"[{op}] {path} has too many pixels: expected <= {_MAX_PIXELS}, got {image.width} x "
                            f"{image.height}. Shrink or remove it."
                        )
                    picture = self._as_mode(image)
                    return picture.resize((width, height), self._resampling) if resize else picture
        except DatasetError:
            raise
        except MemoryError:
            raise MemoryError(f"[{op}] {path} does not fit in memory. Shrink or remove it.") from None
        except Exception as error:  # damaged files make Pillow raise nearly anything
            reason = type(error).__name__ if "<_io." in str(error) else f"{type(error).__name__}: {error}"
            raise DatasetError(f"[{op}] {path} cannot be read as a picture ({reason}). Repair or remove it.") from None

    def _as_mode(self, image: Any) -> Any:
        """A new image. Pillow clips 16-bit grey to 255 when it converts; keep its upper eight bits instead."""
        if image.mode.startswith("I"):
            grey = np.empty((image.height, image.width), np.uint8)
            np.right_shift(np.asarray(image), 8, out=grey, casting="unsafe")  # no format has more than 16 bits
            image = self._pillow.fromarray(grey)
        return image.convert(self._mode)


def _image_size(op: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"[{op}] image_size must be (height, width): got image_size={value!r}. Pass two ints.")
    height, width = (as_int(op, f"image_size[{i}]", side, low=1) for i, side in enumerate(value))
    if max(height, width) > _MAX_SIDE:
        raise ValueError(f"[{op}] image_size is too large: expected <= {_MAX_SIDE}, got ({height}, {width}).")
    return height, width


def _choice(op: str, name: str, value: Any, choices: dict[str, Any]) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"[{op}] {name} must be one of {', '.join(sorted(choices))}: got {name}={value!r}.")
    return choices[value]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("[images] Pillow is needed: pip install 'fastconv[images]'") from None
    return Image
