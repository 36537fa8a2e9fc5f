"""What regularizers add to the loss, and what constraints make of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _check

__all__ = ["norm_constraint_step", "penalty", "penalty_backward"]

_EPSILON = 1e-7  # keras.config.epsilon()


@_check.quiet
def penalty(x: np.ndarray, *, l1: float = 0.0, l2: float = 0.0) -> np.ndarray:
    """``Σ l1 |x| + l2 x²``, of shape (1,)."""
    dtype = _check.arrays("penalty", x=(x, None))
    l1, l2 = (_check.real("penalty", name, value, 0.0) for name, value in (("l1", l1), ("l2", l2)))
    wide = x.astype(np.float64)
    return _check.cast([l1 * np.abs(wide).sum() + l2 * (wide * wide).sum()], dtype)


@_check.quiet
def penalty_backward(
    dy: np.ndarray, x: np.ndarray, *, l1: float = 0.0, l2: float = 0.0, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``(dy (l1 sign(x) + 2 l2 x),)``."""
    op = "penalty_backward"
    dtype = _check.arrays(op, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, (1,), "the penalty")
    l1, l2 = (_check.real(op, name, value, 0.0) for name, value in (("l1", l1), ("l2", l2)))
    (want,) = _check.needs(op, needs, (True,))
    wide = x.astype(np.float64)
    return (_check.cast(dy[0] * (l1 * np.sign(wide) + 2 * l2 * wide), dtype) if want else None,)


@_check.quiet
def norm_constraint_step(
    w: np.ndarray, *, least: float, most: float, rate: float = 1.0, axis: int | Sequence[int] | None = 0
) -> np.ndarray:
    """``w (rate clip(‖w‖, least, most) + (1 − rate) ‖w‖) / (1e-7 + ‖w‖)``, norms along ``axis``. Keras's constraints."""
    dtype = _check.arrays("norm_constraint_step", w=(w, None))
    wide = w.astype(np.float64)
    along = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    norm = np.sqrt((wide * wide).sum(axis=along, keepdims=True))
    wanted = rate * np.clip(norm, least, most) + (1 - rate) * norm
    return _check.cast(wide * (wanted / (_EPSILON + norm)), dtype)
