"""How every step of an optimizer begins and ends: its arguments judged, its state rounded.

State that decays — velocities, moments and averages — is 0 below ``finfo.tiny / finfo.eps`` of its dtype (1e-31 in float32):
far too little to move a weight, and subnormal numbers, to which it would shrink, are slow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check

__all__ = ["Arrays", "betas", "end", "numbers", "settled", "start", "towards"]

Arrays = tuple[np.ndarray, ...]


def start(op: str, learning_rate: Any, weight_decay: Any, **named: Any) -> tuple[Any, ...]:
    """Check; then the dtype and every array in float64, the weight already decayed."""
    dtype = _check.arrays(op, **{name: (x, None) for name, x in named.items()})
    for name, x in named.items():
        _check.shape(op, name, x, named["w"].shape, "w")
    decay = _check.real(op, "weight_decay", weight_decay, 0.0) * _check.positive(op, "learning_rate", learning_rate)
    w, *others = (x.astype(np.float64) for x in named.values())
    return dtype, w - w * decay, *others


def betas(op: str, beta_1: Any, beta_2: Any) -> tuple[float, float]:
    """Shares of running means, checked."""
    return _check.real(op, "beta_1", beta_1, 0.0, 1.0), _check.real(op, "beta_2", beta_2, 0.0, 1.0)


def numbers(op: str, step: Any, beta_1: Any, beta_2: Any, epsilon: Any) -> tuple[int, float, float, float]:
    """What Adam and its kin take, checked."""
    return _check.integer(op, "step", step, 1), *betas(op, beta_1, beta_2), _check.positive(op, "epsilon", epsilon)


def settled(dtype: np.dtype, state: np.ndarray) -> np.ndarray:
    """State without what has vanished."""
    info = np.finfo(dtype)
    return np.where(abs(state) < info.tiny / info.eps, 0.0, state)


def towards(dtype: np.dtype, mean: np.ndarray, value: np.ndarray, beta: float) -> np.ndarray:
    """``βm + (1−β)x``: a running mean with a new value."""
    return settled(dtype, mean + (value - mean) * (1 - beta))


def end(dtype: np.dtype, *results: np.ndarray) -> Arrays:
    """Results in the dtype of the arguments."""
    return tuple(_check.cast(x, dtype) for x in results)
