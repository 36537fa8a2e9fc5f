"""Which samples a classifier gets wrong, and how sure it is of it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["mistakes"]


def mistakes(where: str, y: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are wrong, those with the greatest wrong score first; and the predicted class of every row.

    Args:
        where: for messages.
        y: class numbers (N,) or (N, 1).
        scores: (N, classes), or (N, 1) for the probability of class 1.

    Raises:
        ValueError: for other shapes.
    """
    truth, scores = np.asarray(y).reshape(-1), np.asarray(scores)
    if scores.ndim != 2 or len(scores) != len(truth) or not scores.shape[1]:
        raise ValueError(
            f"[{where}] scores must have a row per class number: expected ({len(truth)}, classes), got {scores.shape}."
        )
    if scores.shape[1] == 1:
        scores = np.concatenate([1 - scores, scores], axis=1)
    predicted = scores.argmax(1)
    rows = np.flatnonzero(predicted != truth)
    order = np.argsort(-scores[rows, predicted[rows]], kind="stable")
    return rows[order], predicted
