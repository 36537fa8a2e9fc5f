"""Learning curves: what a training measured, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.plots._figure import BLUE, INK, ORANGE, Path, figure, finish, style_axes

__all__ = ["learning_curve"]


def learning_curve(history: Any, path: Path = None, title: str | None = None) -> Any:
    """One panel per measure over the epochs, training beside validation and the gap between them.

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
    picture = figure(5.2 * len(names), 3.9)
    for axes, name in zip(np.ravel(picture.subplots(1, len(names))), names, strict=True):
        train, validation = logs[name], logs.get(f"val_{name}", [])
        for values, label, colour, line in ((train, "training", BLUE, "-"), (validation, "validation", ORANGE, "--")):
            if len(values):
                epochs = np.arange(1, len(values) + 1)
                text = f"{label} ({values[-1]:.4g})"
                dots = {"marker": "o" if len(values) <= 30 else None, "ms": 5, "mec": "white", "mew": 0.8}
                axes.plot(epochs, values, line, color=colour, label=text, lw=2, **dots)
        if len(train) == len(validation):  # the gap, which grows where a model learns by heart
            axes.fill_between(np.arange(1, len(train) + 1), train, validation, color=ORANGE, alpha=0.1, lw=0)
        _finish_curve(axes, name, [v for v in (train, validation) if len(v)])
    return finish(picture, title, path)


def _finish_curve(axes: Any, name: str, curves: list[Any]) -> None:
    """Few lines and whole epochs; a loss that spans decades is logarithmic."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    axes.set_title(name.replace("_", " "), fontsize=10, color=INK, loc="left", fontweight="bold")
    style_axes(axes, "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    values = np.concatenate([np.asarray(curve, float) for curve in curves])
    if "loss" in name and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
