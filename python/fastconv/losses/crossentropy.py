"""Cross-entropies: of yes/no outputs, and of classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv.losses.axes import last, single_axis
from fastconv.losses.base import Loss
from fastconv.ops import _numbers
from fastconv.ops.loss import check_labels, check_targets

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CrossEntropy",
    "SparseCategoricalCrossentropy",
    "labels_of",
]


class CrossEntropy(Loss):
    """Settings that the cross-entropies share, and what their targets have to be.

    Args:
        from_logits: whether y_pred holds logits.
        label_smoothing: in [0, 1].
        axis: that of the classes, or of the outputs that a mean is taken over; not the batch's.
        targets: whose rules the targets follow, "binary_crossentropy" or "categorical_crossentropy".
    """

    def __init__(
        self, name: str, reduction: str | None, from_logits: Any, label_smoothing: Any, axis: Any, targets: str = ""
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = _numbers.as_bool(name, "from_logits", from_logits)
        self.label_smoothing = _numbers.as_float_in(name, "label_smoothing", label_smoothing, 0, 1)
        self.axis = single_axis(name, axis)
        self._targets = targets

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        targets = super().prepare(name, targets, sample_shape)
        check_targets(self._targets, name, last(self.name, targets, self.axis), self.name)
        return targets

    def get_config(self) -> dict[str, Any]:
        settings = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis}
        return {**super().get_config(), **settings}


class BinaryCrossentropy(CrossEntropy):
    """Cross-entropy of independent yes/no outputs: the mean over ``axis``."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing, axis, "binary_crossentropy")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        t, p = (last(self.name, values, self.axis) for values in (y_true, y_pred))
        return ops.binary_crossentropy(t, p, from_logits=self.from_logits, label_smoothing=self.label_smoothing)


class CategoricalCrossentropy(CrossEntropy):
    """Cross-entropy of classes along ``axis``, targets one-hot."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing, axis, "categorical_crossentropy")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        t, p = (last(self.name, values, self.axis) for values in (y_true, y_pred))
        return ops.categorical_crossentropy(t, p, from_logits=self.from_logits, label_smoothing=self.label_smoothing)


class SparseCategoricalCrossentropy(CrossEntropy):
    """Cross-entropy of classes, targets integer labels.

    Args:
        from_logits: whether y_pred holds logits.
        ignore_class: None is the only one: every label counts. Give pixels that shall not a ``sample_weight`` of 0.
        reduction, name: see :class:`Loss`.
        axis: -1, the last, is the only one.
    """

    takes_labels = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, 0.0, axis)
        if ignore_class is not None:
            raise ValueError(
                f"[{name}] no class is ignored: expected ignore_class=None, got {ignore_class!r}. Give its samples or pixels a "
                "sample_weight of 0."
            )
        if axis != -1:
            raise ValueError(
                f"[{name}] classes lie along the last axis: expected axis=-1, got axis={axis}. Permute the outputs."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        return labels_of(self.name, name, targets, sample_shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: value for key, value in config.items() if key not in ("label_smoothing", "axis")}


def labels_of(where: str, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
    """Targets as class labels, one for each row of predictions of ``sample_shape``."""
    if not sample_shape:
        raise ValueError(
            f"[{where}] predictions must have classes: expected shape (N, ..., C), got (N,). Predict a number for every class."
        )
    if targets.shape[1:] == (*sample_shape[:-1], 1):
        targets = targets[..., 0]
    if targets.dtype.kind == "f" and np.isfinite(targets).all() and (targets == np.floor(targets)).all():
        targets = targets.astype(np.int64)  # whole numbers, e.g. from a CSV file
    if targets.dtype.kind not in "iub":
        raise TypeError(
            f"[{where}] {name} must be integer class labels: expected whole numbers, got dtype {targets.dtype}. "
            "Use categorical_crossentropy for one-hot targets."
        )
    if targets.shape[1:] != sample_shape[:-1]:
        raise ValueError(
            f"[{where}] {name} must hold one label per sample: expected {name} of shape (N, "
            f"{', '.join(map(str, sample_shape[:-1]))}), got {name}.shape={targets.shape}. Use categorical_crossentropy "
            "for one-hot targets."
        )
    check_labels(where, targets, sample_shape[-1], name)
    return targets
