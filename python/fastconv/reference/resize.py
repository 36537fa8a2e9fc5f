"""Images in another size: a matrix of weights for the rows, one for the columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = ["resize2d", "resize2d_backward", "resize_weights", "upsample", "upsample_backward"]

_AXES = ("batch", "height", "width", "channels")
_WORDS = {
    "interpolation": ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5"),
    "coordinates": ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"),
    "rounding": ("round_prefer_ceil", "round_prefer_floor", "floor", "ceil"),
}
_RADIUS = {"bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


@_check.quiet
def resize2d(x: np.ndarray, size: Any, **settings: Any) -> np.ndarray:
    """``y[n, p, q] = Σ_h Σ_w rows[p, h] columns[q, w] x[n, h, w]`` with :func:`resize_weights` of both axes.

    Args:
        x: (N, H, W, C).
        size: (P, Q), or one int.
        settings: those of :func:`resize_weights`; ``scales`` is a pair.
    """
    dtype, rows, columns = _weights("resize2d", size, settings, x=(x, _AXES))
    return _check.cast(_apply(x, rows, columns), dtype)


@_check.quiet
def resize2d_backward(
    dy: np.ndarray, x: np.ndarray, size: Any, *, needs: Any = None, **settings: Any
) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy through the transposed matrices."""
    op = "resize2d_backward"
    dtype, rows, columns = _weights(op, size, settings, x=(x, _AXES), dy=(dy, _AXES))
    _check.shape(op, "dy", dy, (x.shape[0], len(rows), len(columns), x.shape[3]), "the resized shape")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(_apply(dy, rows.T, columns.T), dtype) if want else None,)


def upsample(x: np.ndarray, size: Any = 2, *, interpolation: str = "nearest") -> np.ndarray:
    """:func:`resize2d` to ``size`` times the extents."""
    return resize2d(x, _times(x, size), interpolation=interpolation)


def upsample_backward(
    dy: np.ndarray, x: np.ndarray, size: Any = 2, *, interpolation: str = "nearest", needs: Any = None
) -> tuple[np.ndarray | None]:
    """``(dx,)``."""
    return resize2d_backward(dy, x, _times(x, size), interpolation=interpolation, needs=needs)


def _times(x: np.ndarray, size: Any) -> tuple[int, int]:
    _check.arrays("upsample", x=(x, _AXES))
    rows, columns = _check.pair("upsample", "size", size, 1)
    return x.shape[1] * rows, x.shape[2] * columns


def _apply(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Only cells with a weight count: 0 · NaN is no neighbour."""
    for axis, weights in ((1, rows), (2, columns)):
        moved = np.moveaxis(x.astype(np.float64), axis, 0)
        x = np.zeros((len(weights), *moved.shape[1:]))
        for i, line in enumerate(weights):
            for j in np.flatnonzero(line):
                x[i] += line[j] * moved[j]
        x = np.moveaxis(x, 0, axis)
    return x


def _weights(op: str, size: Any, settings: dict[str, Any], **named: Any) -> tuple[np.dtype, np.ndarray, np.ndarray]:
    dtype = _check.arrays(op, **named)
    extents = named["x"][0].shape[1:3]
    sizes = _check.pair(op, "size", size, 1)
    n, *_, channels = named["x"][0].shape
    refuse_too_large(op, (n, *sizes, channels), named["x"][0].shape, *zip(sizes, extents, strict=True))
    for name in {"antialias", "exclude_outside"} & settings.keys():
        _check.flag(op, name, settings[name])
    for name in _WORDS.keys() & settings.keys():
        _check.choice(op, name, settings[name], _WORDS[name])
    _check.real(op, "cubic_coeff_a", settings.get("cubic_coeff_a", 0.0))
    scales = settings.get("scales") or (None, None)
    others = {key: value for key, value in settings.items() if key != "scales"}
    rows, columns = (
        resize_weights(extent, out, scale=scale, **others)
        for extent, out, scale in zip(extents, sizes, scales, strict=True)
    )
    return dtype, rows, columns


def resize_weights(
    extent: int,
    out: int,
    *,
    interpolation: str = "bilinear",
    antialias: bool = False,
    coordinates: str = "half_pixel",
    rounding: str = "round_prefer_ceil",
    cubic_coeff_a: float = -0.5,
    exclude_outside: bool = True,
    scale: float | None = None,
) -> np.ndarray:
    """The matrix (out, extent) that resizes one axis.

    Row i has ``k((j - c(i)) / s)`` at the cells j, divided by their sum; ``s = max(1, extent / out)`` with ``antialias``, else 1.
    Cells beyond the axis are left out (``exclude_outside``), or their weights go to its ends.
    """
    length = out if scale is None else scale * extent
    weights = np.zeros((out, extent))
    for i in range(out):
        if interpolation == "area":
            edges = np.clip([i * extent / length, (i + 1) * extent / length], 0, extent)
            cells = np.arange(extent)
            weights[i] = np.clip(np.minimum(edges[1], cells + 1) - np.maximum(edges[0], cells), 0, None)
            weights[i] /= weights[i].sum()
            continue
        c = _centre(coordinates, i, extent, out, length)
        if interpolation == "nearest":
            weights[i, min(max(_ROUNDED[rounding](c), 0), extent - 1)] = 1
            continue
        stretch = max(1.0, extent / length) if antialias else 1.0
        far = math.ceil(_RADIUS[interpolation] * stretch) + 1
        cells = np.arange(math.floor(c) - far, math.floor(c) + far + 1)
        k = _kernel(interpolation, np.abs(cells - c) / stretch, cubic_coeff_a)
        inside = (cells >= 0) & (cells < extent)
        if exclude_outside and k[inside].any():
            k = np.where(inside, k, 0.0)
        np.add.at(weights[i], np.clip(cells, 0, extent - 1), k / k.sum())
    return weights


_ROUNDED = {
    "round_prefer_ceil": lambda c: math.floor(c + 0.5),
    "round_prefer_floor": lambda c: math.ceil(c - 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _centre(coordinates: str, i: int, extent: int, out: int, length: float) -> float:
    """ONNX's coordinate_transformation_mode."""
    half_pixel = (i + 0.5) * extent / length - 0.5
    if coordinates == "asymmetric":
        return i * extent / length
    if coordinates == "align_corners":
        return 0.0 if length == 1 else i * (extent - 1) / (length - 1)
    if coordinates == "pytorch_half_pixel":
        return half_pixel if length > 1 else 0.0
    if coordinates == "half_pixel_symmetric":
        return extent / 2 * (1 - out / length) + half_pixel
    return half_pixel


def _kernel(interpolation: str, d: np.ndarray, a: float) -> np.ndarray:
    if interpolation == "bilinear":
        return np.clip(1 - d, 0, None)
    if interpolation == "bicubic":
        near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0.0))
    radius = _RADIUS[interpolation]
    return np.where(d < radius, np.sinc(d) * np.sinc(d / radius), 0.0)
