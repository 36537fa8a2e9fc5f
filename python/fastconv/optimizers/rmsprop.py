"""RMSprop: steps scaled by the running size of the gradient."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Gradient over its root mean square.

    ::

        velocity = rho * velocity + (1 - rho) * g * g
        average_gradient = rho * average_gradient + (1 - rho) * g         centered only
        variance = velocity - average_gradient**2                         velocity, if not centered
        step = learning_rate * g / sqrt(variance + epsilon)
        momentum_slot = momentum * momentum_slot + step                   step, if momentum == 0
        w -= momentum_slot

    Args:
        learning_rate: finite and > 0, or a schedule.
        rho: decay of the mean square, 0 <= rho < 1.
        momentum: 0 <= momentum <= 1.
        epsilon: > 0.
        centered: whether to divide by the standard deviation instead of the root mean square.
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: Hinton 2012, lecture 6; Graves 2013 for the centered rule.
    """

    kernel = "rmsprop_update"
    default_name = "rmsprop"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        name: str | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        **other: Any,
    ):
        self.rho = _arguments.real("RMSprop", "rho", rho, least=0, below=1)
        self.momentum = _arguments.real("RMSprop", "momentum", momentum, least=0, most=1)
        self.epsilon = _arguments.real("RMSprop", "epsilon", epsilon, above=0)
        self.centered = _arguments.boolean("RMSprop", "centered", centered)
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
        names = ["velocity"]
        if self.momentum:
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return dict.fromkeys(names, 0.0)

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.rho, self.momentum, self.epsilon, self.centered, self.weight_decay or 0.0]

    def get_config(self) -> dict[str, Any]:
        own = {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
        return {**super().get_config(), **own}
