"""What every optimizer is: hyper-parameters, state to keep per variable, and the kernel that applies them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastconv import _arguments, _cpu, schedules
from fastconv.optimizers.accumulation import Accumulation
from fastconv.optimizers.averaging import HYPER_SIZE, Averaging, MovingAverage, numbers
from fastconv.schedules import LearningRateSchedule

__all__ = ["HYPER_SIZE", "Optimizer"]

# Arguments of Keras's optimizers that fastconv does not have, with the values that switch them off.
_SWITCHED_OFF: dict[str, tuple[Any, ...]] = {
    "decay": (0, 0.0),
    "jit_compile": (True, False, "auto"),
    "loss_scale_factor": (None,),
}


class Optimizer:
    """Declares an update rule; a compiled plan runs it, one kernel call per variable and step.

    A step first clips the gradient, then decays the weight (``w -= w * weight_decay * learning_rate``, as
    in Loshchilov and Hutter 2017), then applies the rule of the kernel. State that decays (momentum, moments, averages) is
    set to 0 below 1e-31 (float64: 1e-292): it no longer moves a weight, and subnormal numbers are slow.

    Args:
        learning_rate: finite and > 0, or a :class:`~fastconv.schedules.LearningRateSchedule`.
        weight_decay: >= 0, or None for none.
        clipnorm: > 0: a gradient whose Euclidean norm is larger is scaled down to it, variable by variable.
        clipvalue: > 0: every gradient element is cut to [-clipvalue, clipvalue].
        global_clipnorm: > 0: where the Euclidean norm of all gradients together is larger, all are scaled down to it. One kind
            of clipping can be used.
        gradient_accumulation_steps: k >= 2: weights are updated in every k-th step, by the mean of the gradients since the last
            update; see :attr:`iterations`. None: in every step.
        name: of the optimizer.
        use_ema: whether an exponential moving average of the weights is kept, which they become at the end of ``fit``:
            ``average = ema_momentum * average + (1 - ema_momentum) * w`` after each step, and w after the first.
        ema_momentum: 0 to 1.
        ema_overwrite_frequency: >= 1: the weights become their average also after every so many steps; None for never.

    Raises:
        ValueError: if a number is outside its range.
        TypeError: if an argument has the wrong kind or is unknown.
    """

    kernel: ClassVar[str]
    default_name: ClassVar[str]
    # Whether a step must have ended before the numbers of the next one are known: its gradients decide about them.
    waits_for_verdict: ClassVar[bool] = False
    # What the loss is multiplied by before it is differentiated; None: a loss is taken as it is.
    dynamic_scale: float | None = None
    averaging: Averaging | None = None  # what else happens to the weights after each step
    accumulation: Accumulation | None = None  # what happens to the gradients before
    # Whether a rule looks at a variable as a whole, so that each needs a call of its own.
    whole_variables: ClassVar[bool] = False
    steps: int

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        name: str | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        global_clipnorm: float | None = None,
        gradient_accumulation_steps: int | None = None,
        **other: Any,
    ):
        op = self._op = type(self).__name__
        self.name = self.default_name if name is None else _arguments.text(op, "name", name)
        self.steps = 0
        self._learning_rate = self._checked_rate(self._alias(learning_rate, other))
        self.weight_decay = self._optional("weight_decay", weight_decay, least=0)
        self.clipnorm = self._optional("clipnorm", clipnorm, above=0)
        self.clipvalue = self._optional("clipvalue", clipvalue, above=0)
        self.global_clipnorm = self._optional("global_clipnorm", global_clipnorm, above=0)
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"[{op}] only one kind of clipping can be used: expected clipnorm or clipvalue or global_clipnorm, "
                f"got clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}. Leave the others out."
            )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.accumulation = None
        if gradient_accumulation_steps is not None:
            self.accumulation = Accumulation(op, gradient_accumulation_steps)
        self.use_ema = _arguments.boolean(op, "use_ema", use_ema)
        average = MovingAverage(op, ema_momentum, ema_overwrite_frequency, self.period)
        self.ema_momentum, self.ema_overwrite_frequency = average.momentum, average.overwrite_frequency
        self.averaging = average if use_ema else None
        self._refuse(other)

    @property
    def period(self) -> int:
        """Training steps from one update of the weights to the next."""
        return self.gradient_accumulation_steps or 1

    @property
    def iterations(self) -> int:
        """Updates done: ``steps`` of the training, divided by gradient_accumulation_steps where there are any.

        As in Keras, schedules count steps, and what a rule calls t and ema_overwrite_frequency count updates.
        """
        return self.steps // self.period

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.steps = value * self.period

    # What a plan reads.

    def part_for(self, path: str) -> Optimizer:
        """The optimizer with the rule for the weight at ``path``: this one, unless it is made of others."""
        return self

    def slots(self) -> dict[str, float | None]:
        """Names and initial values of the arrays kept per variable, in the kernel's order; None: they begin as the weight."""
        raise NotImplementedError(f"[{self._op}] an optimizer must define slots().")

    def slot_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a slot of a variable; another than the variable's takes ``whole_variables``."""
        return shape

    def spec(self, dtype: str, extents: tuple[int, ...], variable: tuple[int, ...]) -> Any:
        """The kernel's spec for a gradient of shape ``extents``; ``variable`` is the shape of a whole one."""
        return _cpu.VectorSpec.make(dtype, self.kernel, extents)

    def hyper(self, step: int) -> np.ndarray:
        """The kernel's numbers for one step.

        Args:
            step: counted from 1; a schedule is called with ``step - 1``.

        Returns:
            float64 (8,) in the kernel's layout, the rest 0; the last is 1 in a step that only gathers gradients.
        """
        update = (step - 1) // self.period + 1
        found = numbers(*self._hyper(self._rate_at(step - 1), update))
        found[-1] = step % self.period != 0
        return found

    def clip(self) -> tuple[float, float]:
        """``(clipvalue, clipnorm)``, infinite where there is none."""
        return self.clipvalue or math.inf, self.clipnorm or math.inf

    def state(self) -> dict[str, Any]:
        """What changes from step to step, beside the slots, as JSON types."""
        return {"iterations": self.steps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`state`'s result.

        Raises:
            ValueError, TypeError: for anything else.
        """
        if set(state) != {"iterations"}:
            raise ValueError(
                f"[load] the optimizer's state must be that of {self._op}: expected iterations, got {', '.join(state) or 'nothing'}. "
                "Load with compile=False."
            )
        self.steps = _arguments.integer("load", "iterations", state["iterations"], least=0)

    def _hyper(self, rate: float, step: int) -> list[float]:
        """At most 7 numbers; ``step`` counts updates from 1."""
        raise NotImplementedError(f"[{self._op}] an optimizer must define _hyper(rate, step).")

    # The learning rate.

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; set it to a number, or to a schedule."""
        return self._rate_at(self.steps)

    @learning_rate.setter
    def learning_rate(self, value: float | LearningRateSchedule) -> None:
        rate = self._checked_rate(value)
        if isinstance(self._learning_rate, LearningRateSchedule) and not isinstance(rate, LearningRateSchedule):
            raise TypeError(
                f"[{self._op}] a schedule owns the learning rate: expected another schedule, got "
                f"learning_rate={value!r}. Build the optimizer with a number to change it during training."
            )
        self._learning_rate = rate

    lr = learning_rate  # the spelling of Keras 2

    def _rate_at(self, index: int) -> float:
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return _arguments.real(self._op, f"learning_rate at step {index}", rate(index), least=0)
        return rate

    def _checked_rate(self, value: Any) -> float | LearningRateSchedule:
        if isinstance(value, LearningRateSchedule):
            return value
        if isinstance(value, Mapping):
            return schedules.deserialize(value)
        return _arguments.real(self._op, "learning_rate", value, above=0)

    def _alias(self, learning_rate: Any, other: dict[str, Any]) -> Any:
        """Keras 2 called the learning rate ``lr``."""
        if "lr" not in other:
            return learning_rate
        declared = inspect.signature(type(self)).parameters.get("learning_rate")
        if declared is None or learning_rate is not declared.default:
            raise TypeError(
                f"[{self._op}] lr is the old name of learning_rate: expected one of them, "
                f"got learning_rate={learning_rate!r}, lr={other['lr']!r}. Pass learning_rate only."
            )
        return other.pop("lr")

    # Other arguments.

    def _optional(self, name: str, value: Any, **bounds: float) -> float | None:
        return None if value is None else _arguments.real(self._op, name, value, **bounds)

    def _refuse(self, other: dict[str, Any]) -> None:
        """Keras's further arguments pass where they are switched off, so that its configs can be read."""
        for name, value in other.items():
            if name not in _SWITCHED_OFF:
                raise TypeError(
                    f"[{self._op}] unexpected keyword {name!r}: expected one of "
                    f"{', '.join(self.get_config())}, got {name}={value!r}. Check its spelling."
                )
            if value not in _SWITCHED_OFF[name]:
                raise ValueError(
                    f"[{self._op}] {name} is not supported: expected {name}={_SWITCHED_OFF[name][0]!r}, "
                    f"got {name}={value!r}. Leave it out."
                )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types; a schedule as its own config."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": schedules.serialize(rate) if isinstance(rate, LearningRateSchedule) else rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimizer with those arguments."""
        return cls(**config)
