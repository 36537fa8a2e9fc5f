"""The way that optimizers take over a loss of two weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv._arguments import integer
from fastconv.plots._figure import CLASS_COLOURS, GRID, INK, Path, figure, finish, style_axes

__all__ = ["trajectory"]

_LINES = ("-", "--", ":", "-.")


def trajectory(
    loss: Callable[[np.ndarray, np.ndarray], Any],
    paths: Mapping[str, Any] | Any,
    *,
    names: tuple[str, str] = ("w1", "w2"),
    steps: int = 120,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """The weights of one or several trainings, step by step, over lines of equal loss.

    Args:
        loss: ``loss(w1, w2)`` of arrays of one shape.
        paths: (T, 2) weights, first to last; or a dict of such by name, e.g. one per optimizer.
        names: of the two weights.
        steps: points along each axis at which the loss is computed.
        path: where to write the picture.
        title: above it.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other shapes, or weights that are not finite.

    Example:
        >>> import numpy as np
        >>> from fastconv import callbacks, layers, models, plots
        >>> model = models.Sequential([layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros")])
        >>> model.compile("sgd", "mse")
        >>> x = np.linspace(-1, 1, 20)
        >>> y = 2 * x - 1
        >>> way = []
        >>> note = lambda batch, logs: way.append([w.item() for w in model.get_weights()])
        >>> history = model.fit(
        ...     x[:, None], y, epochs=5, verbose=0, callbacks=[callbacks.LambdaCallback(on_train_batch_end=note)]
        ... )
        >>> loss = lambda w, b: ((w[..., None] * x + b[..., None] - y) ** 2).mean(-1)
        >>> figure = plots.trajectory(loss, way, names=("w", "b"))
    """
    given = paths if isinstance(paths, Mapping) else {"": paths}
    ways = {str(name): np.asarray(way, float) for name, way in given.items()}
    for name, way in ways.items():
        if way.ndim != 2 or way.shape[1] != 2 or not len(way) or not np.isfinite(way).all():
            raise ValueError(
                f"[trajectory] paths must hold two finite weights per step: expected (T, 2), got {name!r} of shape {way.shape}. "
                "Stop a training that diverges, or take a smaller learning rate."
            )
    if not ways:
        raise ValueError("[trajectory] paths must not be empty: expected at least one, got none.")
    steps = integer("trajectory", "steps", steps, least=2)
    points = np.concatenate(list(ways.values()))
    low, high = points.min(0), points.max(0)
    margin = 0.25 * np.where(high > low, high - low, 1.0)
    x, y = np.meshgrid(*(np.linspace(a, b, steps) for a, b in zip(low - margin, high + margin, strict=True)))
    values = np.asarray(loss(x, y), float)
    if values.shape != x.shape:
        raise ValueError(f"[trajectory] loss must give a value per point: expected {x.shape}, got {values.shape}.")
    picture = figure(5.4, 4.6)
    axes = picture.subplots()
    # Lines at equal steps of the root: near the least loss they are as dense as on the slopes.
    ground = np.sqrt(values - values.min())
    axes.contourf(x, y, ground, levels=18, cmap="Greys", alpha=0.55)
    axes.contour(x, y, ground, levels=18, colors=GRID, linewidths=0.6)
    for i, (name, way) in enumerate(ways.items()):
        style = {"color": CLASS_COLOURS[i % len(CLASS_COLOURS)], "ls": _LINES[i % len(_LINES)]}
        axes.plot(way[:, 0], way[:, 1], lw=1.8, marker=".", ms=4, label=name or None, **style)
        axes.plot(*way[-1], marker="X", ms=8, mec="white", color=style["color"])
    axes.plot(*points[0], marker="o", ms=7, mfc="white", mec=INK, ls="none")
    style_axes(axes, *names)
    if any(ways):
        axes.legend(fontsize=8, labelcolor=INK, framealpha=0.85, edgecolor="none")
    return finish(picture, title, path)
