"""Losses made of operations that there are: no kernel of their own, a few passes over the predictions more."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.losses.base import Loss
from fastconv.ops import _numbers
from fastconv.ops.loss import check_targets

__all__ = ["BinaryFocalCrossentropy", "CategoricalHinge", "CosineSimilarity", "LogCosh", "SquaredHinge"]

_NO_LENGTH = 1e-30  # far below the square of a length that counts; it makes 0 / 0 a 0


class SquaredHinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)²``; targets -1 and 1, or 0 and 1."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        signs = ops.scale(ops.relu(y_true), 2.0, -1.0)  # of -1, 0 and 1
        missing = ops.relu(ops.scale(ops.multiply(signs, y_pred), -1.0, 1.0))
        return _mean(ops.multiply(missing, missing))

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
        right = ops.scale(_mean(ops.multiply(y_true, y_pred)), y_pred.shape[-1])
        wrong = _over_last_axis(ops.global_max_pool2d, ops.multiply(ops.scale(y_true, -1.0, 1.0), y_pred))
        return ops.relu(ops.scale(ops.subtract(wrong, right), 1.0, 1.0))


class LogCosh(Loss):
    """Mean of ``log(cosh(y_pred - y_true))``: squared for small errors, linear for large ones, and smooth."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = ops.subtract(y_pred, y_true)
        return _mean(ops.add(error, ops.scale(ops.softplus(ops.scale(error, -2.0)), 1.0, -math.log(2))))


class CosineSimilarity(Loss):
    """Minus the cosine of the angle between a row of targets and one of predictions: -1 where they point the same way, 0 for
    a row of zeros.

    Args:
        axis: -1, the last, is the only one.
        reduction, name: see :class:`Loss`.
    """

    def __init__(self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "cosine_similarity"):
        super().__init__(name, reduction)
        if axis != -1:
            raise ValueError(
                f"[{name}] rows lie along the last axis: expected axis=-1, got axis={axis!r}. Permute the outputs."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.scale(_mean(ops.multiply(_unit(y_true), _unit(y_pred))), -1.0)


class BinaryFocalCrossentropy(Loss):
    """Cross-entropy of independent yes/no outputs, times ``(1 - p_t)^gamma`` where p_t is the probability of the truth: what is
    predicted well counts little.

    Args:
        apply_class_balancing: whether targets 1 count alpha, and targets 0 count 1 - alpha.
        alpha: 0 to 1.
        gamma: a whole number >= 0.
        from_logits: whether y_pred holds logits.
        label_smoothing: s in [0, 1]: targets become ``t (1 - s) + s / 2``.
        reduction, name: see :class:`Loss`.

    Source: Lin et al. 2017, arXiv 1708.02002.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
    ):
        super().__init__(name, reduction)
        self.apply_class_balancing = _numbers.as_bool(name, "apply_class_balancing", apply_class_balancing)
        self.alpha = _numbers.as_float_in(name, "alpha", alpha, 0, 1)
        self.gamma = _numbers.as_float(name, "gamma", gamma)
        self.from_logits = _numbers.as_bool(name, "from_logits", from_logits)
        self.label_smoothing = _numbers.as_float_in(name, "label_smoothing", label_smoothing, 0, 1)
        if self.gamma < 0 or self.gamma != int(self.gamma):
            raise ValueError(
                f"[{name}] gamma must be a whole number: expected 0, 1, 2, ..., got gamma={gamma}. Use 2, the paper's."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        truth = ops.scale(y_true, 1 - self.label_smoothing, self.label_smoothing / 2)
        p = ops.sigmoid(y_pred) if self.from_logits else y_pred
        cells = (*p.shape, 1)  # one value per output: a cross-entropy is a mean over the last axis
        loss = ops.binary_crossentropy(ops.reshape(truth, cells), ops.reshape(p, cells))
        # 1 - p_t = t (1 - p) + (1 - t) p = t + p - 2 t p
        missing = ops.subtract(ops.add(truth, p), ops.scale(ops.multiply(truth, p), 2.0))
        loss = functools.reduce(ops.multiply, [missing] * int(self.gamma), loss)
        if self.apply_class_balancing:
            loss = ops.multiply(loss, ops.scale(truth, 2 * self.alpha - 1, 1 - self.alpha))
        return _mean(loss)

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        targets = super().prepare(name, targets, sample_shape)
        check_targets("binary_crossentropy", name, targets, self.name)
        return targets

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


def _over_last_axis(pool: Any, values: Any) -> Any:
    """A pooling's result for each row."""
    rows = values.shape[:-1]
    return ops.reshape(pool(ops.reshape(values, (math.prod(rows), values.shape[-1], 1, 1))), rows)


def _mean(values: Any) -> Any:
    return _over_last_axis(ops.global_avg_pool2d, values)


def _unit(rows: Any) -> Any:
    """Rows x and -x side by side, divided by the root of the mean of their squares: their mean is 0, so that is what a
    normalisation does. The mean product of two such rows is their cosine."""
    return ops.layer_norm(ops.concatenate([rows, ops.scale(rows, -1.0)]), None, None, epsilon=_NO_LENGTH)
