"""Lamb: Adam whose steps are in proportion to the weights."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Lamb"]


class Lamb(Optimizer):
    """Adaptive moments, layer by layer: a variable's step has the length of the variable, times the learning rate.

    ::

        momentum += (g - momentum) * (1 - beta_1)
        velocity += (g * g - velocity) * (1 - beta_2)
        update = momentum / (1 - beta_1**t) / (sqrt(velocity / (1 - beta_2**t)) + epsilon)       t = 1, 2, …
        w -= learning_rate * norm(w) / norm(update) * update                                     1 for the ratio if a norm is 0

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        epsilon: > 0.
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: You et al. 2019, Large batch optimization for deep learning.
    """

    kernel = "lamb_update"
    default_name = "lamb"
    whole_variables = True

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
        self.beta_1 = _arguments.real("Lamb", "beta_1", beta_1, least=0, below=1)
        self.beta_2 = _arguments.real("Lamb", "beta_2", beta_2, least=0, below=1)
        self.epsilon = _arguments.real("Lamb", "epsilon", epsilon, above=0)
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
        return {"momentum": 0.0, "velocity": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.beta_1, self.beta_2, self.epsilon, self.weight_decay or 0.0, step]

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
