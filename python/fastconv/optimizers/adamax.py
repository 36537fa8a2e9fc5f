"""Adamax: Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adaptive moments by the infinity norm.

    ::

        momentum += (g - momentum) * (1 - beta_1)
        norm = max(beta_2 * norm, |g|)
        w -= learning_rate * momentum / ((1 - beta_1**t) * (norm + epsilon))       t = 1, 2, …

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the norm, 0 <= beta_2 < 1.
        epsilon: > 0.
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: Kingma and Ba 2014, section 7.1.
    """

    kernel = "adamax_update"
    default_name = "adamax"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
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
        self.beta_1 = _arguments.real("Adamax", "beta_1", beta_1, least=0, below=1)
        self.beta_2 = _arguments.real("Adamax", "beta_2", beta_2, least=0, below=1)
        self.epsilon = _arguments.real("Adamax", "epsilon", epsilon, above=0)
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
        return {"momentum": 0.0, "norm": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.beta_1, self.beta_2, self.epsilon, self.weight_decay or 0.0, step]

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
