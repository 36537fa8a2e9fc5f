"""Losses made of operations that there are: no kernel of their own, a few passes over the predictions more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.losses.axes import last, mean, over_last_axis, single_axis, total
from fastconv.losses.base import Loss

__all__ = [
    "CategoricalHinge",
    "CosineSimilarity",
    "LogCosh",
    "SquaredHinge",
    "categorical_hinge",
    "cosine_similarity",
    "log_cosh",
    "squared_hinge",
]

_NO_LENGTH = 1e-30  # far below the square of a length that counts; it makes 0 / 0 a 0


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0)²)`` over the last axis; targets -1 and 1, or 0 and 1."""
    signs = ops.scale(ops.relu(y_true), 2.0, -1.0)  # of -1, 0 and 1
    missing = ops.relu(ops.scale(ops.multiply(signs, y_pred), -1.0, 1.0))
    return mean(ops.multiply(missing, missing))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """``max(1 + best score of a wrong class - score of the right one, 0)``; targets one-hot."""
    right = total(ops.multiply(y_true, y_pred))
    wrong = over_last_axis(ops.global_max_pool2d, ops.multiply(ops.scale(y_true, -1.0, 1.0), y_pred))
    return ops.relu(ops.scale(ops.subtract(wrong, right), 1.0, 1.0))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``mean(log(cosh(y_pred - y_true)))`` over the last axis, without overflow."""
    error = ops.subtract(y_pred, y_true)
    return mean(ops.add(error, ops.scale(ops.softplus(ops.scale(error, -2.0)), 1.0, -math.log(2))))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between targets and predictions along ``axis``; 0 where one is all zeros."""
    t, p = (last("cosine_similarity", values, axis) for values in (y_true, y_pred))
    # A row over the root of its mean square has the length sqrt(D): the mean product of two such rows is their cosine.
    cosines = ops.multiply(ops.rms_norm(t, epsilon=_NO_LENGTH), ops.rms_norm(p, epsilon=_NO_LENGTH))
    return ops.scale(mean(cosines), -1.0)


class SquaredHinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)²``; targets -1 and 1, or 0 and 1."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return squared_hinge(y_true, y_pred)

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        targets = super().prepare(name, targets, sample_shape)
        if not (((targets == 0) | (targets == 1)).all() or ((targets == -1) | (targets == 1)).all()):
            raise ValueError(
                f"[{self.name}] {name} must say yes or no: expected -1 and 1, or 0 and 1, got values from {targets.min()} to "
                f"{targets.max()}. Encode the targets."
            )
        return targets


class CategoricalHinge(Loss):
    """``max(1 + best score of a wrong class - score of the right one, 0)``; targets one-hot."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return categorical_hinge(y_true, y_pred)


class LogCosh(Loss):
    """Mean of ``log(cosh(y_pred - y_true))``: squared for small errors, linear for large ones, and smooth."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return log_cosh(y_true, y_pred)


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between targets and predictions: -1 where they point the same way, 0 where one is all
    zeros.

    Args:
        axis: along which the vectors lie, not the batch's.
        reduction, name: see :class:`Loss`.
    """

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "cosine_similarity"):
        super().__init__(name, reduction)
        self.axis = single_axis(name, axis)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return cosine_similarity(y_true, y_pred, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
