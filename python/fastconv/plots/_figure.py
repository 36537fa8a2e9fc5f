"""What all pictures share: the figure without ``pyplot``, colours that the colour-blind tell apart, sizes, the file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

__all__ = [
    "BLUE",
    "CLASS_COLOURS",
    "GRID",
    "INK",
    "ORANGE",
    "WRONG",
    "Path",
    "colour_bar",
    "figure",
    "finish",
    "image_values",
    "style_axes",
    "tiles",
]

Path = str | os.PathLike[str] | None

BLUE, ORANGE, INK, GRID, WRONG = "#2563a8", "#e07b28", "#2b2f36", "#e4e7eb", "#c62f2f"

# Okabe and Ito 2008, "Color Universal Design": eight colours that stay apart in every kind of colour blindness.
CLASS_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")

_DPI = 144


def figure(width: float, height: float) -> Any:
    """A white figure of inches that lays itself out.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise ImportError("[plots] matplotlib is needed: pip install 'fastconv[plots]'") from None
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")


def finish(picture: Any, title: str | None, path: Path) -> Any:
    """Puts the title above and writes the file, where there is one."""
    if title:
        picture.suptitle(title, fontsize=11, color=INK)
    if path is not None:
        picture.savefig(os.fspath(path))
    return picture


def tiles(
    count: int, columns: int, size: tuple[float, float], *, caption: float = 0.0, title: bool = False, bar: bool = False
) -> tuple[Any, list[Any]]:
    """A figure of pictures in rows of ``columns``, and their axes without frames, row by row; those behind the last of ``count``
    stay empty. Placed by arithmetic: to let matplotlib find out what fits takes seconds for many axes.

    Args:
        count: of pictures.
        columns: of pictures.
        size: (width, height) of each, in inches.
        caption: height above each picture that is kept free for words.
        title: whether there is one above all.
        bar: whether to keep room for a colour bar on the right.
    """
    rows = -(-count // columns)
    gap, right, top = 0.12, 0.75 if bar else 0.12, 0.42 if title else 0.12
    width = max(columns * (size[0] + gap) + right, 3.2 if title else 0.0)
    height = rows * (size[1] + caption + gap) + top
    picture = figure(width, height)
    picture.set_layout_engine("none")
    grid = picture.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": gap / width,
            "right": 1 - right / width,
            "bottom": gap / height,
            "top": 1 - (top + caption) / height,
            "wspace": gap / size[0],
            "hspace": (gap + caption) / size[1],
        },
    )
    for axes in grid.flat:
        axes.set_axis_off()
    return picture, list(grid.flat)


def colour_bar(picture: Any, image: Any) -> None:
    """A bar at the right edge of :func:`tiles`, which tells the values of an image's colours."""
    width, height = picture.get_size_inches()
    length = min(height - 0.6, 2.6)
    place = picture.add_axes((1 - 0.66 / width, (height - length) / 2 / height - 0.05, 0.13 / width, length / height))
    bar = picture.colorbar(image, cax=place)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=INK)


def style_axes(axes: Any, x_label: str, y_label: str = "") -> None:
    """Quiet axes: a light grid behind the curves, no frame above and on the right."""
    axes.set_xlabel(x_label, fontsize=9, color=INK)
    axes.set_ylabel(y_label, fontsize=9, color=INK)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)


def image_values(where: str, x: Any) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, 3), as ``imshow`` takes them.

    Raises:
        ValueError: for other shapes.
    """
    images = np.asarray(x)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if len(images) == 0 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise ValueError(
            f"[{where}] x must hold images: expected (N, H, W), (N, H, W, 1) or (N, H, W, 3) with N >= 1, "
            f"got x.shape={images.shape}."
        )
    if images.ndim == 4 and images.dtype.kind == "f" and images.max() > 1:
        images = images / 255  # what imshow takes for colours in floats is 0..1
    return images
