"""How far predictions are from targets."""

from __future__ import annotations

import math

import numpy as np

from fastconv.metrics.base import PerSample
from fastconv.metrics.targets import aligned

__all__ = [
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "RootMeanSquaredError",
]

_EPSILON = 1e-7  # Keras's


def float_pair(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays with one shape, as floats: integers would wrap."""
    y_true, y_pred = aligned(op, y_true, y_pred)
    dtype = np.result_type(y_pred, np.float32)
    return y_true.astype(dtype), y_pred.astype(dtype)


class _Error(PerSample):
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return self._errors(*float_pair(type(self).__name__, y_true, y_pred))

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define _errors.")


class MeanSquaredError(_Error):
    """``mean((y_pred - y_true)²)``; shapes equal, or (…) against (…, 1)."""

    default_name = "mean_squared_error"

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.square(y_pred - y_true)


class RootMeanSquaredError(MeanSquaredError):
    """``sqrt(mean((y_pred - y_true)²))`` over all samples (not a mean of batch roots)."""

    default_name = "root_mean_squared_error"

    def result(self) -> float:
        return math.sqrt(super().result())


class MeanAbsoluteError(_Error):
    """``mean(|y_pred - y_true|)``; shapes equal, or (…) against (…, 1)."""

    default_name = "mean_absolute_error"

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.abs(y_pred - y_true)


class MeanAbsolutePercentageError(_Error):
    """``100 mean(|y_pred - y_true| / max(|y_true|, 1e-7))``; shapes equal, or (…) against (…, 1)."""

    default_name = "mean_absolute_percentage_error"

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return 100 * np.abs(y_pred - y_true) / np.maximum(np.abs(y_true), _EPSILON)


class MeanSquaredLogarithmicError(_Error):
    """``mean((log(1 + y_pred) - log(1 + y_true))²)``, numbers below 1e-7 taken for 1e-7; shapes equal, or (…) against
    (…, 1)."""

    default_name = "mean_squared_logarithmic_error"

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.square(np.log1p(np.maximum(y_pred, _EPSILON)) - np.log1p(np.maximum(y_true, _EPSILON)))


class LogCoshError(_Error):
    """``mean(log(cosh(y_pred - y_true)))``, without overflow; shapes equal, or (…) against (…, 1)."""

    default_name = "logcosh"

    def _errors(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        error = np.abs(y_pred - y_true)
        return error + np.log1p(np.exp(-2 * error)) - math.log(2)
