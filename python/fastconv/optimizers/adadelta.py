"""Adadelta: steps as large as the last steps were, in units of the gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import decay, positive
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Gradient over its root mean square, times that of the steps so far.

    ::

        accumulated_grad = rho * accumulated_grad + (1 - rho) * g * g
        delta = -sqrt(accumulated_delta_var + epsilon) * g / sqrt(accumulated_grad + epsilon)
        accumulated_delta_var = rho * accumulated_delta_var + (1 - rho) * delta * delta
        w += learning_rate * delta

    Args:
        learning_rate: finite and > 0, or a schedule; 1.0 is the rule of the paper.
        rho: decay of the mean squares, 0 <= rho < 1.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Zeiler 2012.
    """

    kernel = "adadelta_update"
    default_name = "adadelta"
    own: ClassVar = {"rho": decay, "epsilon": positive}
    rho: float
    epsilon: float

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
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
        return {"accumulated_grad": 0.0, "accumulated_delta_var": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.rho, self.epsilon, self.weight_decay or 0.0]
