"""softmax and its logarithm, over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .activation import elementwise_backward, elementwise_forward

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]


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
