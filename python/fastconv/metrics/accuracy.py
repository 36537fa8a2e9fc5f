"""How often predictions are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array
from fastconv.metrics.base import Metric, PerSample
from fastconv.metrics.targets import aligned, check_one_hot, checked_range, class_labels

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "InferredAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
]


class Accuracy(PerSample):
    """How often ``y_pred == y_true``, element by element; shapes equal, or (…) against (…, 1)."""

    default_name = "accuracy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = aligned(type(self).__name__, y_true, y_pred)
        return y_true == y_pred


class BinaryAccuracy(PerSample):
    """How often ``(y_pred > threshold) == y_true``, element by element.

    Args:
        name, dtype: see :class:`Metric`.
        threshold: 0 <= threshold <= 1; use 0.5 for probabilities.
    """

    default_name = "binary_accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5):
        super().__init__(name, dtype)
        self.threshold = _arguments.real("BinaryAccuracy", "threshold", threshold)

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = aligned("BinaryAccuracy", y_true, y_pred)
        return (y_pred > self.threshold) == y_true

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(PerSample):
    """How often ``argmax(y_pred) == argmax(y_true)`` over the last axis.

    Shapes: y_true (…, C) one-hot, y_pred (…, C) probabilities or logits. Ties go to the first class.
    """

    default_name = "categorical_accuracy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        check_one_hot("CategoricalAccuracy", y_true, y_pred)
        return y_pred.argmax(axis=-1) == y_true.argmax(axis=-1)


class SparseCategoricalAccuracy(PerSample):
    """How often ``argmax(y_pred) == y_true`` over the last axis.

    Shapes: y_true (…) or (…, 1) class numbers, y_pred (…, C) probabilities or logits. Ties go to the first
    class.

    Example:
        >>> m = SparseCategoricalAccuracy()
        >>> m([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
        0.5
    """

    default_name = "sparse_categorical_accuracy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        labels = class_labels("SparseCategoricalAccuracy", y_true, y_pred)
        return y_pred.argmax(axis=-1) == labels


class _TopK(PerSample):
    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None):
        super().__init__(name, dtype)
        self.k = _arguments.integer(type(self).__name__, "k", k, least=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}

    def _in_top_k(self, labels: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        """Whether fewer than k classes score higher than the label's; a score not finite is never in."""
        score = np.take_along_axis(y_pred, labels[..., None], axis=-1)
        return ((y_pred > score).sum(axis=-1) < self.k) & np.isfinite(score[..., 0])


class TopKCategoricalAccuracy(_TopK):
    """How often the true class is among the k best scores; shapes as :class:`CategoricalAccuracy`."""

    default_name = "top_k_categorical_accuracy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        check_one_hot("TopKCategoricalAccuracy", y_true, y_pred)
        return self._in_top_k(y_true.argmax(axis=-1), y_pred)


class SparseTopKCategoricalAccuracy(_TopK):
    """How often the true class is among the k best scores; shapes as :class:`SparseCategoricalAccuracy`."""

    default_name = "sparse_top_k_categorical_accuracy"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        op = "SparseTopKCategoricalAccuracy"
        labels = checked_range(op, class_labels(op, y_true, y_pred), y_pred.shape[-1])
        return self._in_top_k(labels, y_pred)


class InferredAccuracy(Metric):
    """What ``"accuracy"`` means: the first batch decides, by Keras's rule.

    The last axis of y_pred has extent 1: :class:`BinaryAccuracy`. y_true has fewer dims than y_pred, or a
    last axis of extent 1: :class:`SparseCategoricalAccuracy`. Otherwise: :class:`CategoricalAccuracy`.
    """

    default_name = "accuracy"

    def __init__(self, name: str | None = None, dtype: Any = None):
        self.metric: Metric | None = None
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.metric is None:
            shapes = (array("InferredAccuracy", name, y).shape for name, y in (("y_true", y_true), ("y_pred", y_pred)))
            self.metric = accuracy_for(*shapes)(self.name, self.dtype)
        self.metric.update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:
        return self.metric.result() if self.metric is not None else 0.0

    def reset_state(self) -> None:
        if self.metric is not None:
            self.metric.reset_state()

    def get_state(self) -> dict[str, Any]:
        return {} if self.metric is None else {"kind": type(self.metric).__name__, "state": self.metric.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if state:
            kinds = {kind.__name__: kind for kind in (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)}
            self.metric = kinds[state["kind"]](self.name, self.dtype)
            self.metric.set_state(state["state"])


def accuracy_for(true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> type[Metric]:
    """The accuracy that fits the shapes: see :class:`InferredAccuracy`."""
    if len(pred_shape) < 2 or pred_shape[-1] == 1:
        return BinaryAccuracy
    if len(true_shape) < len(pred_shape) or true_shape[-1] == 1:
        return SparseCategoricalAccuracy
    return CategoricalAccuracy
