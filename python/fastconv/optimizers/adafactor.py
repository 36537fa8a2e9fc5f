"""Adafactor: mean squares by rows and columns, steps in proportion to the weights."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv import _cpu
from fastconv.optimizers.arguments import boolean, negative, positive
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Gradient over the root of a mean square that is kept by rows and by columns of the last two axes.

    ::

        s = g * g + epsilon_1        beta = 1 - t**beta_2_decay        t = 1, 2, …
        row = beta * row + (1 - beta) * mean(s, axis=-1)
        column = beta * column + (1 - beta) * mean(s, axis=-2)
        velocity = row / mean(row) * column                            of one axis: beta * velocity + (1 - beta) * s
        u = g / sqrt(velocity)
        u /= max(1, rms(u) / clip_threshold)
        w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t)) * u

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_2_decay: < 0: how fast the mean squares come to keep the past.
        epsilon_1: > 0, added to squares.
        epsilon_2: > 0, what a variable counts for at least.
        clip_threshold: > 0: the root mean square of a step's direction at most.
        relative_step: has no effect, as in Keras, where the rate is at most 1 / sqrt(t) either way.
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Shazeer and Stern 2018, Adafactor: adaptive learning rates with sublinear memory cost.
    """

    kernel = "adafactor_update"
    default_name = "adafactor"
    whole_variables = True
    own: ClassVar = {
        "beta_2_decay": negative,
        "epsilon_1": positive,
        "epsilon_2": positive,
        "clip_threshold": positive,
        "relative_step": boolean,
    }
    beta_2_decay: float
    epsilon_1: float
    epsilon_2: float
    clip_threshold: float
    relative_step: bool

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        return {"row": 0.0, "column": 0.0, "velocity": 0.0}

    def _hyper(self, rate: float, step: int) -> list[float]:
        most, beta = min(rate, step**-0.5), 1 - step**self.beta_2_decay
        return [most, beta, self.epsilon_1, self.epsilon_2, self.clip_threshold, rate * (self.weight_decay or 0.0)]

    def slot_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if name not in ("row", "column"):
            return shape
        if len(shape) < 2:
            return ()  # of no account
        return shape[:-1] if name == "row" else (*shape[:-2], shape[-1])

    def spec(self, dtype: str, extents: tuple[int, ...], variable: tuple[int, ...]) -> Any:
        return _cpu.FactoredSpec.make(dtype, extents, variable)
