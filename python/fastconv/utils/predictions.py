"""What a classifier says, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv._arguments import items

from ._checks import as_array, as_int

__all__ = ["decode_predictions", "prediction_text"]


def decode_predictions(
    preds: Any, top: int = 5, class_names: Sequence[str] | None = None
) -> list[list[tuple[str, float]]]:
    """The ``top`` most probable classes of every sample, the best first.

    Keras's functions of this name know ImageNet's classes; this one is told the names.

    Args:
        preds: probabilities (N, classes), e.g. of ``model.predict``; (N, 1) is the probability of the second of two classes.
        top: how many; at most all classes are listed.
        class_names: one name per class; default: the numbers from 0.

    Returns:
        For each sample a list of ``(name, probability)``.

    Example:
        >>> from fastconv.utils import decode_predictions, prediction_text
        >>> decode_predictions([[0.05, 0.8, 0.15]], top=2, class_names=["dog", "flower", "sky"])
        [[('flower', 0.8), ('sky', 0.15)]]
        >>> prediction_text([0.05, 0.8, 0.15], top=2, class_names=["dog", "flower", "sky"])
        '80 % flower, 15 % sky'
    """
    op = "decode_predictions"
    values = as_array(op, "preds", preds)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(
            f"[{op}] preds must hold a row per sample: expected shape (N, classes), got preds.shape={values.shape}. "
            "Pass what predict returns."
        )
    count = as_int(op, "top", top, low=1)
    if values.dtype.kind != "f":  # whose negative may be none
        values = values.astype(np.float64)
    if values.shape[1] == 1:
        values = np.concatenate([1 - values, values], axis=1)
    names = (
        [str(i) for i in range(values.shape[1])]
        if class_names is None
        else [str(name) for name in items(op, "class_names", class_names)]
    )
    if len(names) != values.shape[1]:
        raise ValueError(
            f"[{op}] class_names must name every class: expected {values.shape[1]} names, got {len(names)}. Add the others."
        )
    best = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return [[(names[k], float(row[k])) for k in order] for row, order in zip(values, best, strict=True)]


def prediction_text(row: Any, top: int = 5, class_names: Sequence[str] | None = None) -> str:
    """One sample's prediction as a line: "80 % flower, 15 % sky"."""
    (found,) = decode_predictions(as_array("prediction_text", "row", row)[None], top, class_names)
    return ", ".join(f"{100 * probability:.0f} % {name}" for name, probability in found)
