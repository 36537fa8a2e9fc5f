"""How far predictions are from targets."""

from __future__ import annotations

import math

import numpy as np

from fastconv.metrics.base import PerSample
from fastconv.metrics.targets import aligned

__all__ = ["MeanAbsoluteError", "MeanSquaredError", "RootMeanSquaredError"]


def _difference(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    y_true, y_pred = aligned(op, y_true, y_pred)
    return y_pred - y_true.astype(np.result_type(y_pred, np.float32))


class MeanSquaredError(PerSample):
    """``mean((y_pred - y_true)²)``; shapes equal, or (…) against (…, 1)."""

    default_name = "mean_squared_error"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.square(_difference(type(self).__name__, y_true, y_pred))


class RootMeanSquaredError(MeanSquaredError):
    """``sqrt(mean((y_pred - y_true)²))`` over all samples (not a mean of batch roots)."""

    default_name = "root_mean_squared_error"

    def result(self) -> float:
        return math.sqrt(super().result())


class MeanAbsoluteError(PerSample):
    """``mean(|y_pred - y_true|)``; shapes equal, or (…) against (…, 1)."""

    default_name = "mean_absolute_error"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.abs(_difference("MeanAbsoluteError", y_true, y_pred))
