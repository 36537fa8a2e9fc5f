"""The confusion matrix: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.plots._figure import INK, WRONG, Path, figure, finish

__all__ = ["confusion_matrix"]

_MAX_NUMBERS = 25  # classes up to which a cell of the confusion matrix is large enough for its count


def confusion_matrix(
    matrix: Any,
    class_names: Sequence[str] | None = None,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """Counts of true class (row) against predicted class (column); the colour is the share of the row.

    Args:
        matrix: (C, C) counts, e.g. of ``fastconv.metrics.confusion_matrix``.
        class_names: C names; default: the numbers from 0.
        path: where to write the picture.
        title: default: the accuracy, i.e. the share on the diagonal.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for another shape or number of names.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"[confusion_matrix] matrix must be square: expected shape (C, C), got {counts.shape}.")
    classes = len(counts)
    names = [str(i) for i in range(classes)] if class_names is None else [str(name) for name in class_names]
    if len(names) != classes:
        raise ValueError(
            f"[confusion_matrix] class_names must name every class: expected {classes} names, got {len(names)}."
        )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.52 * classes, 3.2, 13.0))
    picture = figure(side + 1.9, side + 1.4)
    axes = picture.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    _label_classes(axes, names)
    if classes <= _MAX_NUMBERS:
        for row, column in np.argwhere(counts):
            axes.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                fontsize=9 if counts.max() < 10_000 else 7,
                color="white" if share[row, column] > 0.55 else INK if row == column else WRONG,
            )
    bar = picture.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=lambda v, _: f"{v:.0%}")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=INK)
    total = counts.sum()
    if title is None and total:
        right = np.trace(counts)
        title = f"{right:,} of {total:,} right: accuracy {right / total:.2%}"
    return finish(picture, title, path)


def _label_classes(axes: Any, names: list[str]) -> None:
    step = -(-len(names) // 50)  # more labels than this would overlap
    ticks = range(0, len(names), step)
    shown = [names[i] for i in ticks]
    slanted = sum(map(len, shown)) > 3 * len(shown) and len(shown) > 2
    axes.set_xticks(ticks, shown, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(ticks, shown)
    axes.set_xlabel("predicted class", fontsize=9, color=INK)
    axes.set_ylabel("true class", fontsize=9, color=INK)
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.2)
    axes.tick_params(which="minor", length=0)
