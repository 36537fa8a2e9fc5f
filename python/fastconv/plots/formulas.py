"""Curves of activation functions and their slopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.plots._figure import BLUE, INK, ORANGE, Path, figure, finish, style_axes

__all__ = ["activation_functions"]

_NAMES = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus", "relu6", "hard_sigmoid")


def activation_functions(
    names: Sequence[str] = _NAMES,
    *,
    low: float = -4.0,
    high: float = 4.0,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """One panel per activation: f(x), and dashed its slope f'(x), which is what a gradient is multiplied with.

    Args:
        names: functions of ``fastconv.ops`` that work on each cell by itself, and "linear".
        low, high: the ends of the x axis.
        path: where to write the picture.
        title: above the panels.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for a name that is none, or an empty range.
    """
    if not low < high:
        raise ValueError(f"[activation_functions] low must be below high: got low={low}, high={high}.")
    names = [names] if isinstance(names, str) else list(names)
    x = np.linspace(low, high, 401)
    curves = [_curve(name, x) for name in names]
    columns = min(4, max(len(names), 1))
    picture = figure(2.7 * columns, 2.3 * -(-len(names) // columns))
    grid = list(picture.subplots(-(-len(names) // columns), columns, squeeze=False).flat)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for axes, name, (y, slope) in zip(grid, names, curves, strict=False):
        style_axes(axes, "")
        axes.axhline(0, color=INK, lw=0.6)
        axes.axvline(0, color=INK, lw=0.6)
        axes.plot(x, y, color=BLUE, lw=2, label="f(x)")
        axes.plot(x, slope, "--", color=ORANGE, lw=1.6, label="f'(x)")
        axes.set_title(name, fontsize=10, color=INK, loc="left", fontweight="bold")
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    return finish(picture, title, path)


def _curve(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The function and its slope, by the library's own kernels in float64."""
    if name == "linear":
        return x, np.ones_like(x)
    if name not in (*_NAMES, "hard_swish", "threshold"):
        raise ValueError(
            f"[activation_functions] no such activation of single cells: expected some of linear, {', '.join(_NAMES)}, got "
            f"{name!r}. Softmax is none: its cells depend on each other."
        )
    (slope,) = getattr(ops, f"{name}_backward")(np.ones_like(x), x)
    return getattr(ops, name)(x), slope
