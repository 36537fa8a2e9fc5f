"""Pictures of a training and its results, drawn by matplotlib (the ``plots`` extra).

Every function returns a ``matplotlib.figure.Figure`` and, given a path, writes it too. They use matplotlib's objects,
never ``pyplot``: no global figure, no window, no back end to choose, so they work on a server and in any thread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["confusion_matrix", "image_grid", "learning_curve"]

_BLUE, _ORANGE, _INK, _GRID = "#2563a8", "#e07b28", "#2b2f36", "#e4e7eb"
_WRONG = "#c62f2f"
_DPI = 144
_MAX_NUMBERS = 25  # classes up to which a cell of the confusion matrix is large enough for its count


def learning_curve(history: Any, path: str | os.PathLike[str] | None = None, title: str | None = None) -> Any:
    """One panel per measure over the epochs, training beside validation.

    Args:
        history: what ``fit`` returns, or a dict of lists such as ``{"loss": [...], "val_loss": [...]}``.
        path: where to write the picture; the ending chooses the format (.png .svg .pdf).
        title: above the panels.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: the history holds no epoch.
    """
    logs = getattr(history, "history", history)
    if not isinstance(logs, dict):
        raise TypeError(f"[learning_curve] history must be a History or a dict, got {type(history).__name__}.")
    names = [name for name in logs if not name.startswith("val_") and len(logs[name])]
    names.sort(key=lambda name: name != "loss")  # the loss first, the others in their order
    if not names:
        raise ValueError(
            "[learning_curve] history must hold an epoch: expected at least 1 value, got none. Train first."
        )
    figure = _figure(5.2 * len(names), 3.9)
    for axes, name in zip(np.ravel(figure.subplots(1, len(names))), names, strict=True):
        train, validation = logs[name], logs.get(f"val_{name}", [])
        for values, label, colour in ((train, "training", _BLUE), (validation, "validation", _ORANGE)):
            if len(values):
                epochs = np.arange(1, len(values) + 1)
                marker = "o" if len(values) <= 30 else None
                text = f"{label} ({values[-1]:.4g})"
                axes.plot(epochs, values, color=colour, label=text, lw=2, marker=marker, ms=5, mec="white", mew=0.8)
        _finish_curve(axes, name, [v for v in (train, validation) if len(v)])
    return _finish(figure, title, path)


def confusion_matrix(
    matrix: Any,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
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
    figure = _figure(side + 1.9, side + 1.4)
    axes = figure.subplots()
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
                color="white" if share[row, column] > 0.55 else _INK if row == column else _WRONG,
            )
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=lambda v, _: f"{v:.0%}")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, colors=_INK)
    total = counts.sum()
    if title is None and total:
        right = np.trace(counts)
        title = f"{right:,} of {total:,} right: accuracy {right / total:.2%}"
    return _finish(figure, title, path)


def image_grid(
    x: Any,
    y: Any = None,
    predicted: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
    path: str | os.PathLike[str] | None = None,
    title: str | None = None,
) -> Any:
    """Images side by side with their classes; wrong predictions stand out in red.

    Args:
        x: images (N, H, W), (N, H, W, 1) or (N, H, W, 3); grey ones are stretched from their own least to largest value,
            colours are 0..255 (ints) or 0..1 (floats).
        y: class number of each image.
        predicted: the model's class number of each image.
        class_names: names to show instead of numbers.
        columns: images per row.
        path: where to write the picture.
        title: above the images.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other shapes, or unequal lengths.
    """
    images = np.asarray(x)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if len(images) == 0 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise ValueError(
            "[image_grid] x must hold images: expected (N, H, W), (N, H, W, 1) or (N, H, W, 3) with N >= 1, "
            f"got x.shape={images.shape}."
        )
    labels = {"y": y, "predicted": predicted}
    for name, given in labels.items():
        if given is not None and len(given) != len(images):
            raise ValueError(
                f"[image_grid] {name} must have a class per image: expected {len(images)}, got {len(given)}."
            )
    columns = min(max(columns, 1), len(images))
    rows = -(-len(images) // columns)
    figure = _figure(1.25 * columns, 1.25 * rows * (1.22 if y is not None or predicted is not None else 1.0))
    cells = np.ravel(figure.subplots(rows, columns))
    for axes in cells:
        axes.set_axis_off()
    for i, (axes, image) in enumerate(zip(cells, images, strict=False)):
        axes.imshow(image, cmap="gray", interpolation="nearest")
        truth, guess = (None if v is None else int(np.ravel(v[i])[0]) for v in (y, predicted))
        text, colour = _caption(truth, guess, class_names)
        axes.set_title(text, fontsize=8, color=colour, pad=3)
    return _finish(figure, title, path)


def _caption(truth: int | None, guess: int | None, class_names: Sequence[str] | None) -> tuple[str, str]:
    def name(number: int) -> str:
        return str(number) if class_names is None else str(class_names[number])

    if guess is not None and truth is not None and guess != truth:
        return f"{name(guess)} (is {name(truth)})", _WRONG
    shown = truth if guess is None else guess
    return ("" if shown is None else name(shown)), _INK


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise ImportError("[plots] matplotlib is needed: pip install 'fastconv[plots]'") from None
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")


def _finish(figure: Any, title: str | None, path: str | os.PathLike[str] | None) -> Any:
    if title:
        figure.suptitle(title, fontsize=11, color=_INK)
    if path is not None:
        figure.savefig(os.fspath(path))
    return figure


def _finish_curve(axes: Any, name: str, curves: list[Any]) -> None:
    """Few lines and whole epochs; a loss that spans decades is logarithmic."""
    from matplotlib.ticker import MaxNLocator, NullFormatter

    axes.set_title(name.replace("_", " "), fontsize=10, color=_INK, loc="left", fontweight="bold")
    axes.set_xlabel("epoch", fontsize=9, color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    values = np.concatenate([np.asarray(curve, float) for curve in curves])
    if "loss" in name and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=8, colors=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)
    axes.legend(frameon=False, fontsize=9, labelcolor=_INK)


def _label_classes(axes: Any, names: list[str]) -> None:
    step = -(-len(names) // 50)  # more labels than this would overlap
    ticks = range(0, len(names), step)
    shown = [names[i] for i in ticks]
    slanted = sum(map(len, shown)) > 3 * len(shown) and len(shown) > 2
    axes.set_xticks(ticks, shown, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(ticks, shown)
    axes.set_xlabel("predicted class", fontsize=9, color=_INK)
    axes.set_ylabel("true class", fontsize=9, color=_INK)
    axes.tick_params(length=0, labelsize=8, colors=_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.2)
    axes.tick_params(which="minor", length=0)
