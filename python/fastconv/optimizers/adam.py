"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv import _arguments
from fastconv.optimizers.arguments import boolean
from fastconv.optimizers.moments import Moments
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adam", "AdamW"]


class Adam(Moments):
    """Adaptive moments.

    ::

        m += (g - m) * (1 - beta_1)
        v += (g * g - v) * (1 - beta_2)
        v_hat = max(v_hat, v)                                                                       v, if not amsgrad
        w -= m * learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) / (sqrt(v_hat) + epsilon)   t = 1, 2, …

    Args:
        learning_rate: finite and > 0, or a schedule.
        beta_1: decay of the mean, 0 <= beta_1 < 1.
        beta_2: decay of the mean square, 0 <= beta_2 < 1.
        amsgrad: whether steps never grow because the mean square shrinks (Reddi et al. 2018).
        epsilon: > 0; the "epsilon hat" of the paper, not that of its Algorithm 1 (nor PyTorch's).
        weight_decay: and all that follow: see :class:`Optimizer`.

    Source: Kingma and Ba 2014.

    Example:
        >>> Adam().hyper(1)[:4].tolist()
        [0.001, 0.9, 0.999, 1e-07]
    """

    kernel = "adam_update"
    default_name = "adam"
    own: ClassVar = {**Moments.own, "amsgrad": boolean}
    amsgrad: bool

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        return {"m": 0.0, "v": 0.0, **({"v_hat": 0.0} if self.amsgrad else {})}


class AdamW(Adam):
    """:class:`Adam` with weight decay: ``w -= w * weight_decay * learning_rate`` before each step.

    Source: Loshchilov and Hutter 2017, Decoupled weight decay regularization.
    """

    default_name = "adamw"

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        _arguments.real("AdamW", "weight_decay", weight_decay, least=0)  # None is for Adam
        self._take(locals())
