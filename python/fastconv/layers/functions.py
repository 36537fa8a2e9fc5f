"""Activations that are a few operations each, with Keras's names and arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fastconv import ops
from fastconv.layers._geometry import check_single
from fastconv.ops import _numbers

__all__ = [
    "along",
    "celu",
    "glu",
    "hard_shrink",
    "hard_tanh",
    "log_sigmoid",
    "log_softmax",
    "sample_axes",
    "soft_shrink",
    "softmax",
    "sparse_sigmoid",
    "sparsemax",
    "tanh_shrink",
    "threshold",
]


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``max(x, 0) + alpha * min(exp(x / alpha) - 1, 0)`` (Barron 2017); an elu of x / alpha."""
    alpha = _numbers.as_positive("celu", "alpha", alpha)
    return ops.elu(x) if alpha == 1 else ops.scale(ops.elu(ops.scale(x, 1 / alpha)), alpha)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of x along ``axis`` times the sigmoid of the second (Dauphin et al. 2017)."""
    check_single("glu", x)
    rank = len(x.shape)
    number = _numbers.as_int("glu", "axis", axis)
    if not -rank <= number < rank:
        raise ValueError(
            f"[glu] axis must be one of x: expected -{rank} <= axis < {rank}, got axis={number}, x.shape={tuple(x.shape)}. Use -1."
        )
    at = number % rank
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


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """``x if x > threshold else default_value``, Keras's function of the name; ``ops.threshold`` is the perceptron's step."""
    above = ops.threshold(x, threshold)
    rest = ops.scale(above, threshold - default_value, default_value)
    return ops.add(ops.relu(ops.scale(x, 1.0, -threshold)), rest)


def softmax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """``exp(x) / Σ exp(x)`` along ``axis``, or over several axes together."""
    return along(x, axis, ops.softmax)


def log_softmax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """``x - log Σ exp(x)`` along ``axis``."""
    return along(x, axis, ops.log_softmax)


def sparsemax(x: Any, axis: int | Sequence[int] = -1) -> Any:
    """The distribution along ``axis`` that is next to x, with exact zeros (Martins, Astudillo 2016)."""
    return along(x, axis, ops.sparsemax)


def along(x: Any, axis: int | Sequence[int], function: Callable[[Any], Any]) -> Any:
    """A function of rows along other axes: these go last, as one, and back."""
    check_single("axis", x)
    rank = len(x.shape)
    if not rank:
        raise ValueError("[axis] x must have axes: expected an array, got a single number. Pass x[None].")
    chosen = sorted(a % rank for a in ([axis] if isinstance(axis, int) else axis))
    order = [i for i in range(rank) if i not in chosen] + chosen
    if chosen == [rank - 1]:
        return function(x)
    moved = x if order == list(range(rank)) else ops.transpose(x, order)
    extents = tuple(moved.shape)
    kept = extents[: rank - len(chosen)]
    y = ops.reshape(function(ops.reshape(moved, (*kept, math.prod(extents[len(kept) :])))), extents)
    return y if moved is x else ops.transpose(y, [order.index(i) for i in range(rank)])


def sample_axes(where: str, axis: Any, rank: int) -> list[int]:
    """One axis, or several, none of which is the batch's."""
    axes = [_numbers.as_int(where, "axis", a) for a in (axis if isinstance(axis, (list, tuple)) else [axis])]
    for a in axes:
        if not -rank < a < rank or a == 0:
            raise ValueError(
                f"[{where}] axis must be one of a sample's: expected 1 to {rank - 1}, or negative, got axis={axis}. "
                "Use one of them."
            )
    return axes
