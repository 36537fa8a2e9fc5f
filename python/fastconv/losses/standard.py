"""Errors, cross-entropies and the divergence: the losses with kernels of their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.losses.base import Loss
from fastconv.ops import _numbers
from fastconv.ops.loss import check_labels, check_targets

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Hinge",
    "Huber",
    "KLDivergence",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
]

_NO_ERROR = 1e-30  # far below the variance of errors that count; it makes 0 / 0 a 0


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
        # With e the errors of the batch, r their root mean square: r = mean e · (e / r), and e / r is what a normalisation of
        # all e and -e computes, whose mean is 0 and whose variance r². So the gradient is exact, too: e / (n r).
        samples, cells = y_pred.shape[0], math.prod(y_pred.shape[1:])
        errors = ops.reshape(ops.subtract(y_pred, y_true), (samples * cells, 1))
        both = ops.reshape(ops.concatenate([errors, ops.scale(errors, -1.0)]), (1, 2 * samples * cells))
        shares = ops.multiply(both, ops.layer_norm(both, None, None, epsilon=_NO_ERROR))
        return ops.reshape(ops.global_avg_pool2d(ops.reshape(shares, (samples, 2 * cells, 1, 1))), (samples,))


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


class _CrossEntropy(Loss):
    """Settings that the cross-entropies share."""

    def __init__(self, name: str, reduction: str | None, from_logits: bool, label_smoothing: float = 0.0):
        super().__init__(name, reduction)
        self.from_logits = _numbers.as_bool(name, "from_logits", from_logits)
        self.label_smoothing = _numbers.as_float_in(name, "label_smoothing", label_smoothing, 0, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class BinaryCrossentropy(_CrossEntropy):
    """Cross-entropy of independent yes/no outputs."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.binary_crossentropy(
            y_true, y_pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        targets = super().prepare(name, targets, sample_shape)
        check_targets("binary_crossentropy", name, targets, self.name)
        return targets


class CategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy of classes, targets one-hot."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.categorical_crossentropy(
            y_true, y_pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        targets = super().prepare(name, targets, sample_shape)
        check_targets("categorical_crossentropy", name, targets, self.name)
        return targets


class SparseCategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy of classes, targets integer labels."""

    takes_labels = True

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sparse_categorical_crossentropy",
    ):
        super().__init__(name, reduction, from_logits)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        if targets.shape[1:] == (*sample_shape[:-1], 1):
            targets = targets[..., 0]
        if targets.dtype.kind == "f" and np.isfinite(targets).all() and (targets == np.floor(targets)).all():
            targets = targets.astype(np.int64)  # whole numbers, e.g. from a CSV file
        if targets.dtype.kind not in "iub":
            raise TypeError(
                f"[{self.name}] {name} must be integer class labels: expected whole numbers, got dtype {targets.dtype}. "
                "Use categorical_crossentropy for one-hot targets."
            )
        if targets.shape[1:] != sample_shape[:-1]:
            raise ValueError(
                f"[{self.name}] {name} must hold one label per sample: expected {name} of shape (N, "
                f"{', '.join(map(str, sample_shape[:-1]))}), got {name}.shape={targets.shape}. Use categorical_crossentropy "
                "for one-hot targets."
            )
        check_labels(self.name, targets, sample_shape[-1], name)
        return targets

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["label_smoothing"]
        return config
