"""The area under the ROC or the precision-recall curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.metrics.confusion import ThresholdCounts, binary_targets, divide

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
        from_logits: whether y_pred holds logits; a sigmoid is applied.

    Example:
        >>> m = AUC(num_thresholds=3)
        >>> m([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        0.75
    """

    default_name = "auc"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        from_logits: bool = False,
    ):
        self.num_thresholds = _arguments.integer("AUC", "num_thresholds", num_thresholds, least=2)
        self.curve = _arguments.choice("AUC", "curve", curve, ("ROC", "PR"))
        self.summation_method = _arguments.choice(
            "AUC", "summation_method", summation_method, ("interpolation", "minoring", "majoring")
        )
        self.from_logits = _arguments.boolean("AUC", "from_logits", from_logits)
        self.thresholds = None
        inner = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
        if thresholds is not None:
            self.thresholds = sorted(
                _arguments.real("AUC", f"thresholds[{i}]", t, least=0, most=1) for i, t in enumerate(thresholds)
            )
            inner = np.array(self.thresholds)
        super().__init__(np.concatenate([[-_EPSILON], inner, [1 + _EPSILON]]), name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, score = binary_targets("AUC", np.asarray(y_true), np.asarray(y_pred))
        if self.from_logits:
            with np.errstate(under="ignore"):
                score = 0.5 * (1 + np.tanh(0.5 * score))
        if ((score < 0) | (score > 1)).any():
            raise ValueError(
                f"[AUC] scores must be probabilities: expected 0 <= y_pred <= 1, "
                f"got y_pred from {score.min()} to {score.max()}. "
                f"Add a sigmoid or softmax, or pass from_logits=True."
            )
        self._count(truth, score, sample_weight)

    def result(self) -> float:
        tp, fp, tn, fn = self._counts()
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
