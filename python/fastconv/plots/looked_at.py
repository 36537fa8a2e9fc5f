"""Which pixels a classifier looks at, drawn over the images; :mod:`fastconv.attribution` has the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import attribution
from fastconv.plots._figure import INK, Path, finish, image_values, tiles

__all__ = ["grad_cam", "saliency_map"]


def saliency_map(model: Any, x: Any, classes: Any = None, *, path: Path = None, title: str | None = None) -> Any:
    """Each image, and beside it how much every pixel moves the score of its class (bright: much).

    Args:
        model, x, classes: as in :func:`fastconv.attribution.saliency`.
        path: where to write the picture.
        title: above it.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other models or shapes.

    Source:
        Simonyan, Vedaldi, Zisserman 2014, arXiv:1312.6034.
    """
    return _beside("saliency_map", x, attribution.saliency(model, x, classes), path, title, overlaid=False)


def grad_cam(
    model: Any,
    x: Any,
    classes: Any = None,
    layer: str | None = None,
    *,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """Each image, and beside it the same under a map of where the features lie that speak for its class (bright: much).

    Args:
        model, x, classes, layer: as in :func:`fastconv.attribution.grad_cam`.
        path: where to write the picture.
        title: above it.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other models, shapes or layers.

    Source:
        Selvaraju et al. 2017, arXiv:1610.02391.
    """
    return _beside("grad_cam", x, attribution.grad_cam(model, x, classes, layer), path, title, overlaid=True)


def _beside(where: str, x: Any, maps: np.ndarray, path: Path, title: str | None, overlaid: bool) -> Any:
    """Pairs of image and map, four pairs in a row; every map is stretched to its own greatest value."""
    images = image_values(where, x)
    pairs = min(4, len(images))
    picture, grid = tiles(2 * len(images), 2 * pairs, (1.15, 1.15), caption=0.2, title=bool(title))
    for i, (image, heat) in enumerate(zip(images, maps, strict=True)):
        left, right = grid[2 * i : 2 * i + 2]
        height, width = image.shape[:2]
        whole = (-0.5, width - 0.5, height - 0.5, -0.5)
        left.imshow(image, cmap="gray", interpolation="nearest")
        if overlaid:
            right.imshow(image, cmap="gray", interpolation="nearest", extent=whole)
        smooth = "bilinear" if overlaid else "nearest"
        top = float(heat.max()) or 1.0
        alpha = 0.6 if overlaid else None
        right.imshow(heat, cmap="inferno", vmin=0, vmax=top, alpha=alpha, interpolation=smooth, extent=whole)
        right.set_title("" if heat.any() else "nothing", fontsize=8, color=INK, pad=3)
    return finish(picture, title, path)
