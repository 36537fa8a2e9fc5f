"""Losses with Keras 3's definitions: one number per sample, the mean (for some the sum) over the last axis.

``y_true`` and ``y_pred`` have one shape (…, C) and the result has shape (…): nothing broadcasts. The gradient
with respect to ``y_true`` is not defined here and is always None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = [
    "hinge",
    "hinge_backward",
    "huber",
    "huber_backward",
    "kl_divergence",
    "kl_divergence_backward",
    "mean_absolute_error",
    "mean_absolute_error_backward",
    "mean_absolute_percentage_error",
    "mean_absolute_percentage_error_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "mean_squared_logarithmic_error",
    "mean_squared_logarithmic_error_backward",
    "poisson",
    "poisson_backward",
]

_EPSILON = 1e-7  # keras.config.epsilon(): probabilities are kept at least this large

Loss = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mean_squared_error(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``mean((y_pred − y_true)²)``."""
    return _loss("mean_squared_error", y_true, y_pred, lambda t, p: np.square(p - t).mean(axis=-1))


def mean_squared_error_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``2 (y_pred − y_true) / C``."""
    return _loss_backward(
        "mean_squared_error_backward", dy, y_true, y_pred, needs, lambda t, p: 2 * (p - t) / p.shape[-1]
    )


def mean_absolute_error(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``mean(|y_pred − y_true|)``."""
    return _loss("mean_absolute_error", y_true, y_pred, lambda t, p: np.abs(p - t).mean(axis=-1))


def mean_absolute_error_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``sign(y_pred − y_true) / C``; 0 where they are equal."""
    return _loss_backward(
        "mean_absolute_error_backward", dy, y_true, y_pred, needs, lambda t, p: np.sign(p - t) / p.shape[-1]
    )


def huber(y_true: np.ndarray, y_pred: np.ndarray, *, delta: float = 1.0) -> np.ndarray:
    """Mean of ``½e²`` where ``|e| <= delta``, else ``delta·|e| − ½delta²`` (Huber 1964)."""
    delta = _check.positive("huber", "delta", delta)

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        e = np.abs(p - t)
        return np.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta)).mean(axis=-1)

    return _loss("huber", y_true, y_pred, f)


def huber_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, delta: float = 1.0, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``clip(y_pred − y_true, −delta, delta) / C``."""
    delta = _check.positive("huber_backward", "delta", delta)
    return _loss_backward(
        "huber_backward", dy, y_true, y_pred, needs, lambda t, p: np.clip(p - t, -delta, delta) / p.shape[-1]
    )


def hinge(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``mean(max(1 − y_true · y_pred, 0))``; labels {0, 1} are read as {−1, 1}."""
    return _loss("hinge", y_true, y_pred, lambda t, p: np.maximum(1 - _signs(t) * p, 0).mean(axis=-1))


def hinge_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``−y_true / C`` inside the margin, else 0."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        t = _signs(t)
        return np.where(1 - t * p > 0, -t, 0.0) / p.shape[-1]

    return _loss_backward("hinge_backward", dy, y_true, y_pred, needs, f)


def kl_divergence(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``Σ y_true · log(y_true / y_pred)``, both clipped to [1e-7, 1]."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        t, p = np.clip(t, _EPSILON, 1.0), np.clip(p, _EPSILON, 1.0)
        return (t * np.log(t / p)).sum(axis=-1)

    return _loss("kl_divergence", y_true, y_pred, f)


def kl_divergence_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``−y_true / y_pred`` where y_pred is not clipped, else 0."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        clipped = (p < _EPSILON) | (p > 1.0)
        return np.where(clipped, 0.0, -np.clip(t, _EPSILON, 1.0) / p)

    return _loss_backward("kl_divergence_backward", dy, y_true, y_pred, needs, f)


def poisson(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``mean(y_pred − y_true · log(y_pred + 1e-7))``."""
    return _loss("poisson", y_true, y_pred, lambda t, p: (p - t * np.log(p + _EPSILON)).mean(axis=-1))


def poisson_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(1 − y_true / (y_pred + 1e-7)) / C``."""
    return _loss_backward(
        "poisson_backward", dy, y_true, y_pred, needs, lambda t, p: (1 - t / (p + _EPSILON)) / p.shape[-1]
    )


def mean_absolute_percentage_error(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``100 · mean(|y_pred − y_true| / max(|y_true|, 1e-7))``."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        return 100 * (np.abs(p - t) / np.maximum(np.abs(t), _EPSILON)).mean(axis=-1)

    return _loss("mean_absolute_percentage_error", y_true, y_pred, f)


def mean_absolute_percentage_error_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``100 · sign(y_pred − y_true) / (max(|y_true|, 1e-7) · C)``."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        return 100 * np.sign(p - t) / np.maximum(np.abs(t), _EPSILON) / p.shape[-1]

    return _loss_backward("mean_absolute_percentage_error_backward", dy, y_true, y_pred, needs, f)


def mean_squared_logarithmic_error(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """``mean((log(1 + y_pred) − log(1 + y_true))²)``, both at least 1e-7."""
    return _loss(
        "mean_squared_logarithmic_error",
        y_true,
        y_pred,
        lambda t, p: np.square(_log_1p(p) - _log_1p(t)).mean(axis=-1),
    )


def mean_squared_logarithmic_error_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``2 (log(1 + y_pred) − log(1 + y_true)) / ((1 + y_pred) · C)``, 0 where y_pred < 1e-7."""

    def f(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.where(p < _EPSILON, 0.0, 2 * (_log_1p(p) - _log_1p(t)) / (1 + p)) / p.shape[-1]

    return _loss_backward("mean_squared_logarithmic_error_backward", dy, y_true, y_pred, needs, f)


# --- what every loss above does around its formula ----------------------------------------------------------


@_check.quiet
def _loss(op: str, y_true: np.ndarray, y_pred: np.ndarray, f: Loss) -> np.ndarray:
    dtype = targets(op, y_true, y_pred)
    return _check.cast(f(y_true.astype(np.float64), y_pred.astype(np.float64)), dtype)


@_check.quiet
def _loss_backward(
    op: str, dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, needs: Any, slope: Loss
) -> tuple[np.ndarray | None, ...]:
    dtype = targets(op, y_true, y_pred, dy=(dy, None))
    return through(op, dy, y_pred, needs, dtype, lambda p: slope(y_true.astype(np.float64), p))


def targets(op: str, y_true: Any, y_pred: Any, **more: Any) -> np.dtype:
    """Check floating-point targets of exactly the shape of the predictions; return their dtype."""
    dtype = _check.arrays(op, y_pred=(y_pred, None), y_true=(y_true, None), **more)
    predictions(op, y_pred)
    _check.shape(op, "y_true", y_true, y_pred.shape, "y_pred")
    return dtype


def predictions(op: str, y_pred: np.ndarray) -> None:
    """Predictions need a last axis to average over, and room for the work."""
    if y_pred.ndim == 0 or y_pred.shape[-1] == 0:
        rule = "y_pred must have outputs on its last axis"
        _check.fail(ValueError, op, rule, "y_pred (…, C), C >= 1", f"y_pred.shape={y_pred.shape}", "Reshape y_pred.")
    refuse_too_large(op, y_pred.shape, y_pred.shape, y_pred.shape)


def through(
    op: str,
    dy: np.ndarray,
    y_pred: np.ndarray,
    needs: Any,
    dtype: np.dtype,
    slope: Callable[[np.ndarray], np.ndarray],
) -> tuple[None, np.ndarray | None]:
    """``(None, dy · slope(y_pred))`` with one dy per sample."""
    _check.shape(op, "dy", dy, y_pred.shape[:-1], "the losses, one per sample")
    _, want = _check.needs(op, needs, (False, True))
    if not want:
        return None, None
    return None, _check.cast(dy.astype(np.float64)[..., None] * slope(y_pred.astype(np.float64)), dtype)


def _log_1p(x: np.ndarray) -> np.ndarray:
    """log(1 + x), where x is at least 1e-7; NaN stays NaN."""
    return np.log1p(np.maximum(x, _EPSILON))


def _signs(t: np.ndarray) -> np.ndarray:
    """Labels {0, 1} as {−1, 1}; anything else is taken to be signed already (Keras's rule)."""
    return 2 * t - 1 if np.all((t == 0) | (t == 1)) else t
