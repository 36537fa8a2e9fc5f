"""Errors, the hinge and the divergence: the losses with kernels of their own."""

from __future__ import annotations

import math
from typing import Any

from fastconv import ops
from fastconv.losses.axes import mean
from fastconv.losses.base import Loss
from fastconv.ops import _numbers

__all__ = [
    "Hinge",
    "Huber",
    "KLDivergence",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
]

_NO_ERROR = 1e-30  # far below the square of errors that count; it makes 0 / 0 a 0


class MeanSquaredError(Loss):
    """Mean of ``(y_pred - y_true)²``; ``half=True`` halves it, as textbooks' ``1/2 (y_pred - y_true)²`` does."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", half: bool = False
    ):
        super().__init__(name, reduction)
        self.half = _numbers.as_bool(name, "half", half)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        loss = ops.mean_squared_error(y_true, y_pred)
        return ops.scale(loss, 0.5) if self.half else loss

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "half": self.half}


class RootMeanSquaredError(Loss):
    """``sqrt(mean (y_pred - y_true)²)`` of a batch: in the unit of the targets.

    A root of a mean is no mean of roots: what ``fit`` and ``evaluate`` report as the loss is the mean over batches of their
    errors. ``metrics.RootMeanSquaredError`` is that of all samples. With ``reduction=None`` each sample's share of the error
    is returned, its squared error over the root, whose mean is the error.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "root_mean_squared_error"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # With e the errors of the batch, r their root mean square: r = mean e · (e / r), and e / r is what a normalisation by
        # the root mean square computes. So the gradient is exact, too: e / (n r).
        samples, cells = y_pred.shape[0], math.prod(y_pred.shape[1:])
        errors = ops.reshape(ops.subtract(y_pred, y_true), (1, samples * cells))
        shares = ops.multiply(errors, ops.rms_norm(errors, epsilon=_NO_ERROR))
        return mean(ops.reshape(shares, (samples, cells)))


class MeanAbsoluteError(Loss):
    """Mean of ``|y_pred - y_true|``."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean_absolute_error(y_true, y_pred)


class Huber(Loss):
    """Squared for errors up to ``delta``, linear beyond."""

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str = "huber_loss"):
        super().__init__(name, reduction)
        self.delta = _numbers.as_positive(name, "delta", delta)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.huber(y_true, y_pred, delta=self.delta)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class Hinge(Loss):
    """Mean of ``max(1 - y_true * y_pred, 0)``; targets -1 and 1, or 0 and 1."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.hinge(y_true, y_pred)


class KLDivergence(Loss):
    """``Σ y_true * log(y_true / y_pred)``."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.kl_divergence(y_true, y_pred)


class Poisson(Loss):
    """Mean of ``y_pred - y_true * log(y_pred + 1e-7)``: of counts, whose mean is predicted."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.poisson(y_true, y_pred)


class MeanAbsolutePercentageError(Loss):
    """``100 mean(|y_pred - y_true| / max(|y_true|, 1e-7))``."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_percentage_error"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(Loss):
    """Mean of ``(log(1 + y_pred) - log(1 + y_true))²``, numbers below 1e-7 taken for that."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_logarithmic_error"):
        super().__init__(name, reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean_squared_logarithmic_error(y_true, y_pred)
