"""How little two regions have in common: losses of segmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastconv import ops
from fastconv.losses.axes import total
from fastconv.losses.base import Loss
from fastconv.ops import _numbers

__all__ = ["Dice", "Tversky", "dice", "tversky"]

_EPSILON = 1e-7  # keras.config.epsilon()

Axes = int | Sequence[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Any:
    """See :class:`Dice`."""
    return _overlap("dice", y_true, y_pred, 0.5, 0.5, _EPSILON / 2, axis)


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None) -> Any:
    """See :class:`Tversky`."""
    return _overlap("tversky", y_true, y_pred, alpha, beta, _EPSILON, axis)


def _overlap(where: str, y_true: Any, y_pred: Any, alpha: float, beta: float, epsilon: float, axis: Axes) -> Any:
    """``1 - I / (I + alpha (Σ t - I) + beta (Σ p - I) + epsilon)`` with ``I = Σ t p``."""
    rank = len(y_pred.shape)
    axes = sorted({a % rank for a in _axes(where, axis, rank)})
    both, truth, guess = (_sums(values, axes) for values in (ops.multiply(y_true, y_pred), y_true, y_pred))
    outside = ops.add(ops.scale(truth, alpha), ops.scale(guess, beta))
    share = ops.divide(both, ops.scale(ops.add(ops.scale(both, 1 - alpha - beta), outside), 1.0, epsilon))
    loss = ops.scale(share, -1.0, 1.0)
    # The loss of a whole batch is that of each of its samples.
    return loss if 0 not in axes else ops.add(ops.scale(_sums(y_pred, list(range(1, rank))), 0.0), loss)


def _axes(where: str, axis: Axes, rank: int) -> list[int]:
    axes = list(range(rank)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    if axis is not None and not all(-rank < a < rank and a != 0 for a in axes):
        raise ValueError(
            f"[{where}] axis must be axes of a sample: expected some of 1 to {rank - 1}, or None for all of the batch, got "
            f"axis={axis!r}. Losses are one value per sample."
        )
    return axes


def _sums(values: Any, axes: list[int]) -> Any:
    """Over some axes; a sum over all of them has the shape (1,)."""
    kept = [i for i in range(len(values.shape)) if i not in axes]
    rows = tuple(values.shape[i] for i in kept) or (1,)
    order = kept + axes
    moved = values if order == sorted(order) else ops.transpose(values, order)
    return total(ops.reshape(moved, (*rows, math.prod(values.shape[i] for i in axes))))


class _Overlap(Loss):
    """Which axes the sums are taken over."""

    def __init__(self, name: str, reduction: str | None, axis: Axes):
        super().__init__(name, reduction)
        self.axis: Any = axis
        if isinstance(axis, (list, tuple)):
            self.axis = [_numbers.as_int(name, "axis", a) for a in axis]
        elif axis is not None:
            self.axis = _numbers.as_int(name, "axis", axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dice(_Overlap):
    """``1 - 2 Σ(y_true * y_pred) / (Σ y_true + Σ y_pred + 1e-7)``: 0 where the regions agree, 1 where they have nothing in common.

    Args:
        reduction, name: see :class:`Loss`.
        axis: axes of the sums, not the batch's, e.g. (1, 2, 3) for a loss of each image. None: the whole batch has one loss,
            which is that of each of its samples.

    Source: Milletari et al. 2016, arXiv 1606.04797, with p in place of p²; Keras 3's form.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "dice", axis: Axes = None):
        super().__init__(name, reduction, axis)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return dice(y_true, y_pred, self.axis)


class Tversky(_Overlap):
    """``1 - I / (I + alpha Σ y_true (1 - y_pred) + beta Σ y_pred (1 - y_true) + 1e-7)`` with ``I = Σ y_true * y_pred``.

    Args:
        alpha: weight of what is missed. beta: weight of what is wrongly found. (Keras documents them the other way round, and
            computes this.)
        reduction, name, axis: see :class:`Dice`, which is alpha = beta = 1/2.

    Source: Salehi et al. 2017, arXiv 1706.05721.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Axes = None,
    ):
        super().__init__(name, reduction, axis)
        self.alpha = _numbers.as_float(name, "alpha", alpha)
        self.beta = _numbers.as_float(name, "beta", beta)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}
