"""Activations that are a few operations each, with Keras's names and arguments."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.ops import _numbers

__all__ = [
    "celu",
    "glu",
    "hard_shrink",
    "hard_tanh",
    "log_sigmoid",
    "soft_shrink",
    "softmax_along",
    "sparse_sigmoid",
    "tanh_shrink",
]


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``max(x, 0) + alpha * min(exp(x / alpha) - 1, 0)`` (Barron 2017); an elu of x / alpha."""
    alpha = _numbers.as_positive("celu", "alpha", alpha)
    return ops.elu(x) if alpha == 1 else ops.scale(ops.elu(ops.scale(x, 1 / alpha)), alpha)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of x along ``axis`` times the sigmoid of the second (Dauphin et al. 2017)."""
    rank = len(x.shape)
    at = _numbers.as_int("glu", "axis", axis) % rank
    half, odd = divmod(x.shape[at], 2)
    if odd:
        raise ValueError(
            f"[glu] the axis must have two halves: expected an even extent, got x.shape={tuple(x.shape)}, axis={axis}. "
            "Use another number of channels."
        )
    first, second = (
        ops.crop(x, tuple(ends if i == at else (0, 0) for i in range(rank))) for ends in ((0, half), (half, 0))
    )
    return ops.multiply(first, ops.sigmoid(second))


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x if |x| > threshold else 0``."""
    return ops.shrink(x, threshold)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``threshold``, and no further than 0."""
    return ops.shrink(x, threshold, threshold)


def hard_tanh(x: Any) -> Any:
    """``min(max(x, -1), 1)``."""
    return ops.clip(x, -1.0, 1.0)


def sparse_sigmoid(x: Any) -> Any:
    """``min(max((x + 1) / 2, 0), 1)``."""
    return ops.clip(ops.scale(x, 0.5, 0.5), 0.0, 1.0)


def log_sigmoid(x: Any) -> Any:
    """``log(1 / (1 + exp(-x)))``."""
    return ops.scale(ops.softplus(ops.scale(x, -1.0)), -1.0)


def tanh_shrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    return ops.subtract(x, ops.tanh(x))


def softmax_along(x: Any, axis: int) -> Any:
    """Softmax over any axis: it goes last, and back."""
    rank = len(x.shape)
    if axis % rank == rank - 1:
        return ops.softmax(x)
    order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
    back = [order.index(i) for i in range(rank)]
    return ops.transpose(ops.softmax(ops.transpose(x, order)), back)
