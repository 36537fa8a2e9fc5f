"""Derivatives by differences, to compare formulas with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arguments import array, function
from ._checks import as_array, as_real

__all__ = ["numeric_gradient"]


def numeric_gradient(f: Callable[[np.ndarray], Any], x: Any, epsilon: float = 1e-6) -> np.ndarray:
    """The vector of partial derivatives of ``f`` at ``x``: ``(f(x + ε eᵢ) - f(x - ε eᵢ)) / 2ε`` for every cell i.

    Args:
        f: function of one float64 array that returns a number.
        x: numbers of any shape; not changed.
        epsilon: step to either side, > 0.

    Returns:
        float64 array of ``x``'s shape.

    Numerics:
        Two calls of ``f`` per cell. The error is of the order of ``epsilon**2 * f'''`` plus rounding of about ``1e-16 *
        |f| / epsilon``; away from kinks, six digits or more are right.

    Example:
        >>> from fastconv.utils import numeric_gradient
        >>> numeric_gradient(lambda v: v[0] ** 2 + 3 * v[1], [2.0, 5.0]).round(6).tolist()
        [4.0, 3.0]
    """
    op = "numeric_gradient"
    function(op, "f", f, "f(x) -> number")
    step = as_real(op, "epsilon", epsilon)
    if step <= 0:
        raise ValueError(f"[{op}] epsilon must be positive: expected epsilon > 0, got {step}. Use 1e-6.")
    point = as_array(op, "x", x).astype(np.float64)
    gradient = np.empty(point.shape)
    for at in np.ndindex(point.shape):
        kept = point[at]
        point[at] = kept + step
        above = f(point)
        point[at] = kept - step
        gradient[at] = (_number(op, above) - _number(op, f(point))) / (2 * step)
        point[at] = kept
    return gradient


def _number(op: str, value: Any) -> float:
    number = array(op, "the result of f", value)
    if number.size != 1:
        raise ValueError(
            f"[{op}] f must return a number: expected shape (), got {number.shape}. Sum it, or take one cell."
        )
    return float(number.item())
