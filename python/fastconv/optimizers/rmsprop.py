"""RMSprop: steps scaled by the running size of the gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import boolean, decay, positive, share
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
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Hinton 2012, lecture 6; Graves 2013 for the centered rule.
    """

    kernel = "rmsprop_update"
    default_name = "rmsprop"
    own: ClassVar = {"rho": decay, "momentum": share, "epsilon": positive, "centered": boolean}
    rho: float
    momentum: float
    epsilon: float
    centered: bool

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
        names = ["velocity"]
        if self.momentum:
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return dict.fromkeys(names, 0.0)

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.rho, self.momentum, self.epsilon, self.centered, self.weight_decay or 0.0]
