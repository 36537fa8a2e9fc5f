"""One figure of a binary classifier at the threshold where another is good enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array
from fastconv.metrics.confusion import ThresholdCounts, binary_targets, divide, of_class, threshold_count

__all__ = ["PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"]

_BELOW_ZERO = -1e-7  # the first threshold: a score of 0 is above it


class _AtOperatingPoint(ThresholdCounts):
    """The best ``_wanted`` at any threshold where ``_constrained`` is at least a bound; 0 if none is.

    Args:
        num_thresholds: evenly spaced from 0 to 1; a single one is 0.5.
        class_id: count only this class, a column of y_true and y_pred.
        name, dtype: see :class:`~fastconv.metrics.Metric`.
    """

    _bound_name: str

    def __init__(self, bound: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any):
        op = type(self).__name__
        self._bound = _arguments.real(op, self._bound_name, bound, least=0, most=1)
        self.num_thresholds = threshold_count(op, num_thresholds, least=1)
        self.class_id = None if class_id is None else _arguments.integer(op, "class_id", class_id, least=0)
        thresholds = np.linspace(0, 1, self.num_thresholds) if self.num_thresholds > 1 else np.array([0.5])
        thresholds[thresholds == 0] = _BELOW_ZERO
        super().__init__(thresholds, name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        op = type(self).__name__
        pair = binary_targets(op, array(op, "y_true", y_true), array(op, "y_pred", y_pred))
        self._count(*of_class(op, self.class_id, *pair), sample_weight)

    def result(self) -> float:
        tp, fp, tn, fn = self._counts()
        constrained, wanted = self._figures(tp, fp, tn, fn)
        return float(wanted[constrained >= self._bound].max(initial=0))

    def _figures(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define _figures.")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            self._bound_name: self._bound,
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
            **config,
        }


class SensitivityAtSpecificity(_AtOperatingPoint):
    """The highest ``TP / (TP + FN)`` where ``TN / (TN + FP) >= specificity``. Scores in [0, 1]; shapes as
    :class:`Precision`.

    Args:
        specificity: 0 <= specificity <= 1.
        num_thresholds: evenly spaced from 0 to 1; a single one is 0.5.
        class_id: count only this class.
        name, dtype: see :class:`Metric`.
    """

    default_name = "sensitivity_at_specificity"
    _bound_name = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def _figures(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return divide(tn, tn + fp), divide(tp, tp + fn)


class SpecificityAtSensitivity(_AtOperatingPoint):
    """The highest ``TN / (TN + FP)`` where ``TP / (TP + FN) >= sensitivity``; arguments as
    :class:`SensitivityAtSpecificity`."""

    default_name = "specificity_at_sensitivity"
    _bound_name = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def _figures(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return divide(tp, tp + fn), divide(tn, tn + fp)


class PrecisionAtRecall(_AtOperatingPoint):
    """The highest ``TP / (TP + FP)`` where ``TP / (TP + FN) >= recall``; arguments as
    :class:`SensitivityAtSpecificity`."""

    default_name = "precision_at_recall"
    _bound_name = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def _figures(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return divide(tp, tp + fn), divide(tp, tp + fp)


class RecallAtPrecision(_AtOperatingPoint):
    """The highest ``TP / (TP + FN)`` where ``TP / (TP + FP) >= precision``; arguments as
    :class:`SensitivityAtSpecificity`."""

    default_name = "recall_at_precision"
    _bound_name = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def _figures(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return divide(tp, tp + fp), divide(tp, tp + fn)
