"""Sums and means of what a loss computes, along any axes of a sample."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import ops
from fastconv.ops import _numbers

__all__ = ["last", "mean", "over_last_axis", "single_axis", "total"]


def single_axis(where: str, axis: Any) -> int:
    """An axis that is not the batch's."""
    number = _numbers.as_int(where, "axis", axis)
    if number == 0:
        raise ValueError(
            f"[{where}] axis must be one of a sample's: expected axis != 0, got axis=0. Losses are one value per sample."
        )
    return number


def last(where: str, values: Any, axis: int) -> Any:
    """``values`` with ``axis`` moved behind the others."""
    rank = len(values.shape)
    if not -rank < axis < rank:
        raise ValueError(
            f"[{where}] axis must be one of a sample's: expected 1 to {rank - 1}, or negative, got axis={axis}. Use one of them."
        )
    if axis % rank == rank - 1:
        return values
    order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
    return values.transpose(order) if isinstance(values, np.ndarray) else ops.transpose(values, order)


def over_last_axis(pool: Any, values: Any) -> Any:
    """A pooling's result for each row."""
    rows = tuple(values.shape[:-1])
    return ops.reshape(pool(ops.reshape(values, (math.prod(rows), values.shape[-1], 1, 1))), rows)


def mean(values: Any) -> Any:
    """Of each row."""
    return over_last_axis(ops.global_avg_pool2d, values)


def total(values: Any) -> Any:
    """The sum of each row."""
    return ops.scale(mean(values), values.shape[-1])
