"""Images turned, zoomed, sheared and with another contrast and brightness, by a counter-based generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .dropout import philox

__all__ = ["adjust2d", "warp2d"]

_AXES = ("batch", "height", "width", "channels")
_STEPS = 2**24


@_check.quiet
def warp2d(
    x: np.ndarray,
    *,
    angle: Any = (0, 0),
    zoom_rows: Any = (1, 1),
    zoom_columns: Any = (1, 1),
    one_zoom: bool = False,
    shear_x: Any = (0, 0),
    shear_y: Any = (0, 0),
    either_way: bool = False,
    centred: bool = True,
    seed: int | None = None,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> np.ndarray:
    """``y[n, p, q] = x[n]`` at (column, row) = ``diag(zx, zy) [[1, sx], [sy, 1]] [[cos, -sin], [sin, cos]] (q, p)``.

    Places are rounded to 1/65536 of a cell, so that a place that lies on a cell up to rounding is on it.
    """
    dtype = _check.arrays("warp2d", x=(x, _AXES))
    n, height, width, _ = x.shape
    words = philox(8 * n, seed).reshape(n, 8) if seed is not None else np.zeros((n, 8), np.uint64)
    centre = np.array([width - 1, height - 1]) / 2 if centred else np.zeros(2)
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) - centre  # (q, p)
    y = np.empty(x.shape, np.float64)
    for i in range(n):
        turn = 2 * np.pi * _drawn(angle, words[i, 0])
        zy, zx = _drawn(zoom_rows, words[i, 1]), _drawn(zoom_columns, words[i, 2])
        sx, sy = _drawn(shear_x, words[i, 3]), _drawn(shear_y, words[i, 4])
        sign = -1 if either_way and words[i, 5] >= 2**31 else 1
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        matrix = np.diag([zy if one_zoom else zx, zy]) @ np.array([[1, sign * sx], [sign * sy, 1]]) @ turned
        places = np.round((cells @ matrix.T + centre) * 65536) / 65536
        y[i] = _sampled(x[i].astype(np.float64), places, interpolation, fill_mode, fill_value)
    return _check.cast(y, dtype)


def _drawn(between: Any, word: Any) -> float:
    first, last = (int(np.floor(edge * _STEPS + 0.5)) for edge in between)
    return (first + ((last - first + 1) * int(word) >> 32)) / _STEPS


def _sampled(image: np.ndarray, places: np.ndarray, interpolation: str, mode: str, value: float) -> np.ndarray:
    column, row = places[..., 0], places[..., 1]
    if interpolation == "nearest":
        return _cells(image, np.floor(row + 0.5), np.floor(column + 0.5), mode, value)
    top, left = np.floor(row), np.floor(column)
    f, g = (row - top)[..., None], (column - left)[..., None]
    y = np.zeros((*row.shape, image.shape[-1]))
    for down, share in ((0, 1 - f), (1, f)):
        for right, part in ((0, 1 - g), (1, g)):
            y += share * part * _cells(image, top + down, left + right, mode, value)
    return y


def _cells(image: np.ndarray, row: np.ndarray, column: np.ndarray, mode: str, value: float) -> np.ndarray:
    (r, outside_r), (c, outside_c) = _inside(row, image.shape[0], mode), _inside(column, image.shape[1], mode)
    return np.where((outside_r | outside_c)[..., None], value, image[r, c])


def _inside(i: np.ndarray, extent: int, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """The cell seen at i, and where there is none."""
    i = i.astype(np.int64)
    if mode == "constant":
        return np.clip(i, 0, extent - 1), (i < 0) | (i >= extent)
    padded = {"nearest": "edge", "wrap": "wrap", "reflect": "symmetric", "mirror": "reflect"}[mode]
    far = int(max(0, -i.min(), i.max() - extent + 1))
    return np.pad(np.arange(extent), far, mode=padded)[i + far], np.zeros(i.shape, bool)  # type: ignore[call-overload]  # a mode by name


@_check.quiet
def adjust2d(
    x: np.ndarray,
    *,
    contrast: Any = (1, 1),
    brightness: Any = (0, 0),
    limits: Any = (0, 255),
    seed: int | None = None,
) -> np.ndarray:
    """``clip((x − m) · contrast + m + brightness)``, m the mean of each channel of an image."""
    dtype = _check.arrays("adjust2d", x=(x, _AXES))
    words = philox(4 * len(x), seed).reshape(-1, 4) if seed is not None else np.zeros((len(x), 4), np.uint64)
    shares = (words >> np.uint64(8)).astype(np.float64) / _STEPS
    factor, shift = (
        (low + (high - low) * shares[:, i]).reshape(-1, 1, 1, 1) for i, (low, high) in enumerate((contrast, brightness))
    )
    mean = x.mean((1, 2), keepdims=True, dtype=np.float64)
    return _check.cast(np.clip((x - mean) * factor + mean + shift, *limits), dtype)
