"""Gradient descent, with or without momentum."""

from __future__ import annotations

from typing import Any, ClassVar

from fastconv.optimizers.arguments import boolean, share
from fastconv.optimizers.base import Optimizer
from fastconv.schedules import LearningRateSchedule

__all__ = ["SGD", "TorchSGD"]


class SGD(Optimizer):
    """Gradient descent.

    ::

        w -= learning_rate * g                                      momentum == 0
        velocity = momentum * velocity - learning_rate * g          momentum > 0
        w += velocity                                               nesterov == False
        w += momentum * velocity - learning_rate * g                nesterov == True

    Args:
        learning_rate: finite and > 0, or a schedule.
        momentum: 0 <= momentum <= 1.
        nesterov: whether to look ahead along the velocity (Nesterov 1983).
        weight_decay: and all that follow: see :class:`Optimizer`.

    PyTorch's rule, which differs where the learning rate changes or weights decay, is :class:`TorchSGD`.

    Source: Sutskever et al. 2013, On the importance of initialization and momentum.

    Example:
        >>> SGD(0.1, momentum=0.9).slots()
        {'velocity': 0.0}
    """

    kernel = "sgd_update"
    default_name = "SGD"
    own: ClassVar = {"momentum": share, "nesterov": boolean}
    momentum: float
    nesterov: bool

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        return {"velocity": 0.0} if self.momentum else {}

    def _hyper(self, rate: float, step: int) -> list[float]:
        return [rate, self.momentum, self.nesterov, self.weight_decay or 0.0]


class TorchSGD(SGD):
    """Gradient descent with momentum as PyTorch's ``torch.optim.SGD`` has it.

    ::

        d = g + weight_decay * w
        velocity = momentum * velocity + d
        w -= learning_rate * velocity                               nesterov == False
        w -= learning_rate * (d + momentum * velocity)              nesterov == True

    Two things differ from :class:`SGD`, Keras's rule. The velocity is a sum of gradients, not of steps: a new learning
    rate also applies to what earlier steps have gathered. And weight decay is part of the gradient: momentum carries it on.
    With a constant rate and no decay both make the same steps, as they do without momentum.

    Args: see :class:`SGD`.

    Source: Sutskever et al. 2013; the documentation of torch.optim.SGD.
    """

    kernel = "torch_sgd_update"
    default_name = "torch_sgd"

    def slots(self) -> dict[str, float | None]:
        return {"velocity": 0.0}
