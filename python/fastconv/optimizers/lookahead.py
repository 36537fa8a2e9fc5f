"""Lookahead: slow weights that follow an optimizer's fast ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import _arguments, schedules
from fastconv.optimizers.averaging import Averaging, numbers
from fastconv.optimizers.base import Optimizer
from fastconv.optimizers.wrapper import Wrapper, optimizer_from, serialized
from fastconv.schedules import LearningRateSchedule

__all__ = ["Lookahead"]


class Lookahead(Wrapper):
    """Every few steps of another optimizer, the slow weights go a part of the way to where it has come, and it goes on
    from there.

    ::

        slow += slow_step_size * (w - slow)     after every sync_period-th step
        w = slow

    Slow weights begin as the weights. At the end of ``fit`` the weights are the slow ones, so the steps after the last
    multiple of sync_period are lost; a single ``fit`` loses the fewest.

    Args:
        optimizer: what makes the steps: any but another Lookahead, or one with ``use_ema``.
        sync_period: updates from one meeting to the next, >= 1.
        slow_step_size: the share of the way, 0 to 1; or a schedule, called with the number of steps done.
        moving_statistics: whether the moving means and variances of batch normalisation go along with the weights.
        name: of the optimizer.

    Source: Zhang et al. 2019, Lookahead optimizer: k steps forward, 1 step back. Names and defaults: TensorFlow Addons.

    Example:
        >>> from fastconv import optimizers
        >>> Lookahead(optimizers.SGD(0.1), sync_period=5).averaging.hyper(10)[:2].tolist()
        [0.5, 1.0]
    """

    default_name = "Lookahead"

    def __init__(
        self,
        optimizer: Optimizer | str | Mapping[str, Any],
        sync_period: int = 6,
        slow_step_size: float | LearningRateSchedule = 0.5,
        moving_statistics: bool = False,
        name: str | None = None,
    ):
        super().__init__(name)
        self.optimizer = self._without_averages(optimizer_from(optimizer))
        self.sync_period = _arguments.integer(self._op, "sync_period", sync_period, least=1)
        if isinstance(slow_step_size, Mapping):
            slow_step_size = schedules.deserialize(slow_step_size)
        if not isinstance(slow_step_size, LearningRateSchedule):
            slow_step_size = _arguments.real(self._op, "slow_step_size", slow_step_size, least=0, most=1)
        self.slow_step_size = slow_step_size
        self.moving_statistics = _arguments.boolean(self._op, "moving_statistics", moving_statistics)
        self.averaging = _SlowWeights(self)
        _ = self.period  # refuses optimizers that do not update together

    @property
    def optimizers(self) -> list[Optimizer]:
        return [self.optimizer]

    @property
    def learning_rate(self) -> float:
        """That of the wrapped optimizer."""
        return self.optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        self.optimizer.learning_rate = value

    def _without_averages(self, optimizer: Optimizer) -> Optimizer:
        inside = optimizer.optimizers if isinstance(optimizer, Wrapper) else []
        if any(one.averaging is not None for one in (optimizer, *inside)):
            raise ValueError(
                f"[{self._op}] the optimizer must leave averages of the weights to Lookahead: expected one without use_ema, "
                f"that is no Lookahead, got {type(optimizer).__name__}. Use one kind of averaging."
            )
        return optimizer

    def part_for(self, path: str) -> Optimizer:
        return self.optimizer.part_for(path)

    def get_config(self) -> dict[str, Any]:
        size = self.slow_step_size
        return {
            "optimizer": serialized(self.optimizer),
            "sync_period": self.sync_period,
            "slow_step_size": schedules.serialize(size) if isinstance(size, LearningRateSchedule) else size,
            "moving_statistics": self.moving_statistics,
            "name": self.name,
        }


class _SlowWeights(Averaging):
    slot = "slow"

    def __init__(self, owner: Lookahead):
        self._owner = owner
        self.moving_statistics = owner.moving_statistics

    def hyper(self, step: int) -> np.ndarray:
        updates, rest = divmod(step, self._owner.period)
        if rest or updates % self._owner.sync_period:
            return numbers(1.0, False)
        size = self._owner.slow_step_size
        if isinstance(size, LearningRateSchedule):
            size = _arguments.real("Lookahead", f"slow_step_size after step {step}", size(updates), least=0, most=1)
        return numbers(1.0 - size, True)
