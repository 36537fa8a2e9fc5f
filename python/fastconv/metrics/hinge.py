"""How far scores are on the wrong side of a margin."""

from __future__ import annotations

import numpy as np

from fastconv.metrics.base import PerSample
from fastconv.metrics.regression import float_pair
from fastconv.metrics.targets import check_one_hot

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


class Hinge(PerSample):
    """``mean(max(1 - y_true y_pred, 0))``; targets -1 and 1. A batch whose targets are all 0 or 1 means those, as in
    Keras."""

    default_name = "hinge"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        y_true, y_pred = float_pair(type(self).__name__, y_true, y_pred)
        if ((y_true == 0) | (y_true == 1)).all():
            y_true = 2 * y_true - 1
        return np.maximum(1 - y_true * y_pred, 0)


class SquaredHinge(Hinge):
    """``mean(max(1 - y_true y_pred, 0)²)``; targets as :class:`Hinge`."""

    default_name = "squared_hinge"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.square(super()._values(y_true, y_pred))


class CategoricalHinge(PerSample):
    """``mean(max(1 + best score of a wrong class - score of the right one, 0))``.

    Shapes: y_true (…, C) one-hot, y_pred (…, C).
    """

    default_name = "categorical_hinge"
    direction = "down"

    def _values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        check_one_hot("CategoricalHinge", y_true, y_pred)
        y_true, y_pred = float_pair("CategoricalHinge", y_true, y_pred)
        right, wrong = (y_true * y_pred).sum(axis=-1), ((1 - y_true) * y_pred).max(axis=-1)
        return np.maximum(1 + wrong - right, 0)
