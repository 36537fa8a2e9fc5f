"""Ftrl: follow the regularized leader."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import not_negative, not_positive
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    """Follow the regularized leader, which sets weights that hardly matter to 0.

    ::

        new = accumulator + g * g        p = -learning_rate_power
        linear += g + 2 * l2_shrinkage_regularization_strength * w - (new**p - accumulator**p) / learning_rate * w
        accumulator = new
        quadratic = new**p / learning_rate + 2 * l2_regularization_strength + beta / learning_rate
        w = (clip(linear, -l1_regularization_strength, l1_regularization_strength) - linear) / quadratic

    Args:
        learning_rate: finite and > 0, or a schedule.
        learning_rate_power: <= 0; -0.5 is the square root.
        initial_accumulator_value: >= 0.
        l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength: >= 0.
        beta: of the paper, >= 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: McMahan et al. 2013, Ad click prediction: a view from the trenches.
    """

    kernel = "ftrl_update"
    default_name = "ftrl"
    own: ClassVar = {
        "learning_rate_power": not_positive,
        "initial_accumulator_value": not_negative,
        "l1_regularization_strength": not_negative,
        "l2_regularization_strength": not_negative,
        "l2_shrinkage_regularization_strength": not_negative,
        "beta": not_negative,
    }
    learning_rate_power: float
    initial_accumulator_value: float
    l1_regularization_strength: float
    l2_regularization_strength: float
    l2_shrinkage_regularization_strength: float
    beta: float

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        return {"accumulator": self.initial_accumulator_value, "linear": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength + self.beta / (2 * rate)
        shrinkage = self.l2_shrinkage_regularization_strength
        return [rate, -self.learning_rate_power, l1, l2, shrinkage, self.weight_decay or 0.0]
