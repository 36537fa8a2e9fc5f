"""Cross-entropies with Keras 3's definitions: what a classifier is trained on.

Predictions are probabilities, kept at least 1e-7 away from 0 and 1, or with ``from_logits`` the numbers
before sigmoid or softmax, for which no clipping is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from .activation import logistic, soft_plus
from .loss import predictions, targets, through
from .softmax import log_soft_max, soft_max

__all__ = [
    "binary_crossentropy",
    "binary_crossentropy_backward",
    "categorical_crossentropy",
    "categorical_crossentropy_backward",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_backward",
]

_EPSILON = 1e-7  # keras.config.epsilon()
_SUM_TOLERANCE = 1e-3  # how far a row of class probabilities may be from summing to 1


@_check.quiet
def binary_crossentropy(
    y_true: np.ndarray, y_pred: np.ndarray, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """``mean(−t · log(p) − (1 − t) · log(1 − p))`` over the last axis.

    Args:
        y_true: labels in [0, 1], of y_pred's shape and dtype.
        y_pred: (…, C) probabilities, or logits z with p = sigmoid(z) if ``from_logits``.
        label_smoothing: s in [0, 1]; t becomes ``t · (1 − s) + s / 2``.

    Returns:
        (…): one loss per sample.
    """
    dtype, t = _binary("binary_crossentropy", y_true, y_pred, from_logits, label_smoothing)
    p = y_pred.astype(np.float64)
    if from_logits:
        return _check.cast((soft_plus(p) - t * p).mean(axis=-1), dtype)
    p, _ = _clip(p, dtype)
    return _check.cast((-t * np.log(p) - (1 - t) * np.log(1 - p)).mean(axis=-1), dtype)


@_check.quiet
def binary_crossentropy_backward(
    dy: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """``(σ(z) − t) / C`` for logits, else ``(p − t) / (p (1 − p) C)``, 0 where p is clipped."""
    op = "binary_crossentropy_backward"
    dtype, t = _binary(op, y_true, y_pred, from_logits, label_smoothing, dy=(dy, None))

    def slope(p: np.ndarray) -> np.ndarray:
        if from_logits:
            return (logistic(p) - t) / p.shape[-1]
        p, clipped = _clip(p, dtype)
        return np.where(clipped, 0.0, (p - t) / (p * (1 - p))) / p.shape[-1]

    return through(op, dy, y_pred, needs, dtype, slope)


@_check.quiet
def categorical_crossentropy(
    y_true: np.ndarray, y_pred: np.ndarray, *, from_logits: bool = False, label_smoothing: float = 0.0
) -> np.ndarray:
    """``−Σ t · log(p)`` over the last axis, p scaled to sum to 1.

    Args:
        y_true: (…, C) class probabilities, usually one-hot; every row sums to 1.
        y_pred: (…, C) probabilities, or logits z with p = softmax(z) if ``from_logits``.
        label_smoothing: s in [0, 1]; t becomes ``t · (1 − s) + s / C``.

    Returns:
        (…): one loss per sample.
    """
    dtype, t = _categorical("categorical_crossentropy", y_true, y_pred, from_logits, label_smoothing)
    return _check.cast(-(t * _log_p(y_pred.astype(np.float64), from_logits, dtype)).sum(axis=-1), dtype)


@_check.quiet
def categorical_crossentropy_backward(
    dy: np.ndarray,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """``softmax(z) · Σt − t`` for logits, else the gradient through the scaling of p."""
    op = "categorical_crossentropy_backward"
    dtype, t = _categorical(op, y_true, y_pred, from_logits, label_smoothing, dy=(dy, None))
    return through(op, dy, y_pred, needs, dtype, lambda p: _slope(t, p, from_logits, dtype))


@_check.quiet
def sparse_categorical_crossentropy(y_true: np.ndarray, y_pred: np.ndarray, *, from_logits: bool = False) -> np.ndarray:
    """:func:`categorical_crossentropy` with the class numbers instead of one-hot rows.

    Args:
        y_true: integers in [0, C), of y_pred's shape without the last axis, or with 1 for it.
        y_pred: (…, C) probabilities, or logits if ``from_logits``.

    Returns:
        (…): one loss per sample.

    Example:
        >>> sparse_categorical_crossentropy(np.array([1]), np.array([[0.5, 0.25, 0.25]]))
        array([1.38629436])
    """
    dtype, t = _sparse("sparse_categorical_crossentropy", y_true, y_pred, from_logits)
    log_p = _log_p(y_pred.astype(np.float64), from_logits, dtype)
    return _check.cast(-np.take_along_axis(log_p, t[..., None], axis=-1)[..., 0], dtype)


@_check.quiet
def sparse_categorical_crossentropy_backward(
    dy: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, *, from_logits: bool = False, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """The gradient of :func:`categorical_crossentropy` at the one-hot rows."""
    op = "sparse_categorical_crossentropy_backward"
    dtype, t = _sparse(op, y_true, y_pred, from_logits, dy=(dy, None))
    one_hot = (t[..., None] == np.arange(y_pred.shape[-1])).astype(np.float64)
    return through(op, dy, y_pred, needs, dtype, lambda p: _slope(one_hot, p, from_logits, dtype))


# --- formulas, in float64 -----------------------------------------------------------------------------------


def _clip(p: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities within [ε, 1 − ε], and where that changed them.

    The limits are rounded to the caller's dtype as in Keras: in float32, 1 − 1e-7 is 1 − 1.19e-7, and log(1 −
    p) of a saturated p is -15.94, not -16.12.
    """
    low, high = float(dtype.type(_EPSILON)), float(dtype.type(1 - _EPSILON))
    return np.clip(p, low, high), (p < low) | (p > high)


def _log_p(p: np.ndarray, from_logits: bool, dtype: np.dtype) -> np.ndarray:
    if from_logits:
        return log_soft_max(p)
    return np.log(_clip(p / p.sum(axis=-1, keepdims=True), dtype)[0])


def _slope(t: np.ndarray, p: np.ndarray, from_logits: bool, dtype: np.dtype) -> np.ndarray:
    """d(−Σ t log p)/d y_pred."""
    if from_logits:
        return soft_max(p) * t.sum(axis=-1, keepdims=True) - t
    total = p.sum(axis=-1, keepdims=True)
    scaled, clipped = _clip(p / total, dtype)
    inner = np.where(clipped, 0.0, -t / scaled)
    return (inner - (inner * scaled).sum(axis=-1, keepdims=True)) / total


# --- targets ------------------------------------------------------------------------------------------------


def _binary(
    op: str, y_true: Any, y_pred: Any, from_logits: Any, label_smoothing: Any, **more: Any
) -> tuple[np.dtype, np.ndarray]:
    """The dtype and the smoothed labels."""
    dtype = targets(op, y_true, y_pred, **more)
    _check.flag(op, "from_logits", from_logits)
    smoothing = _check.real(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    t = y_true.astype(np.float64)
    _refuse(
        op,
        ~((t >= 0) & (t <= 1)),
        y_true,
        "labels must be probabilities",
        "0 <= y_true <= 1",
        "Scale the labels.",
    )
    return dtype, t * (1 - smoothing) + 0.5 * smoothing


def _categorical(
    op: str, y_true: Any, y_pred: Any, from_logits: Any, label_smoothing: Any, **more: Any
) -> tuple[np.dtype, np.ndarray]:
    dtype = targets(op, y_true, y_pred, **more)
    _check.flag(op, "from_logits", from_logits)
    smoothing = _check.real(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    t = y_true.astype(np.float64)
    _refuse(op, ~((t >= 0) & (t <= 1)), y_true, "class probabilities", "0 <= y_true <= 1", "Use one-hot rows.")
    sums = t.sum(axis=-1)
    bad = np.abs(sums - 1) > _SUM_TOLERANCE
    if bad.any():
        row = tuple(int(i) for i in np.argwhere(bad)[0])
        label = row[0] if len(row) == 1 else row
        rule = f"y_true row {label} sums to {sums[row]:g}"
        got = f"sum {sums[row]:g}, y_true.shape={y_true.shape}"
        _check.fail(ValueError, op, rule, "every row to sum to 1", got, "Use one-hot rows, or binary_crossentropy.")
    return dtype, t * (1 - smoothing) + smoothing / y_pred.shape[-1]


def _sparse(op: str, y_true: Any, y_pred: Any, from_logits: Any, **more: Any) -> tuple[np.dtype, np.ndarray]:
    """The dtype and the class numbers, of the shape of the losses."""
    _check.ndarray(op, "y_true", y_true)
    dtype = _check.arrays(op, y_pred=(y_pred, None), **more)
    if y_true.dtype.kind not in "iu":
        rule = f"y_true dtype {y_true.dtype} is not supported"
        _check.fail(TypeError, op, rule, "integers", f"y_true.dtype={y_true.dtype}", "Use y_true.astype(np.int64).")
    predictions(op, y_pred)
    _check.flag(op, "from_logits", from_logits)
    if y_true.shape == (*y_pred.shape[:-1], 1):
        y_true = y_true[..., 0]
    _check.shape(op, "y_true", y_true, y_pred.shape[:-1], "y_pred without its last axis")
    classes = y_pred.shape[-1]
    outside = (y_true < 0) | (y_true >= classes)
    _refuse(
        op,
        outside,
        y_true,
        "labels must be class numbers",
        f"y_true in [0, {classes})",
        "Number classes from 0.",
    )
    return dtype, y_true.astype(np.int64)


def _refuse(op: str, bad: np.ndarray, y_true: np.ndarray, rule: str, expected: str, fix: str) -> None:
    """Name the first bad target."""
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        index = at[0] if len(at) == 1 else at
        _check.fail(ValueError, op, rule, expected, f"y_true value {y_true[at]} at index {index}", fix)
