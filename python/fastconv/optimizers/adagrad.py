"""Adagrad: steps that shrink with the sum of all squared gradients so far."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import not_negative, positive
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Gradient over the root of its accumulated squares.

    ::

        accumulator += g * g
        w -= learning_rate * g / sqrt(accumulator + epsilon)

    Args:
        learning_rate: finite and > 0, or a schedule.
        initial_accumulator_value: >= 0.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Duchi et al. 2011.
    """

    kernel = "adagrad_update"
    default_name = "adagrad"
    own: ClassVar = {"initial_accumulator_value": not_negative, "epsilon": positive}
    initial_accumulator_value: float
    epsilon: float

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **other: Any,
    ):
        self._take(locals())

    def slots(self) -> dict[str, float | None]:
        return {"accumulator": self.initial_accumulator_value}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.epsilon, self.weight_decay or 0.0]
