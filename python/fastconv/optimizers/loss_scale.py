"""Loss scaling, for gradients that are too small for float16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import SCALES, Optimizer
from fastconv.optimizers.wrapper import Wrapper, optimizer_from, serialized
from fastconv.schedules import LearningRateSchedule

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Wrapper):
    """Wraps another optimizer: the loss is multiplied before it is differentiated, the gradients of the weights are divided.

    ::

        gradients of loss * dynamic_scale, then / dynamic_scale
        all finite: the inner optimizer's step; after dynamic_growth_steps of them in a row, dynamic_scale *= 2
        otherwise:  no step, its iterations stay; dynamic_scale /= 2

    In float16 what is below 6e-8 becomes 0, and many gradients on their way through a network are; times 32768 they are
    not. A step with a gradient beyond float16's 65504 is skipped. Moving statistics of batch normalisation are renewed by
    skipped steps, too, as in Keras. A loss that is not finite raises NonFiniteLossError, as without a scale.

    ``compile()`` wraps the optimizer of a model with mixed_float16 layers by itself (``auto_scale_loss=True``).

    Args:
        inner_optimizer: any other optimizer, its name or config.
        initial_scale: of the first step, > 0. Powers of two change no bit of a gradient that fits.
        dynamic_growth_steps: steps until the scale is doubled.
        name: of the optimizer.

    Attributes:
        dynamic_scale: of the next step.
        step_counter: steps since the scale last changed.

    Source: Keras 3, keras/src/optimizers/loss_scale_optimizer.py; Micikevicius et al., Mixed Precision Training, 2018.

    Example:
        >>> from fastconv import optimizers
        >>> optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.001))
        >>> optimizer.dynamic_scale, optimizer.learning_rate
        (32768.0, 0.001)
    """

    default_name = "loss_scale_optimizer"
    dynamic_scale: float
    waits_for_verdict = True

    def __init__(
        self,
        inner_optimizer: Optimizer | str | Mapping[str, Any],
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
    ):
        super().__init__(name)
        self.inner_optimizer = optimizer_from(inner_optimizer)
        self.averaging = self.inner_optimizer.averaging
        self.initial_scale = _arguments.real(self._op, "initial_scale", initial_scale, **SCALES)
        self.dynamic_growth_steps = _arguments.integer(self._op, "dynamic_growth_steps", dynamic_growth_steps, least=1)
        self.dynamic_scale, self.step_counter = self.initial_scale, 0

    @property
    def loss_scale(self) -> float:
        return self.dynamic_scale

    @property
    def optimizers(self) -> list[Optimizer]:
        return [self.inner_optimizer]

    def part_for(self, path: str) -> Optimizer:
        return self.inner_optimizer.part_for(path)

    @property
    def learning_rate(self) -> float:
        """The inner optimizer's rate of the next step."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        self.inner_optimizer.learning_rate = value

    lr = learning_rate

    def update_scale(self, finite: bool) -> None:
        """Decides about the scale of the next step.

        Args:
            finite: whether all gradients of the last one were, and it was taken.
        """
        if not finite:
            self.dynamic_scale, self.step_counter = max(self.dynamic_scale / 2, SCALES["least"]), 0
        elif self.step_counter == self.dynamic_growth_steps - 1:
            self.dynamic_scale, self.step_counter = min(self.dynamic_scale * 2, SCALES["most"]), 0
        else:
            self.step_counter += 1

    # Saving.

    def state(self) -> dict[str, Any]:
        return {**super().state(), "dynamic_scale": self.dynamic_scale, "step_counter": self.step_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        scale = _arguments.real("load", "dynamic_scale", rest.pop("dynamic_scale", None), **SCALES)
        counter = _arguments.integer("load", "step_counter", rest.pop("step_counter", None), least=0)
        super().set_state(rest)
        self.dynamic_scale, self.step_counter = scale, counter

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": serialized(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }
