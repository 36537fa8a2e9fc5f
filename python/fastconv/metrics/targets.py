"""Targets and predictions that belong together: the rules on their shapes and on class numbers."""

from __future__ import annotations

import numpy as np

__all__ = ["aligned", "check_one_hot", "checked_range", "class_labels"]


def aligned(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays with one shape: a last axis of extent 1 that only one of them has is added to the other.

    Broadcasting is never used: (N,) against (N, 1) would silently compare all N² pairs.
    """
    if y_true.shape == y_pred.shape:
        return y_true, y_pred
    if (*y_true.shape, 1) == y_pred.shape:
        return y_true[..., None], y_pred
    if y_true.shape == (*y_pred.shape, 1):
        return y_true, y_pred[..., None]
    raise ValueError(
        f"[{op}] targets and predictions must have one shape: expected y_true.shape == y_pred.shape, "
        f"got y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}. Reshape, or one-hot encode labels."
    )


def check_one_hot(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> None:
    """Targets (…, C) beside scores (…, C), C >= 1."""
    if y_true.shape != y_pred.shape or y_pred.ndim == 0 or y_pred.shape[-1] == 0:
        raise ValueError(
            f"[{op}] targets must be one-hot rows: expected y_true.shape == y_pred.shape, "
            f"got y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}. "
            f"For class numbers use the metric that starts with Sparse."
        )


def class_labels(op: str, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """The class numbers (…) of targets (…) or (…, 1) beside scores (…, C)."""
    if y_pred.ndim and y_pred.shape[-1]:
        if y_true.shape == y_pred.shape[:-1]:
            return y_true
        if y_true.shape == (*y_pred.shape[:-1], 1):
            return y_true[..., 0]
    raise ValueError(
        f"[{op}] targets must be one class number per row of scores: expected y_true.shape == "
        f"{y_pred.shape[:-1]}, got y_true.shape={y_true.shape}, y_pred.shape={y_pred.shape}. "
        f"For one-hot targets use the metric without Sparse in its name."
    )


def checked_range(op: str, labels: np.ndarray, classes: int, name: str = "y_true") -> np.ndarray:
    """The labels as intp, all whole and in [0, classes)."""
    wrong = ~((labels >= 0) & (labels < classes))
    if labels.dtype.kind == "f":
        wrong |= labels != np.floor(labels)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"[{op}] a label is no class: expected whole numbers 0 <= {name} < {classes}, got {name} value "
            f"{labels.reshape(-1)[index]} at index {index}. Number the classes from 0."
        )
    return labels.astype(np.intp)
