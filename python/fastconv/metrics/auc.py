"""The area under the ROC or the precision-recall curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array
from fastconv.metrics.base import broadcast_weight
from fastconv.metrics.confusion import ThresholdCounts, binary_targets, divide, threshold_count

__all__ = ["AUC"]

_EPSILON = 1e-7


class AUC(ThresholdCounts):
    """Area under the curve through the points of ``num_thresholds`` evenly spaced thresholds.

    A streaming approximation, as in Keras: scores between two neighbouring thresholds are not told apart,
    so it differs from the exact area by at most half the share of pairs (one positive, one negative) that
    fall between the same two. More thresholds bring it closer. Scores must be probabilities; shapes as
    :class:`Precision`.

    Args:
        num_thresholds: >= 2; two of them lie just outside [0, 1].
        curve: "ROC" (true-positive rate over false-positive rate) or "PR" (precision over recall,
            interpolated as in Davis and Goadrich 2006).
        summation_method: "interpolation" (trapezoids), or "minoring" or "majoring", a lower and an upper sum.
        name, dtype: see :class:`Metric`.
        thresholds: the inner thresholds themselves, in [0, 1]; num_thresholds is then ignored.
        multi_label: whether each column of y_true and y_pred (N, L) is a question of its own: the result is the mean of
            their areas.
        num_labels: L, checked against y_pred if given.
        label_weights: of the columns in that mean; without multi_label, factors of all that is counted in a column.
        from_logits: whether y_pred holds logits; a sigmoid is applied.

    Example:
        >>> m = AUC(num_thresholds=3)
        >>> m([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        0.75
    """

    default_name = "auc"
    _columns: list[ThresholdCounts]

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ):
        self.num_thresholds = threshold_count("AUC", num_thresholds, least=2)
        self.curve = _arguments.choice("AUC", "curve", curve, ("ROC", "PR"))
        self.summation_method = _arguments.choice(
            "AUC", "summation_method", summation_method, ("interpolation", "minoring", "majoring")
        )
        self.from_logits = _arguments.boolean("AUC", "from_logits", from_logits)
        self.multi_label = _arguments.boolean("AUC", "multi_label", multi_label)
        self.num_labels = None if num_labels is None else _arguments.integer("AUC", "num_labels", num_labels, least=1)
        self.label_weights = label_weights
        if label_weights is not None:
            self.label_weights = [
                _arguments.real("AUC", f"label_weights[{i}]", w, least=0)
                for i, w in enumerate(_arguments.items("AUC", "label_weights", label_weights))
            ]
        self.thresholds = None
        inner = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
        if thresholds is not None:
            self.thresholds = sorted(
                _arguments.real("AUC", f"thresholds[{i}]", t, least=0, most=1)
                for i, t in enumerate(_arguments.items("AUC", "thresholds", thresholds))
            )
            inner = np.array(self.thresholds)
            self.num_thresholds = len(inner) + 2
        super().__init__(np.concatenate([[-_EPSILON], inner, [1 + _EPSILON]]), name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, score = binary_targets("AUC", array("AUC", "y_true", y_true), array("AUC", "y_pred", y_pred))
        if self.from_logits:
            with np.errstate(under="ignore"):
                score = 0.5 * (1 + np.tanh(0.5 * score))
        if ((score < 0) | (score > 1)).any():
            raise ValueError(
                f"[AUC] scores must be probabilities: expected 0 <= y_pred <= 1, "
                f"got y_pred from {score.min()} to {score.max()}. "
                f"Add a sigmoid or softmax, or pass from_logits=True."
            )
        self._check_labels(score)
        if self.multi_label:
            columns = self._columns or [ThresholdCounts(self._thresholds, "column") for _ in range(score.shape[1])]
            for i, column in enumerate(columns):
                column._count(truth[:, i], score[:, i], sample_weight)
            self._columns = columns
            return
        given = sample_weight
        if self.label_weights is not None:
            sample_weight = np.broadcast_to(self.label_weights, score.shape)
            if given is not None:
                weight = broadcast_weight("AUC", given, score.shape)
                sample_weight = sample_weight * weight.reshape(weight.shape + (1,) * (2 - weight.ndim))
        self._count(truth, score, sample_weight)

    def _check_labels(self, score: np.ndarray) -> None:
        labels = self.num_labels if self.label_weights is None else len(self.label_weights)
        labels = len(self._columns) or labels
        if not self.multi_label and self.label_weights is None:
            return
        if score.ndim != 2 or labels not in (None, score.shape[1]):
            raise ValueError(
                f"[AUC] each label must have a column: expected y_pred.shape == (N, {labels or 'L'}), got "
                f"y_pred.shape={score.shape}. Check num_labels and label_weights, or call reset_state() first."
            )

    def reset_state(self) -> None:
        super().reset_state()
        self._columns = []

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "columns": [column.get_state() for column in self._columns]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._columns = [ThresholdCounts(self._thresholds, "column") for _ in state["columns"]]
        for column, kept in zip(self._columns, state["columns"], strict=True):
            column.set_state(kept)

    def result(self) -> float:
        if not self.multi_label:
            return self._area(*self._counts())
        if not self._columns:
            return 0.0
        areas = [self._area(*column._counts()) for column in self._columns]
        return float(np.average(areas, weights=self.label_weights))

    def _area(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> float:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_pr_area(tp, fp, fn)
        recall = divide(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide(fp, fp + tn), recall
        else:
            x, y = recall, divide(tp, tp + fp)
        left, right = y[:-1], y[1:]
        height = {
            "interpolation": (left + right) / 2,
            "minoring": np.minimum(left, right),
            "majoring": np.maximum(left, right),
        }[self.summation_method]
        return float(((x[:-1] - x[1:]) * height).sum())

    def get_config(self) -> dict[str, Any]:
        return {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            **super().get_config(),
            "thresholds": self.thresholds,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }


def _interpolated_pr_area(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> float:
    """Area under precision over recall when TP and TP + FP are linear between thresholds A and B.

    With P = TP + FP, s = dTP / dP and c = TP_B - s P_B, precision is s + c / P, so the part between A and
    B is ``s (dTP + c log(P_A / P_B)) / (TP + FN)`` (Davis and Goadrich 2006, integrated).
    """
    positive = tp + fp
    d_tp, d_positive = tp[:-1] - tp[1:], positive[:-1] - positive[1:]
    slope = divide(d_tp, np.maximum(d_positive, 0))
    intercept = tp[1:] - slope * positive[1:]
    both = (positive[:-1] > 0) & (positive[1:] > 0)
    ratio = np.where(both, divide(positive[:-1], np.maximum(positive[1:], 0)), 1.0)
    part = slope * (d_tp + intercept * np.log(ratio))
    return float(divide(part, np.maximum(tp[1:] + fn[1:], 0)).sum())
