"""Rates that also rise: warm restarts, one cycle, a warm-up before another schedule, straight lines between points."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import _arguments
from fastconv.schedules.base import LearningRateSchedule, check_rising, checked_step

__all__ = ["CosineDecayRestarts", "OneCycle", "PiecewiseLinear", "WarmUp"]


class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine from the first rate down to ``alpha`` times it, again and again; each period is ``t_mul`` times as
    long as the one before and begins ``m_mul`` times as high.

    Args:
        initial_learning_rate: > 0.
        first_decay_steps: of the first period; > 0.
        t_mul: >= 1.
        m_mul: > 0.
        alpha: lowest rate as a share of the first, 0 <= alpha <= 1.
        name: kept for Keras configs.

    Source: Loshchilov and Hutter 2016, SGDR.

    Example:
        >>> rate = CosineDecayRestarts(0.1, 10)
        >>> rate(0), rate(10), rate(30)
        (0.1, 0.1, 0.1)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        op = "CosineDecayRestarts"
        self.initial_learning_rate = _arguments.real(op, "initial_learning_rate", initial_learning_rate, above=0)
        self.first_decay_steps = _arguments.real(op, "first_decay_steps", first_decay_steps, above=0)
        self.t_mul = _arguments.real(op, "t_mul", t_mul, least=1)
        self.m_mul = _arguments.real(op, "m_mul", m_mul, above=0)
        self.alpha = _arguments.real(op, "alpha", alpha, least=0, most=1)
        self.name = name

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        height, length, left = 1.0, self.first_decay_steps, float(step)
        if self.t_mul == 1:
            periods, left = divmod(left, length)
            height = self.m_mul**periods
        while left >= length:  # not by logarithms: they may round to the wrong side of a restart
            left -= length
            length *= self.t_mul
            height *= self.m_mul
        cosine = 0.5 * height * (1 + math.cos(math.pi * left / length))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


class OneCycle(LearningRateSchedule):
    """Up to the highest rate, and far below the first one: PyTorch's ``OneCycleLR``, without its cycle of momentum.

    The rate begins at ``max_learning_rate / div_factor``, is highest at step ``pct_start * total_steps - 1``, and ends at
    step ``total_steps - 1`` with the first rate over ``final_div_factor``, where it stays.

    Args:
        max_learning_rate: > 0.
        total_steps: >= 2, all steps of the training.
        pct_start: share of the steps that go up, 0 < pct_start < 1.
        anneal_strategy: "cos" or "linear".
        div_factor: > 0.
        final_div_factor: > 0.
        name: of the schedule.

    Source: Smith and Topin 2017, arXiv 1708.07120.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        name: str = "OneCycle",
    ):
        op = "OneCycle"
        self.max_learning_rate = _arguments.real(op, "max_learning_rate", max_learning_rate, above=0)
        self.total_steps = _arguments.integer(op, "total_steps", total_steps, least=2)
        self.pct_start = _arguments.real(op, "pct_start", pct_start, above=0, below=1)
        self.anneal_strategy = _arguments.choice(op, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = _arguments.real(op, "div_factor", div_factor, above=0)
        self.final_div_factor = _arguments.real(op, "final_div_factor", final_div_factor, above=0)
        self.name = name
        if self.pct_start * self.total_steps <= 1:
            raise ValueError(
                f"[{op}] the rise must take more than a step: expected pct_start * total_steps > 1, got "
                f"pct_start={pct_start}, total_steps={total_steps}. Raise one of them."
            )

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        first = self.max_learning_rate / self.div_factor
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= top:
            return self._between(first, self.max_learning_rate, step / top)
        share = min((step - top) / (last - top), 1)
        return self._between(self.max_learning_rate, first / self.final_div_factor, share)

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    def get_config(self) -> dict[str, Any]:
        return {
            "max_learning_rate": self.max_learning_rate,
            "total_steps": self.total_steps,
            "pct_start": self.pct_start,
            "anneal_strategy": self.anneal_strategy,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
            "name": self.name,
        }


class WarmUp(LearningRateSchedule):
    """A straight line from ``initial_learning_rate`` to the first rate of another schedule, which then begins.

    Args:
        schedule: what comes after the warm-up, with step 0 at its end.
        warmup_steps: >= 1.
        initial_learning_rate: >= 0.
        name: of the schedule.

    Source: Goyal et al. 2017, arXiv 1706.02677.

    Example:
        >>> from fastconv.schedules import ExponentialDecay
        >>> rate = WarmUp(ExponentialDecay(0.8, 10, 0.5), warmup_steps=4)
        >>> rate(0), rate(2), rate(4), rate(14)
        (0.0, 0.4, 0.8, 0.4)
    """

    def __init__(
        self,
        schedule: LearningRateSchedule | Mapping[str, Any],
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        name: str = "WarmUp",
    ):
        from fastconv import schedules  # not at the top: that module imports this one

        op = "WarmUp"
        if not isinstance(schedule, LearningRateSchedule):
            if not isinstance(schedule, Mapping):
                raise TypeError(
                    f"[{op}] schedule must be one: expected a LearningRateSchedule, got {schedule!r} "
                    f"({type(schedule).__name__}). For a constant rate use PiecewiseLinear."
                )
            schedule = schedules.deserialize(schedule)
        self.schedule = schedule
        self.warmup_steps = _arguments.integer(op, "warmup_steps", warmup_steps, least=1)
        self.initial_learning_rate = _arguments.real(op, "initial_learning_rate", initial_learning_rate, least=0)
        self.name = name

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        if step >= self.warmup_steps:
            return self.schedule(step - self.warmup_steps)
        first = self.initial_learning_rate
        return first + (self.schedule(0) - first) * step / self.warmup_steps

    def get_config(self) -> dict[str, Any]:
        from fastconv import schedules  # not at the top: that module imports this one

        return {
            "schedule": schedules.serialize(self.schedule),
            "warmup_steps": self.warmup_steps,
            "initial_learning_rate": self.initial_learning_rate,
            "name": self.name,
        }


class PiecewiseLinear(LearningRateSchedule):
    """Straight lines from one point to the next: ``values[i]`` at step ``steps[i]``; before the first and after the last
    step, their values.

    With three points it is the triangle of Smith and Topin 2017: up to the highest rate, and down again.

    Args:
        steps: strictly rising, one or more.
        values: rates >= 0, one for each of the steps.
        name: of the schedule.

    Example:
        >>> triangle = PiecewiseLinear([0, 10, 50], [0.1, 0.5, 0.0])
        >>> triangle(5), triangle(10), triangle(40)
        (0.3, 0.5, 0.125)
    """

    def __init__(self, steps: Sequence[float], values: Sequence[float], name: str = "PiecewiseLinear"):
        op = "PiecewiseLinear"
        self.steps = [
            _arguments.real(op, f"steps[{i}]", step) for i, step in enumerate(_arguments.items(op, "steps", steps))
        ]
        self.values = [
            _arguments.real(op, f"values[{i}]", value, least=0)
            for i, value in enumerate(_arguments.items(op, "values", values))
        ]
        self.name = name
        if not self.steps or len(self.values) != len(self.steps):
            raise ValueError(
                f"[{op}] each point needs a step and a rate: expected len(values) == len(steps) >= 1, "
                f"got len(values)={len(self.values)}, len(steps)={len(self.steps)}. Add or remove a rate."
            )
        check_rising(op, "steps", self.steps)

    def __call__(self, step: int) -> float:
        step = checked_step(self, step)
        end = bisect.bisect_right(self.steps, step)
        if end in (0, len(self.steps)):
            return self.values[max(end - 1, 0)]
        share = (step - self.steps[end - 1]) / (self.steps[end] - self.steps[end - 1])
        return self.values[end - 1] * (1 - share) + self.values[end] * share

    def get_config(self) -> dict[str, Any]:
        return {"steps": self.steps, "values": self.values, "name": self.name}
