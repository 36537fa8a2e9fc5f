"""The overlap of predicted and true areas, for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _arguments, _memory
from fastconv._arguments import array
from fastconv.metrics.base import Metric, broadcast_weight
from fastconv.metrics.targets import aligned, checked_range

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class IoU(Metric):
    """Intersection over union, ``TP / (TP + FP + FN)``, mean over ``target_class_ids``; classes that occur neither in
    targets nor in predictions are left out.

    Args:
        num_classes: C.
        target_class_ids: the classes that count.
        name, dtype: see :class:`Metric`.
        ignore_class: a label whose samples are left out, such as 255 for a border.
        sparse_y_true: whether y_true holds class numbers (…); else one-hot rows (…, C).
        sparse_y_pred: whether y_pred holds class numbers (…); else scores (…, C), whose argmax counts.
        axis: of the classes, where there is one.

    Example:
        >>> IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])
        0.3333333333333333
    """

    default_name = "io_u"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        op = type(self).__name__
        n = self.num_classes = _arguments.integer(op, "num_classes", num_classes, least=1)
        _memory.check_free(op, "confusion", (n, n), 8 * n * n)
        self.target_class_ids = [
            _arguments.integer(op, f"target_class_ids[{i}]", c, least=0, most=self.num_classes - 1)
            for i, c in enumerate(_arguments.items(op, "target_class_ids", target_class_ids))
        ]
        self.ignore_class = None if ignore_class is None else _arguments.integer(op, "ignore_class", ignore_class)
        self.sparse_y_true = _arguments.boolean(op, "sparse_y_true", sparse_y_true)
        self.sparse_y_pred = _arguments.boolean(op, "sparse_y_pred", sparse_y_pred)
        self.axis = _arguments.integer(op, "axis", axis)
        super().__init__(name, dtype)

    def _class_axis(self, op: str, scores: np.ndarray) -> int:
        if not -scores.ndim <= self.axis < scores.ndim or scores.shape[self.axis] == 0:
            raise ValueError(
                f"[{op}] axis must be that of the classes: expected an axis with cells of an array of shape {scores.shape}, got "
                f"axis={self.axis}. Pass the last one, -1."
            )
        return self.axis

    def reset_state(self) -> None:
        self._matrix = np.zeros((self.num_classes, self.num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        op = type(self).__name__
        true, pred = array(op, "y_true", y_true), array(op, "y_pred", y_pred)
        if not self.sparse_y_true:
            true = true.argmax(axis=self._class_axis(op, true))
        if not self.sparse_y_pred:
            pred = pred.argmax(axis=self._class_axis(op, pred))
        true, pred = aligned(op, true, pred)
        weight = np.ones(true.shape)
        if sample_weight is not None:
            given = broadcast_weight(op, sample_weight, true.shape)
            weight = np.broadcast_to(given.reshape(given.shape + (1,) * (true.ndim - given.ndim)), true.shape)
        counts = true != self.ignore_class if self.ignore_class is not None else np.ones(true.shape, bool)
        rows = checked_range(op, true[counts], self.num_classes)
        columns = checked_range(op, pred[counts], self.num_classes, "y_pred")
        cells = np.bincount(rows * self.num_classes + columns, weight[counts], self.num_classes**2)
        self._matrix = self._matrix + cells.reshape(self._matrix.shape)

    def result(self) -> float:
        right = self._matrix.diagonal()
        union = self._matrix.sum(axis=0) + self._matrix.sum(axis=1) - right
        ids = [c for c in self.target_class_ids if union[c] > 0]
        return float((right[ids] / union[ids]).mean()) if ids else 0.0

    def get_config(self) -> dict[str, Any]:
        return {
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }


def _without(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in keys}


class BinaryIoU(IoU):
    """:class:`IoU` of the classes 0 and 1, where a score >= threshold is a 1.

    Args:
        target_class_ids: the classes that count: (0,), (1,) or (0, 1).
        threshold: 0 <= threshold <= 1.
        name, dtype: see :class:`Metric`.
    """

    default_name = "binary_io_u"

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        self.threshold = _arguments.real("BinaryIoU", "threshold", threshold, least=0, most=1)
        super().__init__(2, target_class_ids, name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(
            y_true, (array("BinaryIoU", "y_pred", y_pred) >= self.threshold).astype(np.intp), sample_weight
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        kept = _without(config, "num_classes", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**kept, "threshold": self.threshold}


class MeanIoU(IoU):
    """:class:`IoU` of all classes; arguments as there."""

    default_name = "mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        classes = range(_arguments.integer(type(self).__name__, "num_classes", num_classes, least=1))
        super().__init__(num_classes, classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "target_class_ids")


class OneHotIoU(IoU):
    """:class:`IoU` for one-hot targets and, unless ``sparse_y_pred``, scores; arguments as there."""

    default_name = "one_hot_io_u"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """:class:`MeanIoU` for one-hot targets and, unless ``sparse_y_pred``, scores; arguments as there."""

    default_name = "one_hot_mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return _without(super().get_config(), "sparse_y_true")
