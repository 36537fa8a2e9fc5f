"""More activations, each with its gradient right below it; the common ones are in activation.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .activation import elementwise_backward, elementwise_forward, logistic, soft_plus

__all__ = [
    "clip",
    "clip_backward",
    "exponential",
    "exponential_backward",
    "mish",
    "mish_backward",
    "shrink",
    "shrink_backward",
    "softsign",
    "softsign_backward",
    "sparse_plus",
    "sparse_plus_backward",
    "squareplus",
    "squareplus_backward",
]


def clip(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """``min(max(x, low), high)``, the bounds rounded to the dtype of x; NaN stays NaN."""
    low, high = _bounds("clip", low, high)
    return elementwise_forward("clip", x, lambda x64: np.clip(x64, x.dtype.type(low), x.dtype.type(high)))


def clip_backward(
    dy: np.ndarray, x: np.ndarray, low: float, high: float, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy if low < x < high else 0``."""
    low, high = _bounds("clip_backward", low, high)

    def f(dy64: np.ndarray, x64: np.ndarray) -> np.ndarray:
        return np.where((x64 > x.dtype.type(low)) & (x64 < x.dtype.type(high)), dy64, 0.0)

    return elementwise_backward("clip_backward", dy, x, needs, f)


def _bounds(op: str, low: Any, high: Any) -> tuple[float, float]:
    low, high = _check.real(op, "low", low), _check.real(op, "high", high)
    if low > high:
        _check.fail(ValueError, op, "low must not be above high", "low <= high", f"{low=}, {high=}", "Swap them.")
    return low, high


def exponential(x: np.ndarray) -> np.ndarray:
    """``exp(x)``."""
    return elementwise_forward("exponential", x, np.exp)


def exponential_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · exp(x)``."""
    return elementwise_backward("exponential_backward", dy, x, needs, lambda dy, x: dy * np.exp(x))


def mish(x: np.ndarray) -> np.ndarray:
    """``x · tanh(softplus(x))`` (Misra 2019)."""
    return elementwise_forward("mish", x, lambda x: x * np.tanh(soft_plus(x)))


def mish_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · (t + x · σ(x) · (1 − t²))`` with ``t = tanh(softplus(x))``; 1 − t² as ``4 σ(2s) σ(−2s)``."""

    def f(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        s = soft_plus(x)
        return dy * (np.tanh(s) + x * logistic(x) * 4 * logistic(2 * s) * logistic(-2 * s))

    return elementwise_backward("mish_backward", dy, x, needs, f)


def softsign(x: np.ndarray) -> np.ndarray:
    """``x / (1 + |x|)``."""
    return elementwise_forward("softsign", x, lambda x: x / (1 + np.abs(x)))


def softsign_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy / (1 + |x|)²``."""
    return elementwise_backward("softsign_backward", dy, x, needs, lambda dy, x: dy / np.square(1 + np.abs(x)))


def squareplus(x: np.ndarray, b: float = 4.0) -> np.ndarray:
    """``(x + √(x² + b)) / 2``; below zero as ``b / (2 (√(x² + b) − x))``, which does not cancel."""
    b = _check.positive("squareplus", "b", b)
    return elementwise_forward("squareplus", x, lambda x: _squareplus(x, b))


def squareplus_backward(
    dy: np.ndarray, x: np.ndarray, b: float = 4.0, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy · squareplus(x) / √(x² + b)``."""
    b = _check.positive("squareplus_backward", "b", b)
    return elementwise_backward(
        "squareplus_backward", dy, x, needs, lambda dy, x: dy * (_squareplus(x, b) / np.hypot(x, np.sqrt(b)))
    )


def _squareplus(x: np.ndarray, b: float) -> np.ndarray:
    root = np.hypot(x, np.sqrt(b))
    return np.where(x < 0, b / (2 * (root - x)), (x + root) / 2)


def shrink(x: np.ndarray, threshold: float = 0.5, bias: float = 0.0) -> np.ndarray:
    """``x − bias if x > threshold, x + bias if x < −threshold, else 0``; ``threshold`` rounded to the dtype of x."""
    t, bias = _check.real("shrink", "threshold", threshold), _check.real("shrink", "bias", bias)

    def f(x64: np.ndarray) -> np.ndarray:
        at = float(x.dtype.type(t))
        inner = np.where(np.isnan(x64), x64, 0.0)
        return np.where(x64 > at, x64 - bias, np.where(x64 < -at, x64 + bias, inner))

    return elementwise_forward("shrink", x, f)


def shrink_backward(
    dy: np.ndarray, x: np.ndarray, threshold: float = 0.5, bias: float = 0.0, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy if |x| > threshold else 0``."""
    op = "shrink_backward"
    at = float(x.dtype.type(_check.real(op, "threshold", threshold)))
    _check.real(op, "bias", bias)
    return elementwise_backward(op, dy, x, needs, lambda dy, x: np.where(np.abs(x) > at, dy, 0.0))


def sparse_plus(x: np.ndarray) -> np.ndarray:
    """``0 if x <= −1, x if x >= 1, else (x + 1)² / 4``."""
    return elementwise_forward(
        "sparse_plus", x, lambda x: np.where(x <= -1, 0.0, np.where(x < 1, np.square(x + 1) / 4, x))
    )


def sparse_plus_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``0 if x <= −1, dy if x >= 1, else dy · (x + 1) / 2``."""
    return elementwise_backward(
        "sparse_plus_backward",
        dy,
        x,
        needs,
        lambda dy, x: np.where(x <= -1, 0.0, np.where(x < 1, dy * (x + 1) / 2, dy)),
    )
