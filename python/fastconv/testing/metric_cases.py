"""Every metric with arguments and data that suit it: what the tests of metrics walk through."""

from __future__ import annotations

import numpy as np

__all__ = ["CASES", "CLASSES", "binary", "one_hot", "sparse"]

CLASSES = 6
Pair = tuple[np.ndarray, np.ndarray]  # y_true, y_pred


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype("float32")


def binary(generator: np.random.Generator, n: int) -> Pair:
    return generator.integers(0, 2, (n, 1)).astype("float32"), generator.random((n, 1), dtype="float32")


def multilabel(generator: np.random.Generator, n: int) -> Pair:
    return generator.integers(0, 2, (n, 4)).astype("float32"), generator.random((n, 4), dtype="float32")


def sparse(generator: np.random.Generator, n: int) -> Pair:
    return generator.integers(0, CLASSES, n), softmax(generator.normal(size=(n, CLASSES)))


def sparse_column(generator: np.random.Generator, n: int) -> Pair:
    labels, scores = sparse(generator, n)
    return labels[:, None], scores


def one_hot(generator: np.random.Generator, n: int) -> Pair:
    labels, scores = sparse(generator, n)
    return np.eye(CLASSES, dtype="float32")[labels], scores


def masks(generator: np.random.Generator, n: int) -> Pair:
    return generator.integers(0, CLASSES, n), generator.integers(0, CLASSES, n)


def counts(generator: np.random.Generator, n: int) -> Pair:
    return generator.poisson(2.0, (n, 3)).astype("float32"), generator.uniform(0.1, 5, (n, 3)).astype("float32")


ELEMENTWISE = [
    "BinaryAccuracy",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "BinaryCrossentropy",
    "TruePositives",
    "FalsePositives",
    "TrueNegatives",
    "FalseNegatives",
    "Precision",
    "Recall",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "Hinge",
    "SquaredHinge",
    "KLDivergence",
    "Poisson",
    "CosineSimilarity",
    "R2Score",
]
CASES = [
    *[(name, {}, data) for data in (binary, multilabel) for name in ELEMENTWISE],
    *[(name, {}, counts) for name in ("MeanSquaredLogarithmicError", "Poisson", "CosineSimilarity", "LogCoshError")],
    *[(name, {}, counts) for name in ("PearsonCorrelation", "ConcordanceCorrelation", "R2Score")],
    ("R2Score", {"class_aggregation": None}, counts),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, counts),
    ("R2Score", {"num_regressors": 2}, counts),
    ("BinaryAccuracy", {"threshold": 0.3}, binary),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, multilabel),
    ("BinaryCrossentropy", {"from_logits": True}, multilabel),
    ("AUC", {}, binary),
    ("AUC", {"num_thresholds": 17}, binary),
    ("AUC", {"curve": "PR"}, binary),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, binary),
    ("AUC", {"summation_method": "majoring"}, binary),
    ("AUC", {"thresholds": [0.7, 0.3]}, binary),
    ("AUC", {"multi_label": True}, multilabel),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [1, 2, 0, 3]}, multilabel),
    ("AUC", {"label_weights": [1, 2, 0, 3]}, multilabel),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, binary),
    ("SpecificityAtSensitivity", {"sensitivity": 0.7, "num_thresholds": 31}, binary),
    ("PrecisionAtRecall", {"recall": 0.4}, binary),
    ("RecallAtPrecision", {"precision": 0.5}, multilabel),
    ("RecallAtPrecision", {"precision": 0.2, "class_id": 2, "num_thresholds": 1}, one_hot),
    ("BinaryIoU", {"dtype": "float32"}, binary),
    ("BinaryIoU", {"dtype": "float32", "target_class_ids": [1], "threshold": 0.25}, binary),
    ("IoU", {"dtype": "float32", "num_classes": CLASSES, "target_class_ids": [1, 3]}, masks),
    ("MeanIoU", {"dtype": "float32", "num_classes": CLASSES, "ignore_class": 2}, masks),
    ("OneHotIoU", {"dtype": "float32", "num_classes": CLASSES, "target_class_ids": [0, 5]}, one_hot),
    ("OneHotMeanIoU", {"dtype": "float32", "num_classes": CLASSES}, one_hot),
    ("CategoricalHinge", {}, one_hot),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, one_hot),
    ("FBetaScore", {"average": "weighted", "beta": 0.5, "threshold": 0.4}, one_hot),
    ("Recall", {"thresholds": [0.7, 0.2]}, binary),
    ("Precision", {"top_k": 2}, one_hot),
    ("Recall", {"top_k": 1, "class_id": 3}, one_hot),
    ("CategoricalAccuracy", {}, one_hot),
    ("TopKCategoricalAccuracy", {"k": 3}, one_hot),
    ("CategoricalCrossentropy", {}, one_hot),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, one_hot),
    ("SparseCategoricalAccuracy", {}, sparse),
    ("SparseCategoricalAccuracy", {}, sparse_column),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse_column),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, sparse_column),
    *[("F1Score", {"average": average}, one_hot) for average in (None, "macro", "micro", "weighted")],
    *[("F1Score", {"average": average, "threshold": 0.3}, one_hot) for average in (None, "weighted")],
]
