"""softmax, its logarithm, and sparsemax, over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .activation import elementwise_backward, elementwise_forward

__all__ = [
    "log_softmax",
    "log_softmax_backward",
    "softmax",
    "softmax_backward",
    "sparsemax",
    "sparsemax_backward",
]


def softmax(x: np.ndarray) -> np.ndarray:
    """``exp(x − max) / Σ exp(x − max)`` over the last axis. A row of −inf alone, or with +inf, is NaN."""
    return elementwise_forward("softmax", _rows("softmax", x), soft_max)


def softmax_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``y · (dy − Σ dy · y)`` with ``y = softmax(x)``."""

    def f(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        y = soft_max(x)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))

    return elementwise_backward("softmax_backward", dy, _rows("softmax_backward", x), needs, f)


def log_softmax(x: np.ndarray) -> np.ndarray:
    """``x − max − log Σ exp(x − max)`` over the last axis."""
    return elementwise_forward("log_softmax", _rows("log_softmax", x), log_soft_max)


def log_softmax_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy − softmax(x) · Σ dy``."""
    return elementwise_backward(
        "log_softmax_backward",
        dy,
        _rows("log_softmax_backward", x),
        needs,
        lambda dy, x: dy - soft_max(x) * dy.sum(axis=-1, keepdims=True),
    )


def sparsemax(x: np.ndarray) -> np.ndarray:
    """The point of the probability simplex nearest to x (Martins and Astudillo 2016, algorithm 1)."""
    return elementwise_forward("sparsemax", _rows("sparsemax", x), _sparse_max)


def sparsemax_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy − mean of dy over the support`` in the support, where ``sparsemax(x) > 0``, else 0."""

    def f(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        y = _sparse_max(x)
        support = y > 0
        mean = np.where(support, dy, 0.0).sum(axis=-1, keepdims=True) / support.sum(axis=-1, keepdims=True)
        return np.where(support, dy - mean, np.where(np.isnan(y), y, 0.0))

    return elementwise_backward("sparsemax_backward", dy, _rows("sparsemax_backward", x), needs, f)


def _sparse_max(x: np.ndarray) -> np.ndarray:
    """By sorting: the support are the k largest z with 1 + k z_k > their sum, for the largest such k."""
    z = x - x.max(axis=-1, keepdims=True)
    falling = -np.sort(-z, axis=-1)
    sums, k = falling.cumsum(axis=-1), np.arange(1, x.shape[-1] + 1)
    size = (1 + k * falling > sums).sum(axis=-1, keepdims=True)
    tau = (np.take_along_axis(sums, np.maximum(size, 1) - 1, axis=-1) - 1) / size
    return np.where(np.isnan(z).any(axis=-1, keepdims=True), np.nan, np.maximum(z - tau, 0.0))


def soft_max(x: np.ndarray) -> np.ndarray:
    """softmax over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_soft_max(x: np.ndarray) -> np.ndarray:
    """log(softmax) over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _rows(op: str, x: Any) -> Any:
    """softmax needs a last axis."""
    if isinstance(x, np.ndarray) and x.ndim == 0:
        _check.fail(ValueError, op, "x must have a last axis", "1 or more dims", "0 dims", "Reshape x.")
    return x
