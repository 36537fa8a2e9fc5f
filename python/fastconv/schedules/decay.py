"""Rates that fall: by powers, fractions, polynomials, a cosine, or in jumps. Keras's names, arguments and formulas."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from fastconv import _arguments
from fastconv.schedules.base import LearningRateSchedule, check_rising, checked_step

__all__ = ["CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay", "PolynomialDecay"]


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Args:
        initial_learning_rate: > 0.
        decay_steps: steps over which the rate is multiplied by decay_rate once; > 0.
        decay_rate: > 0.
        staircase: whether the exponent is rounded down, so that the rate falls in jumps.
        name: kept for Keras configs.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        op = type(self).__name__
        self.initial_learning_rate = _arguments.real(op, "initial_learning_rate", initial_learning_rate, above=0)
        self.decay_steps = _arguments.real(op, "decay_steps", decay_steps, above=0)
        self.decay_rate = _arguments.real(op, "decay_rate", decay_rate, above=0)
        self.staircase = _arguments.boolean(op, "staircase", staircase)
        self.name = name

    def _periods(self, step: int) -> float:
        periods = step / self.decay_steps
        return math.floor(periods) if self.staircase else periods

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        return self.initial_learning_rate * self.decay_rate ** self._periods(step)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(ExponentialDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Args: see :class:`ExponentialDecay`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step))


class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - min(step, decay_steps) / decay_steps) ** power + end``.

    Args:
        initial_learning_rate: > 0.
        decay_steps: > 0.
        end_learning_rate: >= 0.
        power: > 0; 1 is a straight line.
        cycle: whether the decay starts anew, stretched to the next multiple of decay_steps, instead of
            staying at the end.
        name: kept for Keras configs.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        op = "PolynomialDecay"
        self.initial_learning_rate = _arguments.real(op, "initial_learning_rate", initial_learning_rate, above=0)
        self.decay_steps = _arguments.real(op, "decay_steps", decay_steps, above=0)
        self.end_learning_rate = _arguments.real(op, "end_learning_rate", end_learning_rate, least=0)
        self.power = _arguments.real(op, "power", power, above=0)
        self.cycle = _arguments.boolean(op, "cycle", cycle)
        self.name = name

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        steps = self.decay_steps
        if self.cycle:
            steps *= max(1, math.ceil(step / steps))
        left = 1 - min(step, steps) / steps
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the first rate down to ``alpha`` times it, after an optional straight warm-up.

    With warmup_target the rate rises linearly from initial_learning_rate to warmup_target in warmup_steps,
    then the cosine falls from warmup_target over decay_steps. Without, it falls from initial_learning_rate.

    Args:
        initial_learning_rate: >= 0; > 0 without a warm-up.
        decay_steps: > 0.
        alpha: final rate as a share of the first, 0 <= alpha <= 1.
        name: kept for Keras configs.
        warmup_target: > 0, or None for no warm-up.
        warmup_steps: >= 0.

    Source: Loshchilov and Hutter 2016, SGDR.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ):
        op = "CosineDecay"
        self.warmup_target = (
            None if warmup_target is None else _arguments.real(op, "warmup_target", warmup_target, above=0)
        )
        bound = {"above": 0} if warmup_target is None else {"least": 0}
        self.initial_learning_rate = _arguments.real(op, "initial_learning_rate", initial_learning_rate, **bound)
        self.decay_steps = _arguments.real(op, "decay_steps", decay_steps, above=0)
        self.alpha = _arguments.real(op, "alpha", alpha, least=0, most=1)
        self.warmup_steps = _arguments.real(op, "warmup_steps", warmup_steps, least=0)
        self.name = name

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        peak, warmup_steps = self.warmup_target, self.warmup_steps
        if peak is None:
            peak, warmup_steps = self.initial_learning_rate, 0
        if step < warmup_steps:
            return self.initial_learning_rate + (peak - self.initial_learning_rate) * step / warmup_steps
        done = min((step - warmup_steps) / self.decay_steps, 1)
        return peak * ((1 - self.alpha) * 0.5 * (1 + math.cos(math.pi * done)) + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` while ``step <= boundaries[i]``; the last value after the last boundary.

    Args:
        boundaries: steps, strictly rising.
        values: rates > 0, one more than boundaries.
        name: kept for Keras configs.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"):
        op = "PiecewiseConstantDecay"
        self.boundaries = [
            _arguments.real(op, f"boundaries[{i}]", b)
            for i, b in enumerate(_arguments.items(op, "boundaries", boundaries))
        ]
        self.values = [
            _arguments.real(op, f"values[{i}]", v, above=0)
            for i, v in enumerate(_arguments.items(op, "values", values))
        ]
        self.name = name
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"[{op}] each interval needs one rate: expected len(values) == len(boundaries) + 1, "
                f"got len(values)={len(self.values)}, len(boundaries)={len(self.boundaries)}. "
                f"Add or remove a rate."
            )
        check_rising(op, "boundaries", self.boundaries)

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        return self.values[bisect.bisect_left(self.boundaries, step)]

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
