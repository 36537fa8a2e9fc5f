"""AdamW without a schedule: the weights are an average that needs no end of training."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import count, decay, positive, proper_share
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """Adaptive steps of a sequence of its own; the weights lie between it and its mean.

    ::

        w -= w * weight_decay * learning_rate
        x = (w - (1 - beta_1) * momentum) / beta_1                                           the mean so far
        velocity += (g * g - velocity) * (1 - beta_2)
        momentum -= rate * g / (sqrt(velocity / (1 - beta_2**t)) + epsilon)                  begins as w; t = 1, 2, …
        x += (momentum - x) / t
        w = (1 - beta_1) * momentum + beta_1 * x             rate = learning_rate * min(t / warmup_steps, 1)

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: share of the mean in the weights, 0 < beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        epsilon: > 0.
        warmup_steps: updates until the rate is whole, >= 0.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Defazio et al. 2024, The road less scheduled.
    """

    kernel = "schedule_free_update"
    default_name = "schedule_free_adam_w"
    own: ClassVar = {"beta_1": proper_share, "beta_2": decay, "epsilon": positive, "warmup_steps": count}
    beta_1: float
    beta_2: float
    epsilon: float
    warmup_steps: int

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        return {"momentum": None, "velocity": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        warm = min(step / self.warmup_steps, 1.0) if self.warmup_steps else 1.0
        decay = rate * (self.weight_decay or 0.0)
        return [rate * warm, self.beta_1, self.beta_2, self.epsilon, decay, step]
