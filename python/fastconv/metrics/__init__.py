"""Metrics: streaming, NumPy only, with Keras's names, arguments and meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _lookup
from fastconv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    InferredAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from fastconv.metrics.auc import AUC
from fastconv.metrics.base import Mean, MeanMetricWrapper, Metric, Sum
from fastconv.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
    confusion_matrix,
)
from fastconv.metrics.correlation import ConcordanceCorrelation, CosineSimilarity, PearsonCorrelation
from fastconv.metrics.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from fastconv.metrics.f1 import F1Score, FBetaScore
from fastconv.metrics.hinge import CategoricalHinge, Hinge, SquaredHinge
from fastconv.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from fastconv.metrics.operating_point import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from fastconv.metrics.r2 import R2Score
from fastconv.metrics.regression import (
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    RootMeanSquaredError,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "InferredAccuracy",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "confusion_matrix",
    "deserialize",
    "get",
    "resolve",
    "serialize",
]

_KNOWN = _lookup.table(
    [
        AUC,
        Accuracy,
        BinaryAccuracy,
        BinaryCrossentropy,
        BinaryIoU,
        CategoricalAccuracy,
        CategoricalCrossentropy,
        CategoricalHinge,
        ConcordanceCorrelation,
        CosineSimilarity,
        F1Score,
        FBetaScore,
        FalseNegatives,
        FalsePositives,
        Hinge,
        InferredAccuracy,
        IoU,
        KLDivergence,
        LogCoshError,
        Mean,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanIoU,
        MeanSquaredError,
        MeanSquaredLogarithmicError,
        OneHotIoU,
        OneHotMeanIoU,
        PearsonCorrelation,
        Poisson,
        Precision,
        PrecisionAtRecall,
        R2Score,
        Recall,
        RecallAtPrecision,
        RootMeanSquaredError,
        SensitivityAtSpecificity,
        SparseCategoricalAccuracy,
        SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy,
        SpecificityAtSensitivity,
        SquaredHinge,
        Sum,
        TopKCategoricalAccuracy,
        TrueNegatives,
        TruePositives,
    ],
    {
        "mse": MeanSquaredError,
        "mae": MeanAbsoluteError,
        "rmse": RootMeanSquaredError,
        "bce": BinaryCrossentropy,
        "mape": MeanAbsolutePercentageError,
        "msle": MeanSquaredLogarithmicError,
        "kld": KLDivergence,
        "log_cosh": LogCoshError,
        "logcosh": LogCoshError,
    },
)
_ACCURACY = ("accuracy", "acc")
_ONE_HOT_LOSSES = ("categorical_crossentropy", "kl_divergence", "categorical_hinge")


def get(identifier: Any) -> Metric:
    """The metric that ``identifier`` means.

    Args:
        identifier: a name ("accuracy", "mse", "Recall"), which the metric then bears; a config dict; a
            metric or its class; or a function ``fn(y_true, y_pred)`` that returns one value per sample,
            whose mean counts. "accuracy" and "acc" give an :class:`InferredAccuracy`: the first batch's
            shapes decide which one.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if the identifier is of another kind.

    Example:
        >>> get("mse").name
        'mse'
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        if identifier.lower() in _ACCURACY:
            return InferredAccuracy(identifier)
        return _lookup.by_name("metric", identifier, _KNOWN)(name=identifier)
    if isinstance(identifier, Mapping):
        return _lookup.by_config("metric", identifier, _KNOWN)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier) and not isinstance(identifier, type):
        return MeanMetricWrapper(identifier)
    raise TypeError(
        f"[metric] cannot make a metric: expected a name, config, Metric or function, "
        f"got {identifier!r} ({type(identifier).__name__}). For example: 'accuracy'."
    )


def resolve(identifier: Any, loss: Any = None, output_shape: tuple[int | None, ...] | None = None) -> Metric:
    """As :func:`get`, but "accuracy" is settled now where the loss and the output tell which one is meant.

    Args:
        identifier: see :func:`get`.
        loss: a loss's name, function or object.
        output_shape: of the model's output, batch axis included, such as (None, 10).

    Example:
        >>> type(resolve("accuracy", "sparse_categorical_crossentropy", (None, 10))).__name__
        'SparseCategoricalAccuracy'
    """
    if not isinstance(identifier, str) or identifier.lower() not in _ACCURACY:
        return get(identifier)
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    if output_shape is not None and output_shape[-1] == 1:
        return BinaryAccuracy(identifier)
    if name == "sparse_categorical_crossentropy":
        return SparseCategoricalAccuracy(identifier)
    if name in _ONE_HOT_LOSSES:
        return CategoricalAccuracy(identifier)
    return InferredAccuracy(identifier)


def serialize(metric: Metric) -> dict[str, Any]:
    """``{"class_name": …, "config": …}``, which :func:`get` takes back."""
    return _lookup.to_config("metric", metric, _KNOWN)


deserialize = get
