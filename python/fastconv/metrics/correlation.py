"""Whether rows of predictions point where the targets do."""

from __future__ import annotations

import numpy as np

from fastconv.metrics.base import PerSample
from fastconv.metrics.regression import float_pair

__all__ = ["ConcordanceCorrelation", "CosineSimilarity", "PearsonCorrelation"]

_EPSILON = 1e-7  # Keras's


class _RowWise(PerSample):
    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = float_pair(type(self).__name__, y_true, y_pred)
        return self._agreement(y_true.astype(np.float64), y_pred.astype(np.float64))

    def _agreement(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] a metric must define _agreement.")


class CosineSimilarity(_RowWise):
    """Mean cosine of the angle between rows, ``Σ t p / (|t| |p|)``; 0 for a row of zeros.

    Shapes: y_true and y_pred (…, C).
    """

    default_name = "cosine_similarity"

    def _agreement(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return (_unit(y_true) * _unit(y_pred)).sum(axis=-1)


class PearsonCorrelation(_RowWise):
    """Mean over rows of the correlation between the elements of a row of targets and one of predictions.

    Shapes: y_true and y_pred (…, C). NaN for a row whose elements are all equal: the correlation has no value there.
    """

    default_name = "pearson_correlation"

    def _agreement(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        t, p = _centred(y_true), _centred(y_pred)
        return (t * p).mean(axis=-1) / (t.std(axis=-1) * p.std(axis=-1))


class ConcordanceCorrelation(_RowWise):
    """Mean over rows of ``2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))²)``: correlation that also asks for equal
    means and variances (Lin 1989).

    Shapes: y_true and y_pred (…, C).
    """

    default_name = "concordance_correlation"

    def _agreement(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        t, p = _centred(y_true), _centred(y_pred)
        apart = np.square(y_true.mean(axis=-1) - y_pred.mean(axis=-1))
        return 2 * (t * p).mean(axis=-1) / (t.var(axis=-1) + p.var(axis=-1) + apart + _EPSILON)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), _EPSILON)


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=-1, keepdims=True)
