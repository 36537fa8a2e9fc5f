"""Adagrad: steps that shrink with the sum of all squared gradients so far."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
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
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: Duchi et al. 2011.
    """

    kernel = "adagrad_update"
    default_name = "adagrad"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        name: str | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        **other: Any,
    ):
        self.initial_accumulator_value = _arguments.real(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value, least=0
        )
        self.epsilon = _arguments.real("Adagrad", "epsilon", epsilon, above=0)
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            name=name,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            **other,
        )

    def slots(self) -> dict[str, float | None]:
        return {"accumulator": self.initial_accumulator_value}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.epsilon, self.weight_decay or 0.0]

    def get_config(self) -> dict[str, Any]:
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
