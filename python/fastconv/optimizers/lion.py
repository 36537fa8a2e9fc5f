"""Lion: steps of one size, in the direction of the sign."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import decay, positive_share
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Lion"]


class Lion(Optimizer):
    """The sign of a mean of gradient and momentum.

    ::

        w -= learning_rate * sign(beta_1 * momentum + (1 - beta_1) * g)
        momentum = beta_2 * momentum + (1 - beta_2) * g

    Its learning rate is 3 to 10 times smaller than Adam's, its weight decay as much larger.

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: share of the momentum in a step, 0 < beta_1 <= 1.
        beta_2: decay of the momentum, 0 <= beta_2 < 1.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Chen et al. 2023, Symbolic discovery of optimization algorithms.
    """

    kernel = "lion_update"
    default_name = "lion"
    own: ClassVar = {"beta_1": positive_share, "beta_2": decay}
    beta_1: float
    beta_2: float

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        return {"momentum": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.beta_1, self.beta_2, self.weight_decay or 0.0]
