"""What convolutions have learned: their filters, and the maps they make of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._arguments import integer
from fastconv.plots._figure import Path, colour_bar, finish, tiles

__all__ = ["feature_maps", "filters"]


def filters(layer: Any, *, limit: int = 64, columns: int = 8, path: Path = None, title: str | None = None) -> Any:
    """The filters of a convolution, one picture for each; red pulls up, blue pulls down, white leaves alone.

    Filters of three channels are drawn in colour, others channel by channel: a row per filter.

    Args:
        layer: a built convolution, or its kernel (R, S, C, K).
        limit: how many filters to show at most, and how many channels of each.
        columns: pictures per row, for filters of one channel or in colour.
        path: where to write the picture.
        title: default: the layer's name and the shape of its kernel.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for a layer without such a kernel.
    """
    kernel = np.asarray(layer.get_weights()[0] if hasattr(layer, "get_weights") and layer.get_weights() else layer)
    if kernel.dtype == object or kernel.ndim != 4:
        raise ValueError(
            f"[filters] layer must have filters: expected a built Conv2D or a kernel (R, S, C, K), got {layer!r:.80}."
        )
    limit, columns = _limits("filters", limit, columns)
    shape = "x".join(map(str, kernel.shape))
    if title is None:
        title = f"{layer.name}: {shape}" if hasattr(layer, "name") else shape
    limited = kernel[..., :limit].astype(float)
    largest = float(np.abs(limited).max()) or 1.0
    if kernel.shape[2] == 3:
        shown = [0.5 + 0.5 * limited[..., k] / largest for k in range(limited.shape[-1])]
    else:
        limited = limited[:, :, :limit]
        if limited.shape[2] > 1:
            columns = limited.shape[2]
        shown = [limited[:, :, c, k] for k in range(limited.shape[3]) for c in range(limited.shape[2])]
    scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return finish(_drawn(shown, columns, scale, title), title, path)


def feature_maps(
    model: Any,
    image: Any,
    layer: str | None = None,
    *,
    limit: int = 64,
    columns: int = 8,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """What one layer makes of one image: a picture per channel, from dark (least) to bright (greatest of all maps).

    Args:
        model: any model of images.
        image: one image (H, W, C), or (H, W) where the model takes that.
        layer: the name of the layer; the first that gives maps of several channels by default. ``model.activations(x)`` has
            all of them as arrays.
        limit: how many maps to show at most.
        columns: maps per row.
        path: where to write the picture.
        title: default: the layer's name and the shape of its output.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for a layer without maps (H, W, K).
    """
    limit, columns = _limits("feature_maps", limit, columns)
    found = {k: v[0] for k, v in model.activations(np.asarray(image)[None]).items() if not isinstance(v, list)}
    maps = [name for name, value in found.items() if value.ndim == 3]
    if layer is None:
        layer = next((name for name in maps if found[name].shape[-1] > 3), None)
    if layer not in maps:
        raise ValueError(
            f"[feature_maps] layer must give maps (H, W, K): expected one of {maps}, got layer={layer!r}. See summary()."
        )
    values = found[layer]
    shown = [values[..., k] for k in range(min(values.shape[-1], limit))]
    scale = {"cmap": "viridis", "vmin": float(values.min()), "vmax": float(values.max())}
    title = f"{layer}: {'x'.join(map(str, values.shape))}" if title is None else title
    return finish(_drawn(shown, columns, scale, title), title, path)


def _limits(where: str, limit: int, columns: int) -> tuple[int, int]:
    return integer(where, "limit", limit, least=1), integer(where, "columns", columns, least=1)


def _drawn(shown: list[np.ndarray], columns: int, scale: dict[str, Any], title: str) -> Any:
    """Pictures on one scale, which the bar beside them tells (not for colours, where grey is zero)."""
    numbers = shown[0].ndim == 2
    columns = min(columns, len(shown))
    picture, grid = tiles(len(shown), columns, (0.9, 0.9), title=bool(title), bar=numbers)
    for axes, values in zip(grid, shown, strict=False):
        image = axes.imshow(values, interpolation="nearest", **scale)
    if numbers:
        colour_bar(picture, image)
    return picture
