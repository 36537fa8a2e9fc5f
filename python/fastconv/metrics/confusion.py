"""Counts of right and wrong positives and negatives, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _arguments, _memory
from fastconv._arguments import array
from fastconv.metrics.base import Metric, broadcast_weight
from fastconv.metrics.targets import aligned, checked_range, class_labels

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "ThresholdCounts",
    "TrueNegatives",
    "TruePositives",
    "binary_targets",
    "confusion_matrix",
    "divide",
    "of_class",
]

_BELOW_ALL = -1e10  # the threshold of the k best scores: all of them are positives


class ThresholdCounts(Metric):
    """Positives and negatives, counted between thresholds.

    The state is two histograms: how many true (and how many false) elements have a score above exactly i
    thresholds. All four counts at all thresholds are partial sums of them.

    Shapes: y_true and y_pred equal, with targets 0 or 1; or y_true (N,) or (N, 1) class numbers beside scores
    (N, C > 1), which are then one-hot encoded.
    """

    def __init__(self, thresholds: Sequence[float] | np.ndarray, name: str | None = None, dtype: Any = None):
        self._thresholds = np.sort(thresholds)
        self._rank = np.argsort(np.argsort(thresholds, kind="stable"), kind="stable")
        super().__init__(name, dtype)

    def reset_state(self) -> None:
        self._true = np.zeros(len(self._thresholds) + 1)
        self._false = np.zeros(len(self._thresholds) + 1)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, score = binary_targets(
            type(self).__name__,
            array(type(self).__name__, "y_true", y_true),
            array(type(self).__name__, "y_pred", y_pred),
        )
        self._count(truth, score, sample_weight)

    def _count(self, truth: np.ndarray, score: np.ndarray, sample_weight: Any) -> None:
        bins = len(self._thresholds) + 1
        # The number of thresholds below the score: it is above threshold i when i < passed.
        passed = np.searchsorted(self._thresholds.astype(score.dtype), score.reshape(-1), side="left")
        passed[np.isnan(score.reshape(-1))] = 0  # NaN is above nothing, but sorts last
        passed += bins * truth.reshape(-1)
        weight = None
        if sample_weight is not None:
            weight = broadcast_weight(type(self).__name__, sample_weight, truth.shape)
            weight = weight.reshape(weight.shape + (1,) * (truth.ndim - weight.ndim))
            weight = np.broadcast_to(weight, truth.shape).reshape(-1)
        counted = np.bincount(passed, weight, minlength=2 * bins)
        self._false += counted[:bins]
        self._true += counted[bins:]

    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """True positives, false positives, true negatives, false negatives, each (thresholds,)."""
        fn, tn = self._true.cumsum(), self._false.cumsum()
        tp, fp, tn, fn = (count[:-1][self._rank] for count in (fn[-1] - fn, tn[-1] - tn, tn, fn))
        return tp, fp, tn, fn


class _AtThresholds(ThresholdCounts):
    """Results at one threshold (a float) or at several (an array)."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
        default: float = 0.5,
    ):
        self.thresholds = _checked_thresholds(type(self).__name__, thresholds)
        super().__init__(
            _listed(self.thresholds, _arguments.real(type(self).__name__, "default", default)), name, dtype
        )

    def result(self) -> Any:
        values = self._results(*self._counts())
        return float(values[0]) if values.size == 1 else values

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define _results.")

    def get_config(self) -> dict[str, Any]:
        return {"thresholds": self.thresholds, **super().get_config()}


class TruePositives(_AtThresholds):
    """How many elements with target 1 score above the threshold (default 0.5; a list gives an array)."""

    default_name = "true_positives"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return tp


class FalsePositives(_AtThresholds):
    """How many elements with target 0 score above the threshold (default 0.5; a list gives an array)."""

    default_name = "false_positives"
    direction = "down"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return fp


class TrueNegatives(_AtThresholds):
    """How many elements with target 0 score at most the threshold (default 0.5; a list gives an array)."""

    default_name = "true_negatives"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return tn


class FalseNegatives(_AtThresholds):
    """How many elements with target 1 score at most the threshold (default 0.5; a list gives an array)."""

    default_name = "false_negatives"
    direction = "down"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return fn


class _Share(_AtThresholds):
    """A share of the positives, of all classes or of one, at thresholds or among the best scores of a row."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        op = type(self).__name__
        self.top_k = None if top_k is None else _arguments.integer(op, "top_k", top_k, least=1)
        self.class_id = None if class_id is None else _arguments.integer(op, "class_id", class_id, least=0)
        super().__init__(thresholds, name, dtype, default=0.5 if top_k is None else _BELOW_ALL)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        op = type(self).__name__
        truth, score = binary_targets(op, array(op, "y_true", y_true), array(op, "y_pred", y_pred))
        classes = score.shape[-1] if score.ndim else 0
        if self.top_k is not None:
            _check_fits(op, "top_k", self.top_k, classes, score)
            best = np.argsort(-score, axis=-1, kind="stable")[..., : self.top_k]
            kept = np.full_like(score, -np.inf)
            np.put_along_axis(kept, best, np.take_along_axis(score, best, axis=-1), axis=-1)
            score = kept
        truth, score = of_class(op, self.class_id, truth, score)
        self._count(truth, score, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Share):
    """``TP / (TP + FP)``: how many of the positives found are right; 0 when none was found.

    Shapes: y_true and y_pred equal, with targets 0 or 1; or y_true (N,) or (N, 1) class numbers beside scores
    (N, C > 1), which are then one-hot encoded.

    Args:
        thresholds: a score above it is a positive; default 0.5. Several give an array.
        top_k: instead: the k best scores of each row are positives; 1 gives the usual figure of a classifier.
        class_id: count only this class, a column of y_true and y_pred.
        name, dtype: see :class:`Metric`.
    """

    default_name = "precision"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return divide(tp, tp + fp)


class Recall(_Share):
    """``TP / (TP + FN)``: how many of the true positives are found; 0 when there is none.

    Arguments as :class:`Precision`.
    """

    default_name = "recall"

    def _results(self, tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
        return divide(tp, tp + fn)


def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int | None = None) -> np.ndarray:
    """How often class i was taken for class j.

    Args:
        y_true: class numbers (N,) or (N, 1).
        y_pred: class numbers (N,) or (N, 1), or scores (N, C > 1), whose argmax counts.
        num_classes: default: the largest class number + 1, or C.

    Returns:
        int64 (num_classes, num_classes); rows are true classes, columns predicted ones.

    Raises:
        ValueError: if the lengths differ, or a label is no class.

    Example:
        >>> confusion_matrix([0, 1, 1], [0, 1, 0]).tolist()
        [[1, 0], [1, 1]]
    """
    op = "confusion_matrix"
    true, pred = array(op, "y_true", y_true), array(op, "y_pred", y_pred)
    if pred.ndim == 2 and pred.shape[1] > 1:
        num_classes = pred.shape[1] if num_classes is None else num_classes
        true, pred = class_labels(op, true, pred), pred.argmax(axis=1)
    true, pred = aligned(op, true, pred)
    if num_classes is None:
        num_classes = max(int(true.max(initial=0)), int(pred.max(initial=0))) + 1
    classes = _arguments.integer(op, "num_classes", num_classes, least=1)
    true = checked_range(op, true.reshape(-1), classes)
    pred = checked_range(op, pred.reshape(-1), classes, "y_pred")
    _memory.check_free(op, "confusion", (classes, classes), 8 * classes * classes)
    return np.bincount(true * classes + pred, minlength=classes * classes).reshape(classes, classes)


def binary_targets(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets as bool and scores as float, of one shape; class numbers are one-hot encoded."""
    score = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float64)
    sparse_shapes = (score.shape[:-1], (*score.shape[:-1], 1))
    if score.ndim > 1 and score.shape[-1] > 1 and y_true.shape in sparse_shapes:
        labels = checked_range(op, class_labels(op, y_true, score), score.shape[-1])
        return labels[..., None] == np.arange(score.shape[-1]), score
    y_true, score = aligned(op, y_true, score)
    truth = y_true.astype(bool)
    if (truth != y_true).any():
        raise ValueError(
            f"[{op}] targets must say yes or no: expected 0 or 1, got y_true from {y_true.min()} to "
            f"{y_true.max()}. One-hot encode class numbers."
        )
    return truth, score


def of_class(op: str, class_id: int | None, truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One column of targets and scores; all of them where ``class_id`` is None."""
    if class_id is None:
        return truth, score
    _check_fits(op, "class_id", class_id, (score.shape[-1] if score.ndim else 0) - 1, score)
    return truth[..., class_id], score[..., class_id]


def _check_fits(op: str, name: str, value: int, most: int, score: np.ndarray) -> None:
    if value > most:
        raise ValueError(
            f"[{op}] {name} must fit the classes: expected {name} <= {most}, got {name}={value}, "
            f"y_pred.shape={score.shape}. Use a smaller one."
        )


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _listed(thresholds: float | list[float] | None, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    return thresholds if isinstance(thresholds, list) else [thresholds]


def threshold_count(op: str, value: Any, least: int) -> int:
    """How many thresholds: more than these float32 cannot tell apart in 0..1."""
    return _arguments.integer(op, "num_thresholds", value, least=least, most=10_000_000)


def _checked_thresholds(op: str, thresholds: Any) -> float | list[float] | None:
    if thresholds is None:
        return None
    if not isinstance(thresholds, (list, tuple, np.ndarray)):
        return _arguments.real(op, "thresholds", thresholds, least=0, most=1)
    several = _arguments.items(op, "thresholds", thresholds)
    if not several:
        raise ValueError(f"[{op}] thresholds must not be empty: expected numbers, got []. Pass at least one.")
    return [_arguments.real(op, f"thresholds[{i}]", t, least=0, most=1) for i, t in enumerate(several)]
