"""Learning rates that change with the step: Keras's names, arguments and formulas, and a few more.

A schedule is called with the 0-based number of the optimizer step and returns the rate of that step, so
the first step uses ``schedule(0)``. Pass one as ``learning_rate`` of any optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _lookup
from fastconv.schedules.base import LearningRateSchedule
from fastconv.schedules.cycles import CosineDecayRestarts, OneCycle, PiecewiseLinear, WarmUp
from fastconv.schedules.decay import (
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PiecewiseLinear",
    "PolynomialDecay",
    "WarmUp",
    "deserialize",
    "serialize",
]

_KNOWN = _lookup.table(
    [
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        OneCycle,
        PiecewiseConstantDecay,
        PiecewiseLinear,
        PolynomialDecay,
        WarmUp,
    ]
)


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """``{"class_name": …, "config": …}``, which :func:`deserialize` takes back."""
    return _lookup.to_config("schedule", schedule, _KNOWN)


def deserialize(config: Mapping[str, Any]) -> LearningRateSchedule:
    """The schedule that a config of :func:`serialize` describes."""
    return _lookup.by_config("schedule", config, _KNOWN)
