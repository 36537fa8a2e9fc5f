"""The balance of precision and recall, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array
from fastconv.metrics.base import Metric, broadcast_weight
from fastconv.metrics.confusion import binary_targets, divide

__all__ = ["F1Score", "FBetaScore"]


class FBetaScore(Metric):
    """``(1 + beta²) precision recall / (beta² precision + recall)`` of each class; 0 where that is 0 / 0. A beta above 1
    favours recall.

    Shapes: y_true (N, C) of 0 and 1, or (N,) or (N, 1) class numbers; y_pred (N, C).

    Args:
        average: None: float64 (C,), one score per class. "macro": their mean. "weighted": their mean
            weighted by how often each class occurs. "micro": the score of all classes' counts together.
        beta: > 0.
        threshold: 0 < threshold <= 1: a score above it is a positive. None: the best score of each row is
            (with one column: 0.5, where Keras would call everything positive).
        name, dtype: see :class:`Metric`.
    """

    default_name = "fbeta_score"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        op = type(self).__name__
        if average is not None:
            _arguments.choice(op, "average", average, ("micro", "macro", "weighted"))
        self.average = average
        self.beta = _arguments.real(op, "beta", beta, above=0)
        self.threshold = None if threshold is None else _arguments.real(op, "threshold", threshold, above=0, most=1)
        super().__init__(name, dtype)

    def reset_state(self) -> None:
        self._tp = self._found = self._true = np.zeros(0)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, score = binary_targets(
            type(self).__name__,
            array(type(self).__name__, "y_true", y_true),
            array(type(self).__name__, "y_pred", y_pred),
        )
        if score.ndim == 1:
            truth, score = truth[:, None], score[:, None]
        if score.ndim != 2 or self._tp.size not in (0, score.shape[1]):
            classes = self._tp.size or "C"
            raise ValueError(
                f"[{type(self).__name__}] predictions must be rows of class scores: expected y_pred.shape == "
                f"(N, {classes}), got y_pred.shape={score.shape}. "
                f"Flatten the other axes, or call reset_state() first."
            )
        if self._tp.size == 0:
            self._tp, self._found, self._true = np.zeros((3, score.shape[1]))
        weight = np.ones(len(score))
        if sample_weight is not None:
            weight = broadcast_weight(type(self).__name__, sample_weight, score.shape[:1])
        found = self._positives(score)
        self._tp += weight @ (found & truth)
        self._found += weight @ found
        self._true += weight @ truth

    def _positives(self, score: np.ndarray) -> np.ndarray:
        if self.threshold is not None or score.shape[1] == 1:
            return score > (self.threshold or 0.5)
        return np.arange(score.shape[1]) == score.argmax(axis=1)[:, None]

    def result(self) -> Any:
        if self._tp.size == 0:
            return 0.0
        if self.average == "micro":
            return float(self._scores(self._tp.sum(), self._found.sum(), self._true.sum()))
        scores = self._scores(self._tp, self._found, self._true)
        if self.average == "macro":
            return float(scores.mean())
        if self.average == "weighted":
            return float(divide((scores * self._true).sum(), self._true.sum()))
        return scores

    def _scores(self, tp: np.ndarray, found: np.ndarray, true: np.ndarray) -> np.ndarray:
        """found = TP + FP, true = TP + FN."""
        square = min(self.beta * self.beta, 1e100)  # beyond, `found` changes no bit
        return divide((1 + square) * tp, square * true + found)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"average": self.average, "beta": self.beta, "threshold": self.threshold, **config}


class F1Score(FBetaScore):
    """``2 precision recall / (precision + recall) = 2 TP / (2 TP + FP + FN)`` of each class: :class:`FBetaScore` with
    ``beta = 1``; shapes and arguments as there.

    Example:
        >>> F1Score(average="macro")([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        0.6666666666666666
    """

    default_name = "f1_score"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {key: value for key, value in super().get_config().items() if key != "beta"}
