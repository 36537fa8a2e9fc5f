"""Losses: as functions of ``(y_true, y_pred)`` with one value per sample, and as objects for ``compile(loss=...)``."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.losses.base import FunctionLoss, Loss
from fastconv.losses.composed import (
    BinaryFocalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    LogCosh,
    SquaredHinge,
)
from fastconv.losses.standard import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)
from fastconv.ops import (
    binary_crossentropy,
    categorical_crossentropy,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
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
    "squared_hinge": SquaredHinge,
    "categorical_hinge": CategoricalHinge,
    "log_cosh": LogCosh,
    "logcosh": LogCosh,
    "cosine_similarity": CosineSimilarity,
    "binary_focal_crossentropy": BinaryFocalCrossentropy,
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
