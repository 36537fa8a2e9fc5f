"""Arrays of numbers as pictures: a heat map whose cells can be read, and one made of letters."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fastconv.plots._figure import INK, Path, figure, finish

__all__ = ["heat_map", "text_image"]

_MAX_NUMBERS = 20  # cells along the longer side up to which a number fits into each
_RAMP = " .:-=+*#%@"


def heat_map(x: Any, path: Path = None, title: str | None = None, numbers: bool | None = None) -> Any:
    """A 2-D array with a colour for each value, and the value written into its cell.

    Args:
        x: numbers (H, W), e.g. an image or a matrix of weights. Where some are negative, zero is white, blue below and red above.
        path: where to write the picture.
        title: above it.
        numbers: whether cells hold their values; by default where there are at most 20 along either side.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: unless x is 2-D.
    """
    values = _matrix("heat_map", x)
    signed = values.min() < 0
    limit = float(np.abs(values).max()) or 1.0
    height, width = values.shape
    side = 0.42 if max(values.shape) <= _MAX_NUMBERS else 8 / max(values.shape)
    picture = figure(max(side * width, 2) + 1.2, max(side * height, 1.6) + (1.0 if title else 0.6))
    # Square cells leave room: none of it between the picture and its bar.
    picture.set_layout_engine("compressed", w_pad=0.12, h_pad=0.12)
    axes = picture.subplots()
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit} if signed else {"cmap": "viridis"}
    image = axes.imshow(values, interpolation="nearest", **scale)
    axes.set_axis_off()
    if numbers if numbers is not None else max(values.shape) <= _MAX_NUMBERS:
        shades = image.to_rgba(values)[..., :3] @ (0.299, 0.587, 0.114)
        for row, column in np.ndindex(values.shape):
            ink = INK if shades[row, column] > 0.5 else "white"
            text = re.sub(r"^(-?)0\.", r"\1.", f"{values[row, column]:.2g}")
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    bar = picture.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=INK)
    return finish(picture, title, path)


def text_image(x: Any) -> str:
    """A 2-D array as lines of characters, from a space for the least value to ``@`` for the greatest. Needs no matplotlib.

    Args:
        x: numbers (H, W) or (H, W, 1).

    Returns:
        H lines of 2 W characters: letters are about twice as high as wide.

    Raises:
        ValueError: unless x is 2-D.

    Example:
        >>> from fastconv import plots
        >>> print(plots.text_image([[0, 9, 0], [9, 9, 9]]))
          @@
        @@@@@@
    """
    values = _matrix("text_image", x)
    low, high = values.min(), values.max()
    ranks = (values - low) / (high - low if high > low else 1.0) * (len(_RAMP) - 1)
    return "\n".join("".join(2 * _RAMP[round(rank)] for rank in row).rstrip() for row in ranks)


def _matrix(where: str, x: Any) -> np.ndarray:
    values = np.asarray(x, float)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"[{where}] x must be a matrix of finite numbers: expected (H, W), got x.shape={np.shape(x)}. "
            "Pass one image or one channel."
        )
    return values
