"""Class labels: one-hot vectors, and names to numbers and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import as_array, as_int

__all__ = ["LabelEncoder", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot vectors: ``out[..., k] = 1 where x[...] == k, else 0``.

    Args:
        x: whole-number labels of any integer dtype and any shape; a last axis of length 1 is dropped, as in
            Keras.
        num_classes: length K of each vector; ``None`` takes ``max(x) + 1``.

    Returns:
        float32 array of shape ``x.shape + (K,)``. (Keras 3 returns float64; fastconv trains in float32.)

    Raises:
        TypeError: labels are not integers, or ``num_classes`` is not an int.
        ValueError: a label is outside ``[0, num_classes)``; ``num_classes`` is missing for an empty ``x``.
        MemoryError: the result does not fit in memory.

    Example:
        >>> from fastconv.utils import to_categorical
        >>> to_categorical([0, 2], num_classes=3)
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    op = "to_categorical"
    labels = as_array(op, "x", x, "iu", "whole-number labels")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if labels.size == 0:
            raise ValueError(f"[{op}] num_classes cannot be inferred: x is empty. Pass num_classes.")
        classes = int(labels.max()) + 1
    else:
        classes = as_int(op, "num_classes", num_classes, low=1)
    wrong = np.flatnonzero((labels < 0) | (labels >= max(classes, 0)))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f"[{op}] labels must lie in [0, num_classes): got x={labels.ravel()[first]} at index {first}, "
            f"num_classes={max(classes, 0)}. Number the classes from 0, or raise num_classes."
        )
    try:
        out = np.zeros((labels.size, classes), np.float32)
    except (MemoryError, ValueError):  # ValueError: more bytes than an address can count
        raise MemoryError(
            f"[{op}] the result does not fit in memory: {labels.size} labels x {classes} classes x 4 bytes. "
            f"Keep the labels as integers and use a sparse loss."
        ) from None
    out[np.arange(labels.size), labels.ravel().astype(np.intp)] = 1
    return out.reshape(*labels.shape, classes)


class LabelEncoder:
    """Numbers the distinct labels 0, 1, 2, ... in sorted order, and maps numbers back to labels.

    Attributes:
        classes_: after :meth:`fit`, the sorted distinct labels; ``classes_[i]`` is the label with number
            ``i``.

    Example:
        >>> from fastconv.utils import LabelEncoder
        >>> encoder = LabelEncoder()
        >>> encoder.fit_transform(["dog", "cat", "dog"])
        array([1, 0, 1])
        >>> encoder.inverse_transform([0, 1]).tolist()
        ['cat', 'dog']
    """

    classes_: np.ndarray

    def fit(self, y: Any) -> LabelEncoder:
        """Learn the classes of ``y``, a 1-D array or list of strings or integers. Returns self."""
        labels = self._labels("fit", y)
        if labels.size == 0:
            raise ValueError("[LabelEncoder.fit] y must hold labels: expected at least 1, got 0. Pass the labels.")
        self.classes_ = np.unique(labels)
        return self

    def transform(self, y: Any) -> np.ndarray:
        """The number of each label, int64 (N,). A label that :meth:`fit` did not see is a ValueError."""
        classes = self._fitted("transform")
        labels = self._labels("transform", y)
        if labels.size == 0:
            return np.empty(0, np.int64)
        if (labels.dtype.kind == "U") != (classes.dtype.kind == "U"):
            raise TypeError(
                f"[LabelEncoder.transform] y must be of the kind given to fit: expected {classes.dtype}, "
                f"got {labels.dtype}. Convert it with astype."
            )
        numbers = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
        unseen = np.flatnonzero(classes[numbers] != labels)
        if unseen.size:
            first = int(unseen[0])
            raise ValueError(
                f"[LabelEncoder.transform] labels must be known: y={labels[first].item()!r} at index "
                f"{first} is none of the {len(classes)} classes seen by fit. Fit on data that holds every "
                f"class."
            )
        return numbers.astype(np.int64)

    def fit_transform(self, y: Any) -> np.ndarray:
        """:meth:`fit`, then :meth:`transform` of the same labels."""
        return self.fit(y).transform(y)

    def inverse_transform(self, numbers: Any) -> np.ndarray:
        """The labels of class numbers in ``[0, len(classes_))``; the shape is kept."""
        op = "LabelEncoder.inverse_transform"
        classes = self._fitted("inverse_transform")
        index = as_array(op, "numbers", numbers, "iu", "class numbers")
        wrong = np.flatnonzero((index < 0) | (index >= len(classes)))
        if wrong.size:
            first = int(wrong[0])
            raise ValueError(
                f"[{op}] class numbers must lie in [0, {len(classes)}): got {index.ravel()[first]} at index {first}."
            )
        return classes[index.astype(np.intp)]

    @staticmethod
    def _labels(method: str, y: Any) -> np.ndarray:
        labels = as_array(f"LabelEncoder.{method}", "y", y, "biuU", "strings or integers")
        if labels.ndim != 1:
            raise ValueError(
                f"[LabelEncoder.{method}] y must be 1-D: expected shape (N,), got y.shape={labels.shape}. Use ravel()."
            )
        return labels

    def _fitted(self, method: str) -> np.ndarray:
        if not hasattr(self, "classes_"):
            raise RuntimeError(f"[LabelEncoder.{method}] the encoder knows no classes yet. Call fit first.")
        return self.classes_
