"""What Adam and its kin have in common: running means of the gradient and of its square, and their numbers."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import decay, positive
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Moments"]


class Moments(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        epsilon: > 0.
        weight_decay: and all that follow: see :class:`Optimizer`.
    """

    own: ClassVar = {"beta_1": decay, "beta_2": decay, "epsilon": positive}
    beta_1: float
    beta_2: float
    epsilon: float

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
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **other: Any,
    ):
        self._take(locals())

    def slots(self) -> dict[str, float | None]:
        return {"momentum": 0.0, "velocity": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.beta_1, self.beta_2, self.epsilon, self.weight_decay or 0.0, step]
