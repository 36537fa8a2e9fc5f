"""What a loss is: settings, checked targets, one value per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.ops import _arrays

__all__ = ["FunctionLoss", "Loss"]

_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "none", None)


class Loss:
    """A loss with its settings.

    A subclass overrides ``call(y_true, y_pred)`` with ``fastconv.ops``; it gives one value per sample.

    Args:
        name: for logs.
        reduction: what calling the object on arrays returns: the mean over samples ("sum_over_batch_size"), the "sum", or
            one value per sample (None). Training always minimises the mean.
    """

    takes_labels = False  # integer class labels instead of an array like y_pred

    def __init__(self, name: str, reduction: str | None = "sum_over_batch_size") -> None:
        name = _arguments.text(type(self).__name__, "name", name)
        if not (reduction is None or isinstance(reduction, str)) or reduction not in _REDUCTIONS:
            raise ValueError(
                f"[{name}] reduction is not known: expected one of {_REDUCTIONS}, got reduction={reduction!r}. "
                "Use one of these."
            )
        self.name = name
        self.reduction = reduction

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each sample."""
        raise TypeError(f"[{self.name}] call is not defined: expected {type(self).__name__}.call(y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss of arrays.

        Args:
            y_true, y_pred: arrays; targets are aligned and checked as in ``fit``.
            sample_weight: one factor per sample.

        Returns:
            A float, or an array with ``reduction=None``.
        """
        prediction = _arrays.as_numbers(self.name, "y_pred", y_pred)
        if prediction.dtype.kind in "iub":
            prediction = prediction.astype(np.float32)
        targets = self.prepare("y_true", _arrays.as_numbers(self.name, "y_true", y_true), prediction.shape[1:])
        targets = np.ascontiguousarray(targets, np.int64 if self.takes_labels else prediction.dtype)
        values = self.call(targets, prediction)
        if sample_weight is not None:
            values = values * self._factors(sample_weight, values)
        if self.reduction in (None, "none"):
            return values
        return float(values.sum() if self.reduction == "sum" else values.mean())

    def _factors(self, sample_weight: Any, values: np.ndarray) -> np.ndarray:
        """One per sample, in the shape that spreads over ``values``."""
        given = _arguments.array(self.name, "sample_weight", sample_weight)
        if given.size not in (1, len(values)):
            raise ValueError(
                f"[{self.name}] sample_weight must weigh the samples: expected {len(values)} factors, got "
                f"sample_weight.shape={given.shape}. Pass one weight per sample."
            )
        return given.astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        """Targets of a whole data set, aligned to predictions of ``sample_shape`` each, and checked.

        Raises:
            TypeError: for a kind of values. ValueError: for shapes, labels out of range, or values that are not finite.
        """
        if targets.dtype.kind not in "fiub":
            raise TypeError(
                f"[{self.name}] {name} must be numbers: expected a numeric array, got dtype {targets.dtype}. "
                "Encode text first."
            )
        if targets.shape[1:] != sample_shape and (*targets.shape[1:], 1) == sample_shape:
            targets = targets[..., None]  # (N,) for a model with one output, as Keras takes it
        if targets.shape[1:] != sample_shape:
            raise ValueError(
                f"[{self.name}] {name} must have the shape of the predictions: expected {name} of shape (N, "
                f"{', '.join(map(str, sample_shape))}), got {name}.shape={targets.shape}. Change the last layer, or encode "
                "labels with utils.to_categorical (or use a sparse loss)."
            )
        if targets.dtype.kind == "f" and not np.isfinite(targets).all():
            row = int(np.argwhere(~np.isfinite(targets))[0][0])
            raise ValueError(
                f"[{self.name}] {name} must be finite: expected no NaN or infinity, got one in row {row}. Clean the data."
            )
        return targets

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}


class FunctionLoss(Loss):
    """A function ``f(y_true, y_pred)`` of the caller's, written with ``fastconv.ops``."""

    def __init__(self, function: Callable[[Any, Any], Any]):
        super().__init__(getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)
