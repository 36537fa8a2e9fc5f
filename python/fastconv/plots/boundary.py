"""The regions that a classifier of points in the plane makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._arguments import integer
from fastconv.plots._figure import CLASS_COLOURS, INK, Path, figure, finish, style_axes

__all__ = ["decision_boundary"]

_MARKERS = "osD^vP*X"


def decision_boundary(
    model: Any,
    x: Any,
    y: Any,
    *,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] = ("x1", "x2"),
    steps: int = 200,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """Samples in the plane over the classes that a model gives to every point of it; paler where it is less sure.

    Args:
        model: predicts scores (N, classes) of points (N, 2); or (N, 1), where more than the middle between the two labels
            speaks for the greater one (0.5 for labels 0 and 1, 0 for labels -1 and 1). Or a function that does the same.
        x: samples (N, 2).
        y: class number of each sample (N,) or (N, 1); for a model with one output any two numbers.
        class_names: names in the legend instead of numbers.
        feature_names: of the two axes.
        steps: points along each axis at which the model is asked.
        path: where to write the picture.
        title: above it; default: the share of samples on the right side.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other shapes or labels.

    Example:
        >>> import numpy as np
        >>> from fastconv import plots
        >>> x, y = np.array([[0, 0], [1, 1], [0, 1], [1, 0]]), np.array([0, 0, 1, 1])
        >>> xor = lambda p: ((p[:, :1] > 0.5) != (p[:, 1:] > 0.5)).astype(float)
        >>> plots.decision_boundary(xor, x, y).get_suptitle()
        '4 of 4 right'
    """
    x, y = np.asarray(x, float), np.asarray(y).reshape(-1)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) != len(y) or not len(x):
        raise ValueError(
            f"[decision_boundary] x must hold points with a class each: expected x (N, 2) and y (N,), got x.shape={x.shape}, "
            f"{len(y)} classes. Choose two features."
        )
    steps = integer("decision_boundary", "steps", steps, least=2)
    low, high = x.min(0), x.max(0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    (left, bottom), (right, top) = low - margin, high + margin
    points = np.stack(np.meshgrid(np.linspace(left, right, steps), np.linspace(bottom, top, steps)), -1)
    labels, classes, sure = _classified(model, points.reshape(-1, 2), y)
    classes, sure = classes.reshape(steps, steps), sure.reshape(steps, steps)
    right_ones = int((labels[_classified(model, x, y)[1]] == y).sum())

    picture = figure(5.4, 4.6)
    axes = picture.subplots()
    colours = _rgb(len(labels))
    pale = 1 - (0.18 + 0.42 * sure[..., None]) * (1 - colours[classes])
    axes.imshow(pale, origin="lower", extent=(left, right, bottom, top), aspect="auto", interpolation="nearest")
    if classes.min() < classes.max():
        levels = np.arange(classes.min(), classes.max()) + 0.5
        axes.contour(points[..., 0], points[..., 1], classes, levels=levels, colors=INK, linewidths=1)
    for i, label in enumerate(labels):
        name = str(label) if class_names is None else str(class_names[i])
        own = x[y == label]
        marker = _MARKERS[i % len(_MARKERS)]
        axes.scatter(own[:, 0], own[:, 1], s=26, color=colours[i], marker=marker, edgecolor="white", lw=0.6, label=name)
    style_axes(axes, *map(str, feature_names))
    axes.grid(False)
    axes.legend(fontsize=8, labelcolor=INK, framealpha=0.85, edgecolor="none")
    return finish(picture, f"{right_ones:,} of {len(x):,} right" if title is None else title, path)


def _classified(model: Any, points: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels, and of each point which of them it gets (its index) and how sure that is (0..1)."""
    scores = np.asarray(model.predict(points, verbose=0) if hasattr(model, "predict") else model(points), float)
    if scores.ndim != 2 or len(scores) != len(points):
        raise ValueError(
            f"[decision_boundary] the model must classify points: expected scores ({len(points)}, classes), got "
            f"{scores.shape}."
        )
    if scores.shape[1] > 1:
        if y.dtype.kind not in "iub" or y.min() < 0 or y.max() >= scores.shape[1]:
            raise ValueError(
                f"[decision_boundary] y must hold class numbers: expected ints 0..{scores.shape[1] - 1}, got {np.unique(y)[:9]}."
            )
        ordered = np.sort(scores, axis=1)
        return np.arange(scores.shape[1]), scores.argmax(1), np.clip(ordered[:, -1] - ordered[:, -2], 0, 1)
    labels = np.unique(y)
    if len(labels) == 1:  # one class was drawn; the other is its partner of 0 and 1
        labels = np.unique([*labels, 1 - labels[0]])
    if len(labels) != 2:
        raise ValueError(
            f"[decision_boundary] one output tells two classes apart: expected 2 labels, got {labels[:9]}."
        )
    away = (scores[:, 0] - labels.mean()) / (labels[1] - labels[0])
    return labels, (away > 0).astype(int), np.clip(2 * np.abs(away), 0, 1)


def _rgb(count: int) -> np.ndarray:
    """(count, 3) colours in 0..1; beyond the palette's they repeat, with other markers."""
    found = [CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(count)]
    return np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in found])
