"""Cross-entropies that weigh outputs by how well they are predicted: focal ones, and one that forgives wrong labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.losses.axes import last, mean, total
from fastconv.losses.base import Loss
from fastconv.losses.crossentropy import CrossEntropy, labels_of
from fastconv.ops import _numbers

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
]

_EPSILON = 1e-7  # keras.config.epsilon()


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`BinaryFocalCrossentropy`."""
    t, p = (last("binary_focal_crossentropy", values, axis) for values in (y_true, y_pred))
    t = ops.scale(t, 1 - label_smoothing, label_smoothing / 2)
    p = ops.sigmoid(p) if from_logits else p
    cells = (*p.shape, 1)  # one value per output: a cross-entropy is a mean over the last axis
    loss = ops.reshape(ops.binary_crossentropy(ops.reshape(t, cells), ops.reshape(p, cells)), p.shape)
    # 1 - p_t = t (1 - p) + (1 - t) p = t + p - 2 t p
    missing = ops.subtract(ops.add(t, p), ops.scale(ops.multiply(t, p), 2.0))
    loss = _times_power(loss, missing, gamma)
    if apply_class_balancing:
        loss = ops.multiply(loss, ops.scale(t, 2 * alpha - 1, 1 - alpha))
    return mean(loss)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """See :class:`CategoricalFocalCrossentropy`."""
    t, p = (last("categorical_focal_crossentropy", values, axis) for values in (y_true, y_pred))
    t = ops.scale(t, 1 - label_smoothing, label_smoothing / p.shape[-1])
    p = ops.softmax(p) if from_logits else ops.divide(p, ops.reshape(total(p), (*p.shape[:-1], 1)))
    p = ops.clip(p, _EPSILON, 1 - _EPSILON)
    loss = ops.multiply(t, ops.scale(_logarithm(p), -1.0))
    return total(_weighted(_times_power(loss, ops.scale(p, -1.0, 1.0), gamma), alpha))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Any:
    """See :class:`CategoricalGeneralizedCrossEntropy`."""
    # 1 - p^q = 1 - exp(-q c) with the cross-entropy c = -log p; elu(x) is exp(x) - 1 below 0
    return ops.scale(ops.elu(ops.scale(ops.sparse_categorical_crossentropy(y_true, y_pred), -q)), -1 / q)


def _logarithm(x: Any) -> Any:
    """Of numbers in [1e-7, 1 - 1e-7], cell by cell: minus the cross-entropy of a yes."""
    cells = (*x.shape, 1)
    yes = ops.scale(x, 0.0, 1.0)
    return ops.scale(
        ops.reshape(ops.binary_crossentropy(ops.reshape(yes, cells), ops.reshape(x, cells)), x.shape), -1.0
    )


def _times_power(loss: Any, base: Any, exponent: float) -> Any:
    """``loss * base^exponent`` of numbers in [0, 1]; those closer than 1e-7 to a bound count as that where the exponent is no
    whole number."""
    if exponent == int(exponent):
        rest = int(exponent)
        while rest:  # by its bits, so that a large one ends
            loss = ops.multiply(loss, base) if rest & 1 else loss
            rest >>= 1
            base = ops.multiply(base, base) if rest else base
        return loss
    return ops.multiply(loss, ops.exponential(ops.scale(_logarithm(base), exponent)))


def _weighted(loss: Any, alpha: float | Sequence[float]) -> Any:
    """Each class's column times its weight."""
    if isinstance(alpha, (int, float)):
        return ops.scale(loss, alpha)
    if len(alpha) != loss.shape[-1]:
        raise ValueError(
            f"[categorical_focal_crossentropy] alpha must be a number, or one per class: expected {loss.shape[-1]} numbers, got "
            f"{len(alpha)}. Give each class one."
        )
    before, classes = ((0, 0),) * (len(loss.shape) - 1), len(alpha)
    columns = (ops.crop(loss, (*before, (c, classes - 1 - c))) for c in range(classes))
    return ops.concatenate([ops.scale(column, a) for column, a in zip(columns, alpha, strict=True)])


def _gamma(name: str, gamma: Any) -> float:
    number = _numbers.as_float(name, "gamma", gamma)
    if number < 0:
        raise ValueError(
            f"[{name}] gamma must not be negative: expected gamma >= 0, got gamma={gamma}. Use 2, the paper's."
        )
    return number


class BinaryFocalCrossentropy(CrossEntropy):
    """Cross-entropy of independent yes/no outputs, times ``(1 - p_t)^gamma`` where p_t is the probability of the truth: what is
    predicted well counts little.

    Args:
        apply_class_balancing: whether targets 1 count alpha, and targets 0 count 1 - alpha.
        alpha: 0 to 1.
        gamma: >= 0; whole numbers are the fastest.
        from_logits: whether y_pred holds logits.
        label_smoothing: s in [0, 1]: targets become ``t (1 - s) + s / 2``.
        axis: that of the outputs that the mean is taken over, not the batch's.
        reduction, name: see :class:`Loss`.

    Source: Lin et al. 2017, arXiv 1708.02002.
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing, axis, "binary_crossentropy")
        self.apply_class_balancing = _numbers.as_bool(name, "apply_class_balancing", apply_class_balancing)
        self.alpha = _numbers.as_float_in(name, "alpha", alpha, 0, 1)
        self.gamma = _gamma(name, gamma)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        settings = (
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )
        return binary_focal_crossentropy(y_true, y_pred, *settings)

    def get_config(self) -> dict[str, Any]:
        own = {"apply_class_balancing": self.apply_class_balancing, "alpha": self.alpha, "gamma": self.gamma}
        return {**super().get_config(), **own}


class CategoricalFocalCrossentropy(CrossEntropy):
    """Cross-entropy of classes, ``Σ -alpha (1 - p)^gamma t log p``: what is predicted well counts little. Targets one-hot.

    Args:
        alpha: a factor, or one per class.
        gamma: >= 0; whole numbers are the fastest.
        from_logits: whether y_pred holds logits; probabilities are divided by their sum, and clipped to [1e-7, 1 - 1e-7].
        label_smoothing: s in [0, 1]: targets become ``t (1 - s) + s / classes``.
        axis: that of the classes, not the batch's.
        reduction, name: see :class:`Loss`.

    Source: Lin et al. 2017, arXiv 1708.02002; Keras 3's form.
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
    ):
        super().__init__(name, reduction, from_logits, label_smoothing, axis, "categorical_crossentropy")
        self.alpha: Any = (
            [_numbers.as_float(name, "alpha", a) for a in alpha]
            if isinstance(alpha, (list, tuple, np.ndarray))
            else _numbers.as_float(name, "alpha", alpha)
        )
        self.gamma = _gamma(name, gamma)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        settings = (self.alpha, self.gamma, self.from_logits, self.label_smoothing, self.axis)
        return categorical_focal_crossentropy(y_true, y_pred, *settings)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


class CategoricalGeneralizedCrossEntropy(Loss):
    """``(1 - p^q) / q`` with the probability p of the label: a cross-entropy for small q, an absolute error for q = 1, which
    wrong labels disturb less.

    Args:
        q: between 0 and 1, both excluded.
        reduction, name: see :class:`Loss`.

    Targets are integer labels. Rows of predictions are distributions, as a softmax gives; others are divided by their sum, and
    p is at least 1e-7.

    Source: Zhang, Sabuncu 2018, arXiv 1805.07836.
    """

    takes_labels = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
    ):
        super().__init__(name, reduction)
        self.q = _numbers.as_float_in(name, "q", q, 0, 1)
        if self.q in (0, 1):
            raise ValueError(
                f"[{name}] q must lie between 0 and 1: expected 0 < q < 1, got q={q}. Use sparse_categorical_crossentropy for 0."
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)

    def prepare(self, name: str, targets: np.ndarray, sample_shape: tuple[int, ...]) -> np.ndarray:
        return labels_of(self.name, name, targets, sample_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "q": self.q}
