"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
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
        name: and weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps: see :class:`Optimizer`.

    Source: Kingma and Ba 2014.

    Example:
        >>> Adam().hyper(1)[:4].tolist()
        [0.001, 0.9, 0.999, 1e-07]
    """

    kernel = "adam_update"
    default_name = "adam"

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
        name: str | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        **other: Any,
    ):
        op = type(self).__name__
        self.beta_1 = _arguments.real(op, "beta_1", beta_1, least=0, below=1)
        self.beta_2 = _arguments.real(op, "beta_2", beta_2, least=0, below=1)
        self.epsilon = _arguments.real(op, "epsilon", epsilon, above=0)
        self.amsgrad = _arguments.boolean(op, "amsgrad", amsgrad)
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
        return {"m": 0.0, "v": 0.0, **({"v_hat": 0.0} if self.amsgrad else {})}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.beta_1, self.beta_2, self.epsilon, self.weight_decay or 0.0, step]

    def get_config(self) -> dict[str, Any]:
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}


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
        name: str | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        **other: Any,
    ):
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            _arguments.real("AdamW", "weight_decay", weight_decay, least=0),
            clipnorm,
            clipvalue,
            name,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            **other,
        )
