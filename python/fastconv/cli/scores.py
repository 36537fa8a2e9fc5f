"""What a classifier gets right on labelled images."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.metrics import confusion_matrix

__all__ = ["Scores", "score"]


class Scores:
    """Counts of right answers, and of every class taken for every other."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix
        self.total = int(matrix.sum())
        self.right = int(np.trace(matrix))

    def __str__(self) -> str:
        return f"{100 * self.right / max(self.total, 1):.2f} % ({self.right:,} of {self.total:,} images)"


def score(model: Any, x: np.ndarray, y: np.ndarray) -> Scores:
    """Runs the model on images and compares with their class numbers.

    Raises:
        ValueError: if the images do not fit the model, or a label is none of its classes.
    """
    probabilities = model.predict(x, batch_size=128, verbose=0)
    classes = probabilities.shape[-1]
    if probabilities.ndim != 2 or classes < 2:
        raise ValueError(
            f"[evaluate] the model must be a classifier: expected outputs (N, classes), got {probabilities.shape}."
        )
    if int(y.max(initial=0)) >= classes:
        raise ValueError(
            f"[evaluate] the data set must fit the model: expected labels below {classes}, got {int(y.max())}. "
            "Use the data set that it was trained on."
        )
    return Scores(confusion_matrix(y, probabilities.argmax(-1), classes))
