"""How much of the targets' variance the predictions explain."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import array
from fastconv.metrics.base import Metric, broadcast_weight
from fastconv.metrics.regression import float_pair

__all__ = ["R2Score"]


class R2Score(Metric):
    """``1 - Σ (y_true - y_pred)² / Σ (y_true - mean(y_true))²``, each column for itself.

    A column of equal targets gives 1 if it is predicted exactly, else 0, as in scikit-learn.

    Shapes: y_true and y_pred (N, C), or (N,).

    Args:
        class_aggregation: "uniform_average": mean over columns. "variance_weighted_average": mean weighted by the
            variances of the targets. None: float64 (C,), one score per column.
        num_regressors: p > 0 gives the adjusted score ``1 - (1 - R²) (n - 1) / (n - p - 1)``; n counts the elements of
            y_true, as in Keras.
        name, dtype: see :class:`Metric`.

    Example:
        >>> R2Score()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        0.5
    """

    default_name = "r2_score"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: Any = None,
    ):
        if class_aggregation is not None:
            _arguments.choice(
                "R2Score", "class_aggregation", class_aggregation, ("uniform_average", "variance_weighted_average")
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = _arguments.integer("R2Score", "num_regressors", num_regressors, least=0)
        super().__init__(name, dtype)

    def reset_state(self) -> None:
        self._weight = self._sum = self._residual = self._spread = np.zeros(0)
        self._elements = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, guess = float_pair("R2Score", array("R2Score", "y_true", y_true), array("R2Score", "y_pred", y_pred))
        if truth.ndim == 1:
            truth, guess = truth[:, None], guess[:, None]
        if truth.ndim != 2 or self._sum.size not in (0, truth.shape[1]):
            raise ValueError(
                f"[R2Score] targets must be rows of numbers: expected y_true.shape == (N, {self._sum.size or 'C'}), got "
                f"y_true.shape={truth.shape}. Flatten the other axes, or call reset_state() first."
            )
        truth, guess = truth.astype(np.float64), guess.astype(np.float64)
        weight = np.ones(len(truth))
        if sample_weight is not None:
            weight = broadcast_weight("R2Score", sample_weight, truth.shape[:1])
        if not weight.any():
            return
        if self._sum.size == 0:
            self._weight, self._sum, self._residual, self._spread = np.zeros((4, truth.shape[1]))
        self._add_spread(truth, weight)
        self._residual += weight @ np.square(truth - guess)
        self._elements += truth.size

    def _add_spread(self, truth: np.ndarray, weight: np.ndarray) -> None:
        """Weighted squares around the mean, of what came before and of this batch (Chan, Golub, LeVeque 1983)."""
        total, sums = weight.sum(), weight @ truth
        self._spread += weight @ np.square(truth - sums / total)
        if self._weight[0] > 0:
            apart = self._sum / self._weight - sums / total
            self._spread += np.square(apart) * self._weight * total / (self._weight + total)
        self._weight = self._weight + total
        self._sum = self._sum + sums

    def result(self) -> Any:
        if self._sum.size == 0:
            return 0.0
        constant = self._spread == 0
        scores = 1 - self._residual / np.where(constant, 1, self._spread)
        scores[constant] = self._residual[constant] == 0
        if self.class_aggregation is None:
            return self._adjusted(scores)
        if self.class_aggregation == "uniform_average" or constant.all():
            return float(self._adjusted(scores.mean()))
        return float(self._adjusted((scores * self._spread).sum() / self._spread.sum()))

    def _adjusted(self, score: Any) -> Any:
        if self.num_regressors == 0:
            return score
        left = self._elements - self.num_regressors - 1
        if left <= 0:
            warnings.warn(
                f"[R2Score] the adjusted score needs more elements than regressors: expected more than "
                f"{self.num_regressors + 1}, got {self._elements}. The plain score is given.",
                stacklevel=3,
            )
            return score
        return 1 - (1 - score) * (self._elements - 1) / left

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors, **config}
