"""Cross-entropies as metrics: the losses' formulas, summed over all samples instead of averaged over batches.

Probabilities are kept within [1e-7, 1 - 1e-7] as in Keras, so that a sure mistake costs 16.1 and not
infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.metrics.base import PerSample
from fastconv.metrics.targets import aligned, check_one_hot, checked_range, class_labels

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossentropy",
]

_EPSILON = 1e-7


class _Crossentropy(PerSample):
    direction = "down"

    def __init__(self, name: str | None = None, dtype: Any = None, from_logits: bool = False):
        super().__init__(name, dtype)
        self.from_logits = _arguments.boolean(type(self).__name__, "from_logits", from_logits)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}

    def _log_probabilities(self, y_pred: np.ndarray) -> np.ndarray:
        """float64 log of the class probabilities (…, C)."""
        scores = y_pred.astype(np.float64)
        if self.from_logits:
            scores -= scores.max(axis=-1, keepdims=True, initial=-np.inf)
            return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.log(scores.clip(_EPSILON, 1 - _EPSILON))


class _Smoothed(_Crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ):
        super().__init__(name, dtype, from_logits)
        self.label_smoothing = _arguments.real(type(self).__name__, "label_smoothing", label_smoothing, least=0, most=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}

    def _smooth(self, y_true: np.ndarray, classes: int) -> np.ndarray:
        return y_true * (1 - self.label_smoothing) + self.label_smoothing / classes


class BinaryCrossentropy(_Smoothed):
    """Mean of ``-(t log p + (1 - t) log(1 - p))`` over all elements.

    Args:
        name, dtype: see :class:`Metric`.
        from_logits: whether y_pred holds logits x, p = 1 / (1 + exp(-x)).
        label_smoothing: s in [0, 1]: targets become ``t (1 - s) + s / 2``.
    """

    default_name = "binary_crossentropy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = aligned("BinaryCrossentropy", y_true, y_pred)
        t, p = self._smooth(y_true, 2), y_pred.astype(np.float64)
        if self.from_logits:
            return np.maximum(p, 0) - p * t + np.log1p(np.exp(-np.abs(p)))
        p = p.clip(_EPSILON, 1 - _EPSILON)
        return -(t * np.log(p) + (1 - t) * np.log1p(-p))


class CategoricalCrossentropy(_Smoothed):
    """Mean of ``-sum_c t_c log p_c`` over all rows.

    Shapes: y_true (…, C) one-hot, y_pred (…, C).

    Args:
        name, dtype: see :class:`Metric`.
        from_logits: whether y_pred holds logits x, p = softmax(x).
        label_smoothing: s in [0, 1]: targets become ``t (1 - s) + s / C``.
    """

    default_name = "categorical_crossentropy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        check_one_hot("CategoricalCrossentropy", y_true, y_pred)
        return -(self._smooth(y_true, y_true.shape[-1]) * self._log_probabilities(y_pred)).sum(axis=-1)


class SparseCategoricalCrossentropy(_Crossentropy):
    """Mean of ``-log p_label`` over all rows.

    Shapes: y_true (…) or (…, 1) class numbers, y_pred (…, C).

    Args:
        name, dtype: see :class:`Metric`.
        from_logits: whether y_pred holds logits x, p = softmax(x).
    """

    default_name = "sparse_categorical_crossentropy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        op = "SparseCategoricalCrossentropy"
        labels = checked_range(op, class_labels(op, y_true, y_pred), y_pred.shape[-1])
        return -np.take_along_axis(self._log_probabilities(y_pred), labels[..., None], axis=-1)[..., 0]


class KLDivergence(PerSample):
    """Mean of ``sum_c t_c log(t_c / p_c)`` over all rows, both kept within [1e-7, 1].

    Shapes: y_true and y_pred (…, C).
    """

    default_name = "kl_divergence"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = aligned("KLDivergence", y_true, y_pred)
        t, p = (a.astype(np.float64).clip(_EPSILON, 1) for a in (y_true, y_pred))
        return (t * np.log(t / p)).sum(axis=-1)


class Poisson(PerSample):
    """Mean of ``p - t log(p + 1e-7)`` over all elements: the negative log-likelihood of counts t at rates p, up to a
    constant; shapes equal, or (…) against (…, 1)."""

    default_name = "poisson"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = aligned("Poisson", y_true, y_pred)
        p = y_pred.astype(np.float64)
        return p - y_true * np.log(p + _EPSILON)
