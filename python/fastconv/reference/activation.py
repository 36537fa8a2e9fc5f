"""Activations: each function and, right below it, its gradient.

A gradient is given as a function of ``(dy, x)`` and not as a bare slope, so that ``dy`` infinite or NaN meets
no ``0 · dy`` where the slope is zero by definition (relu and its kin choose, they do not multiply).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from .elementwise import unbroadcast

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_swish",
    "hard_swish_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
    "threshold",
    "threshold_backward",
]

_SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al. 2017, "Self-normalizing neural networks"
_SELU_SCALE = 1.0507009873554804934193349852946
_GELU_CUBIC = 0.044715  # Hendrycks and Gimpel 2016, the tanh approximation
_GELU_SCALE = math.sqrt(2 / math.pi)


@_check.quiet
def elementwise_forward(op: str, x: np.ndarray, f: Callable[[np.ndarray], np.ndarray], axes: Any = None) -> np.ndarray:
    dtype = _check.arrays(op, x=(x, axes))
    refuse_too_large(op, x.shape, x.shape)
    return _check.cast(f(x.astype(np.float64)), dtype)


@_check.quiet
def elementwise_backward(
    op: str, dy: np.ndarray, x: np.ndarray, needs: Any, f: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray | None]:
    dtype = _check.arrays(op, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    (want,) = _check.needs(op, needs, (True,))
    refuse_too_large(op, x.shape, x.shape)
    return (_check.cast(f(dy.astype(np.float64), x.astype(np.float64)), dtype) if want else None,)


def relu(x: np.ndarray) -> np.ndarray:
    """``0 if x < 0 else x``: keeps NaN and -0.0. The derivative at 0 is 0."""
    return elementwise_forward("relu", x, lambda x: np.where(x < 0, 0.0, x))


def relu_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy if x > 0 else 0``."""
    return elementwise_backward("relu_backward", dy, x, needs, lambda dy, x: np.where(x > 0, dy, 0.0))


def relu6(x: np.ndarray) -> np.ndarray:
    """``min(max(x, 0), 6)``."""
    return elementwise_forward("relu6", x, _relu6)


def relu6_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy if 0 < x < 6 else 0``."""
    return elementwise_backward("relu6_backward", dy, x, needs, lambda dy, x: np.where((x > 0) & (x < 6), dy, 0.0))


def leaky_relu(x: np.ndarray, negative_slope: float = 0.2) -> np.ndarray:
    """``x if x > 0 else negative_slope · x``."""
    slope = _check.real("leaky_relu", "negative_slope", negative_slope)
    return elementwise_forward("leaky_relu", x, lambda x: np.where(x > 0, x, slope * x))


def leaky_relu_backward(
    dy: np.ndarray, x: np.ndarray, *, negative_slope: float = 0.2, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy if x > 0 else negative_slope · dy``."""
    op = "leaky_relu_backward"
    slope = _check.real(op, "negative_slope", negative_slope)
    return elementwise_backward(op, dy, x, needs, lambda dy, x: np.where(x > 0, dy, slope * dy))


@_check.quiet
def prelu(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``x if x > 0 else alpha · x`` with a learned ``alpha`` that broadcasts to the shape of x, e.g. (C,)."""
    dtype = _prelu("prelu", x=(x, None), alpha=(alpha, None))
    x64 = x.astype(np.float64)
    return _check.cast(np.where(x64 > 0, x64, alpha * x64), dtype)


@_check.quiet
def prelu_backward(
    dy: np.ndarray, x: np.ndarray, alpha: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(dx, dalpha)``; dalpha sums over the axes along which alpha was broadcast."""
    op = "prelu_backward"
    dtype = _prelu(op, x=(x, None), alpha=(alpha, None), dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    want = _check.needs(op, needs, (True, True))
    x64, dy64 = x.astype(np.float64), dy.astype(np.float64)
    return (
        _check.cast(np.where(x64 > 0, dy64, alpha * dy64), dtype) if want[0] else None,
        _check.cast(unbroadcast(np.where(x64 > 0, 0.0, x64 * dy64), alpha.shape), dtype) if want[1] else None,
    )


def _prelu(op: str, **named: Any) -> np.dtype:
    dtype = _check.arrays(op, **named)
    x, alpha = named["x"][0], named["alpha"][0]
    trailing = x.shape[x.ndim - alpha.ndim :] if alpha.ndim <= x.ndim else ()
    if alpha.ndim > x.ndim or any(a not in (1, n) for a, n in zip(alpha.shape, trailing, strict=True)):
        got = f"alpha.shape={alpha.shape}, x.shape={x.shape}"
        rule = "alpha must broadcast to the shape of x"
        _check.fail(ValueError, op, rule, "alpha extents 1 or those of x", got, "Use (C,) for one per channel.")
    refuse_too_large(op, x.shape, x.shape)
    return dtype


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """``x if x > 0 else alpha · (exp(x) − 1)`` (Clevert et al. 2016)."""
    alpha = _check.real("elu", "alpha", alpha)
    return elementwise_forward("elu", x, lambda x: np.where(x > 0, x, alpha * np.expm1(x)))


def elu_backward(dy: np.ndarray, x: np.ndarray, *, alpha: float = 1.0, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy if x > 0 else dy · alpha · exp(x)``."""
    alpha = _check.real("elu_backward", "alpha", alpha)
    return elementwise_backward("elu_backward", dy, x, needs, lambda dy, x: np.where(x > 0, dy, dy * alpha * np.exp(x)))


def selu(x: np.ndarray) -> np.ndarray:
    """``scale · elu(x, alpha)`` with the two constants that keep mean 0 and variance 1."""
    return elementwise_forward("selu", x, lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)))


def selu_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · scale · (1 if x > 0 else alpha · exp(x))``."""
    return elementwise_backward(
        "selu_backward",
        dy,
        x,
        needs,
        lambda dy, x: dy * _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * np.exp(x)),
    )


def gelu(x: np.ndarray, approximate: bool = False) -> np.ndarray:
    """``x · Φ(x)`` with the normal distribution's Φ or its tanh approximation (Hendrycks and Gimpel 2016)."""
    approximate = _check.flag("gelu", "approximate", approximate)
    return elementwise_forward("gelu", x, lambda x: x * (_phi_tanh(x) if approximate else _phi(x)))


def gelu_backward(
    dy: np.ndarray, x: np.ndarray, *, approximate: bool = False, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy · (Φ(x) + x · Φ'(x))``."""
    approximate = _check.flag("gelu_backward", "approximate", approximate)

    def exact(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        near = np.clip(x, -40, 40)  # beyond, the density is 0
        return dy * (_phi(x) + near * np.exp(-0.5 * near * near) / math.sqrt(2 * math.pi))

    def tanh_form(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        phi = _phi_tanh(x)
        return dy * (phi + x * 2 * phi * (1 - phi) * _GELU_SCALE * (1 + 3 * _GELU_CUBIC * x * x))

    return elementwise_backward("gelu_backward", dy, x, needs, tanh_form if approximate else exact)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(−x))`` without overflow."""
    return elementwise_forward("sigmoid", x, logistic)


def sigmoid_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · σ(x) · σ(−x)``."""
    return elementwise_backward("sigmoid_backward", dy, x, needs, lambda dy, x: dy * logistic(x) * logistic(-x))


def silu(x: np.ndarray) -> np.ndarray:
    """``x · sigmoid(x)``, also called swish."""
    return elementwise_forward("silu", x, lambda x: x * logistic(x))


def silu_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · σ(x) · (1 + x · σ(−x))``."""
    return elementwise_backward("silu_backward", dy, x, needs, lambda dy, x: dy * logistic(x) * (1 + x * logistic(-x)))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """``relu6(x + 3) / 6``, Keras 3's definition."""
    return elementwise_forward("hard_sigmoid", x, lambda x: _relu6(x + 3) / 6)


def hard_sigmoid_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy / 6 if −3 < x < 3 else 0``."""
    return elementwise_backward(
        "hard_sigmoid_backward", dy, x, needs, lambda dy, x: np.where(np.abs(x) < 3, dy / 6, 0.0)
    )


def hard_swish(x: np.ndarray) -> np.ndarray:
    """``x · relu6(x + 3) / 6`` (Howard et al. 2019, MobileNetV3)."""
    return elementwise_forward("hard_swish", x, lambda x: x * _relu6(x + 3) / 6)


def hard_swish_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``0 if x <= −3, dy if x >= 3, else dy · (2x + 3) / 6``."""

    def f(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.where(x <= -3, 0.0, np.where(x >= 3, dy, dy * (2 * x + 3) / 6))

    return elementwise_backward("hard_swish_backward", dy, x, needs, f)


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent."""
    return elementwise_forward("tanh", x, np.tanh)


def tanh_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · (1 − tanh²(x))``, as ``dy · 4 · σ(2x) · σ(−2x)``, which does not cancel."""
    return elementwise_backward(
        "tanh_backward", dy, x, needs, lambda dy, x: dy * 4 * logistic(2 * x) * logistic(-2 * x)
    )


def softplus(x: np.ndarray) -> np.ndarray:
    """``log(1 + exp(x))`` without overflow."""
    return elementwise_forward("softplus", x, soft_plus)


def softplus_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy · σ(x)``."""
    return elementwise_backward("softplus_backward", dy, x, needs, lambda dy, x: dy * logistic(x))


def threshold(x: np.ndarray, value: float = 0.0) -> np.ndarray:
    """``1 if x > value else 0``, the perceptron's step; NaN stays NaN; ``value`` is rounded to the dtype of x first."""
    value = _check.real("threshold", "value", value)
    return elementwise_forward(
        "threshold", x, lambda x64: np.where(np.isnan(x64), x64, x64 > float(x.dtype.type(value)))
    )


def threshold_backward(
    dy: np.ndarray, x: np.ndarray, value: float = 0.0, *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """Zero everywhere: the step's derivative is 0 wherever it has one."""
    _check.real("threshold_backward", "value", value)
    return elementwise_backward("threshold_backward", dy, x, needs, lambda dy, x: np.zeros_like(dy))


# --- the formulas that several functions share, on float64 --------------------------------------------------


def logistic(x: np.ndarray) -> np.ndarray:
    """σ(x); exp only ever sees numbers <= 0."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1 + small)


def soft_plus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)); exp only ever sees numbers <= 0."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _relu6(x: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, 0.0), 6.0)


def _phi(x: np.ndarray) -> np.ndarray:
    """The normal distribution function; erfc is exact in the left tail, where 1 + erf would cancel."""
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    return 0.5 * erfc(-x / math.sqrt(2))


def _phi_tanh(x: np.ndarray) -> np.ndarray:
    return logistic(2 * _GELU_SCALE * (x + _GELU_CUBIC * x**3))
