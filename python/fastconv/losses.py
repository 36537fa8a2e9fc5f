"""Losses: as functions of ``(y_true, y_pred)`` with one value per sample, and as objects for ``compile(loss=...)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.ops import (
    _arrays,
    _numbers,
    binary_crossentropy,
    categorical_crossentropy,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)
from fastconv.ops.loss import check_labels, check_targets

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "mean_absolute_error",
    "mean_squared_error",
    "serialize",
    "sparse_categorical_crossentropy",
]

_NO_ERROR = 1e-30  # far below the variance of errors that count; it makes 0 / 0 a 0
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "none", None)


class Loss:
    """A loss with its settings.

    A subclass overrides ``call(y_true, y_pred)`` with ``fastconv.ops``; it gives one value per sample.

    Args:
        name: for logs.
        reduction: what calling the object on arrays returns: the mean over samples ("sum_over_batch_size"), the "sum", or
            one value per sample (None). Training always minimises the mean.
    """

    takes_labels = False  # integer class labels instead of an array like y_pred

    def __init__(self, name: str, reduction: str | None = "sum_over_batch_size") -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"[{name}] reduction is not known: expected one of {_REDUCTIONS}, got reduction={reduction!r}. "
                "Use one of these."
            )
        self.name = name
        self.reduction = reduction

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each sample."""
        raise TypeError(f"[{self.name}] call is not defined: expected {type(self).__name__}.call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss of arrays.

        Args:
            y_true, y_pred: arrays; targets are aligned and checked as in ``fit``.
            sample_weight: one factor per sample.

        Returns:
            A float, or an array with ``reduction=None``.
        """
        prediction = _arrays.as_numbers(self.name, "y_pred", y_pred)
        if prediction.dtype.kind in "iub":
            prediction = prediction.astype(np.float32)
        targets = self.prepare("y_true", _arrays.as_numbers(self.name, "y_true", y_true), prediction.shape[1:])
        targets = np.ascontiguousarray(targets, np.int64 if self.takes_labels else prediction.dtype)
        values = self.call(targets, prediction)
        if sample_weight is not None:
            values = values * np.asarray(sample_weight, values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
        if self.reduction in (None, "none"):
            return values
        return float(values.sum() if self.reduction == "sum" else values.mean())

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        """Targets of a whole data set, aligned to predictions of ``sample_shape`` each, and checked.

        Raises:
            TypeError: for a kind of values. ValueError: for shapes, labels out of range, or values that are not finite.
        """
        if targets.dtype.kind not in "fiub":
            raise TypeError(
                f"[{self.name}] {name} must be numbers: expected a numeric array, got dtype {targets.dtype}. "
                "Encode text first."
            )
        if targets.shape[1:] != sample_shape and (*targets.shape[1:], 1) == sample_shape:
            targets = targets[..., None]  # (N,) for a model with one output, as Keras takes it
        if targets.shape[1:] != sample_shape:
            raise ValueError(
                f"[{self.name}] {name} must have the shape of the predictions: expected {name} of shape (N, "
                f"{', '.join(map(str, sample_shape))}), got {name}.shape={targets.shape}. Change the last layer, or encode "
                "labels with utils.to_categorical (or use a sparse loss)."
            )
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            row = int(np.argwhere(~np.isfinite(targets))[0][0])
            raise ValueError(
                f"[{self.name}] {name} must be finite: expected no NaN or infinity, got one in row {row}. Clean the data."
            )
        return targets

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}


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


class FunctionLoss(Loss):
    """A function ``f(y_true, y_pred)`` of the caller's, written with ``fastconv.ops``."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__(getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)


_CLASSES: dict[str, Any] = {
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "rmse": RootMeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "huber_loss": Huber,
    "hinge": Hinge,
    "kl_divergence": KLDivergence,
    "kld": KLDivergence,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}
_BY_CLASS_NAME = {cls.__name__: cls for cls in _CLASSES.values()}


def get(identifier: Any) -> Loss:
    """The loss for a name ("mse"), a saved config, a :class:`Loss`, or a function of ``(y_true, y_pred)``."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        cls = _CLASSES.get(identifier) or _BY_CLASS_NAME.get(identifier)
        if cls is None:
            raise ValueError(
                f"[loss] loss is not known: expected one of {', '.join(_CLASSES)}, got loss={identifier!r}. Use one of these, "
                "a Loss object or a function."
            )
        return cls()
    if isinstance(identifier, dict):
        cls = _BY_CLASS_NAME.get(identifier.get("class", ""))
        if cls is None:
            raise ValueError(
                f"[loss] loss class is not known: expected one of {', '.join(_BY_CLASS_NAME)}, got {identifier}. Use one of these."
            )
        return cls(**identifier.get("config", {}))
    if isinstance(identifier, type) or not callable(identifier):
        raise TypeError(
            f"[loss] loss must be a name, a Loss object or a function: expected one of these, got {identifier!r} "
            f"({type(identifier).__name__}). For example 'mse'."
        )
    for name in _CLASSES:
        if identifier is getattr(ops, name, None):
            return _CLASSES[name]()
    return FunctionLoss(identifier)


def serialize(loss: Loss) -> dict[str, Any]:
    """What a saved model says of its loss."""
    if type(loss).__name__ not in _BY_CLASS_NAME:
        raise ValueError(
            f"[loss] a loss of your own cannot be saved: expected one of {', '.join(_BY_CLASS_NAME)}, got {loss.name}. "
            "Save without the compile settings: model.save(path, include_optimizer=False)."
        )
    return {"class": type(loss).__name__, "config": loss.get_config()}
