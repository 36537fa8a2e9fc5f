"""More elementwise activations: those with two parameters, and the less common ones."""

from __future__ import annotations

from typing import Any

from fastconv.ops import _numbers
from fastconv.ops.activation import ActivationTuple, activate, activate_backward, simple

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

exponential, exponential_backward = simple("exponential")
mish, mish_backward = simple("mish")
softsign, softsign_backward = simple("softsign")
sparse_plus, sparse_plus_backward = simple("sparse_plus")


def _clip(low: Any, high: Any) -> ActivationTuple:
    bounds = _numbers.as_float("clip", "low", low), _numbers.as_float("clip", "high", high)
    if bounds[0] > bounds[1]:
        raise ValueError(f"[clip] low must not be above high: expected low <= high, got {low=}, {high=}. Swap them.")
    return ("clip", *bounds)


def clip(x: Any, low: float, high: float, *, out: Any = None) -> Any:
    """``min(max(x, low), high)``, elementwise.

    Args:
        x: float32 or float64 array of any shape.
        low, high: bounds.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype; NaN stays NaN. The derivative at the bounds is 0.
    """
    return activate(x, _clip(low, high), out)


def clip_backward(dy: Any, x: Any, low: float, high: float, *, needs: Any = None) -> tuple:
    """Gradient of :func:`clip`: ``(dx,)``."""
    return activate_backward(dy, x, _clip(low, high), needs)


def _shrink(threshold: Any, bias: Any) -> ActivationTuple:
    return (
        "shrink",
        _numbers.as_float("shrink", "threshold", threshold),
        _numbers.as_float("shrink", "bias", bias),
    )


def shrink(x: Any, threshold: float = 0.5, bias: float = 0.0, *, out: Any = None) -> Any:
    """``x > threshold ? x - bias : x < -threshold ? x + bias : 0``, elementwise, as ONNX's Shrink.

    Keras's hard_shrink has bias 0, its soft_shrink a bias that is the threshold.

    Args:
        x: float32 or float64 array of any shape.
        threshold: what is smaller becomes 0.
        bias: by how much the rest moves towards 0.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype; NaN stays NaN.
    """
    return activate(x, _shrink(threshold, bias), out)


def shrink_backward(dy: Any, x: Any, threshold: float = 0.5, bias: float = 0.0, *, needs: Any = None) -> tuple:
    """Gradient of :func:`shrink`: ``(dx,)``."""
    return activate_backward(dy, x, _shrink(threshold, bias), needs)


def _squareplus(b: Any) -> ActivationTuple:
    return ("squareplus", _numbers.as_positive("squareplus", "b", b), 0.0)


def squareplus(x: Any, b: float = 4.0, *, out: Any = None) -> Any:
    """``(x + sqrt(x^2 + b)) / 2``, elementwise (Barron 2021).

    Args:
        x: float32 or float64 array of any shape.
        b: how smooth the bend is, > 0.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.

    Numerics: below zero as ``b / (2 (sqrt(x^2 + b) - x))``, which does not cancel; x^2 does not overflow.
    """
    return activate(x, _squareplus(b), out)


def squareplus_backward(dy: Any, x: Any, b: float = 4.0, *, needs: Any = None) -> tuple:
    """Gradient of :func:`squareplus`: ``(dx,)``."""
    return activate_backward(dy, x, _squareplus(b), needs)
