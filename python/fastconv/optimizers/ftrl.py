"""Ftrl: follow the regularized leader."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
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
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: McMahan et al. 2013, Ad click prediction: a view from the trenches.
    """

    kernel = "ftrl_update"
    default_name = "ftrl"

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
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **other: Any,
    ):
        self.learning_rate_power = _arguments.real("Ftrl", "learning_rate_power", learning_rate_power, most=0)
        given = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
        }
        self._strengths = {key: _arguments.real("Ftrl", key, value, least=0) for key, value in given.items()}
        vars(self).update(self._strengths)
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            name=name,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            global_clipnorm=global_clipnorm,
            gradient_accumulation_steps=gradient_accumulation_steps,
            **other,
        )

    def slots(self) -> dict[str, float | None]:
        return {"accumulator": self._strengths["initial_accumulator_value"], "linear": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        s = self._strengths
        l1, l2 = s["l1_regularization_strength"], s["l2_regularization_strength"] + s["beta"] / (2 * rate)
        shrinkage = s["l2_shrinkage_regularization_strength"]
        return [rate, -self.learning_rate_power, l1, l2, shrinkage, self.weight_decay or 0.0]

    def get_config(self) -> dict[str, Any]:
        own = {"learning_rate_power": self.learning_rate_power, **self._strengths}
        return {**super().get_config(), **own}
