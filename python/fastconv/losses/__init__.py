"""Losses: as functions of ``(y_true, y_pred)`` with one value per sample, and as objects for ``compile(loss=...)``."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.losses.base import FunctionLoss, Loss
from fastconv.losses.composed import (
    CategoricalHinge,
    CosineSimilarity,
    LogCosh,
    SquaredHinge,
    categorical_hinge,
    cosine_similarity,
    log_cosh,
    squared_hinge,
)
from fastconv.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastconv.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
)
from fastconv.losses.overlap import Dice, Tversky, dice, tversky
from fastconv.losses.standard import (
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    RootMeanSquaredError,
)
from fastconv.ops import (
    binary_crossentropy,
    categorical_crossentropy,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

_CLASSES: dict[str, Any] = {
    "mean_squared_error": MeanSquaredError,
    "root_mean_squared_error": RootMeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mean_absolute_percentage_error": MeanAbsolutePercentageError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "huber": Huber,
    "huber_loss": Huber,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "log_cosh": LogCosh,
    "logcosh": LogCosh,
    "poisson": Poisson,
    "cosine_similarity": CosineSimilarity,
    "kl_divergence": KLDivergence,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
    "categorical_focal_crossentropy": CategoricalFocalCrossentropy,
    "categorical_generalized_cross_entropy": CategoricalGeneralizedCrossEntropy,
    "dice": Dice,
    "tversky": Tversky,
}
_SHORT = {
    "mse": MeanSquaredError,
    "rmse": RootMeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "kld": KLDivergence,
    "bce": BinaryCrossentropy,
}
_CLASSES |= _SHORT | {name.upper(): cls for name, cls in _SHORT.items()}
_MISSING = {"CTC": "labels of sequences are not aligned here", "Circle": "embeddings of a batch are not compared here"}
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
    for name, cls in _CLASSES.items():
        if identifier is (globals().get(name) or getattr(ops, name, None)):
            return cls()
    return FunctionLoss(identifier)


def serialize(loss: Loss) -> dict[str, Any]:
    """What a saved model says of its loss."""
    if type(loss).__name__ not in _BY_CLASS_NAME:
        raise ValueError(
            f"[loss] a loss of your own cannot be saved: expected one of {', '.join(_BY_CLASS_NAME)}, got {loss.name}. "
            "Save without the compile settings: model.save(path, include_optimizer=False)."
        )
    return {"class": type(loss).__name__, "config": loss.get_config()}


def __getattr__(name: str) -> Any:
    for kind, reason in _MISSING.items():
        if name.lower() == kind.lower():
            raise AttributeError(
                f"[losses] Keras's {kind} does not exist here: expected one of fastconv.losses, got {name!r}. A way out: a loss of "
                f"your own; {reason}."
            )
    raise AttributeError(f"module 'fastconv.losses' has no attribute {name!r}")
