"""What every optimizer is: a rule, and what all of them take: learning rate, clipping, averages."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fastconv import _arguments, schedules
from fastconv.optimizers.accumulation import Accumulation
from fastconv.optimizers.arguments import Check
from fastconv.optimizers.averaging import HYPER_SIZE, Averaging, MovingAverage, numbers
from fastconv.optimizers.rule import Rule
from fastconv.schedules import LearningRateSchedule

__all__ = ["HYPER_SIZE", "SCALES", "Optimizer"]

# What a loss may be multiplied by: a step does so in float32, in its normal range.
SCALES = {"least": 2.0**-126, "most": 2.0**127}

# Arguments of Keras's optimizers that fastconv does not have, with the values that switch them off.
_SWITCHED_OFF: dict[str, tuple[Any, ...]] = {
    "decay": (0, 0.0),
    "jit_compile": (True, False, "auto"),
}


class Optimizer(Rule):
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
        loss_scale_factor: > 0: the loss is multiplied by it before it is differentiated, the gradients of the weights are divided
            by it: small gradients of 16 bits survive. See :class:`~fastconv.optimizers.LossScaleOptimizer` for one that adapts.

    Raises:
        ValueError: if a number is outside its range.
        TypeError: if an argument has the wrong kind or is unknown.
    """

    default_name: ClassVar[str]
    # Whether a step must have ended before the numbers of the next one are known: its gradients decide about them.
    waits_for_verdict: ClassVar[bool] = False
    # Arguments that are the rule's own, and what each of them may be; attributes of the same names hold them.
    own: ClassVar[Mapping[str, Check]] = {}
    loss_scale_factor: float | None = None
    averaging: Averaging | None = None  # what else happens to the weights after each step
    accumulation: Accumulation | None = None  # what happens to the gradients before
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
        loss_scale_factor: float | None = None,
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
        self.loss_scale_factor = self._optional("loss_scale_factor", loss_scale_factor, **SCALES)
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.accumulation = None
        if gradient_accumulation_steps is not None:
            self.accumulation = Accumulation(op, gradient_accumulation_steps)
        self.use_ema = _arguments.boolean(op, "use_ema", use_ema)
        average = MovingAverage(op, ema_momentum, ema_overwrite_frequency, self.period)
        self.ema_momentum, self.ema_overwrite_frequency = average.momentum, average.overwrite_frequency
        self.averaging = average if use_ema else None
        self._refuse(other)

    def _take(self, given: dict[str, Any]) -> None:
        """What a constructor was given, its ``locals()``: the rule's own arguments become attributes, the rest is every optimizer's.

        So a rule writes its arguments out where users and editors look for them, and nowhere else.
        """
        rest = {name: value for name, value in given.items() if name not in ("self", "other", *self.own)}
        for name, check in self.own.items():
            setattr(self, name, check(type(self).__name__, name, given[name]))
        Optimizer.__init__(self, **rest, **given["other"])

    @property
    def loss_scale(self) -> float | None:
        """What the loss of the next step is multiplied by before it is differentiated; None: it is taken as it is."""
        return self.loss_scale_factor

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

    def rule_for(self, path: str, shape: tuple[int, ...]) -> Rule:
        """How the weight at ``path`` is changed: by this optimizer's one rule, unless it has several."""
        return self

    def hyper(self, step: int) -> np.ndarray:
        return self._numbers(step, self._hyper)

    def _numbers(self, step: int, rule: Callable[[float, int], Sequence[float]]) -> np.ndarray:
        """What ``rule(rate, update)`` gives for a step, and whether that only gathers gradients."""
        found = numbers(*rule(self._rate_at(step - 1), (step - 1) // self.period + 1))
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
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{name: getattr(self, name) for name in self.own},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """The optimizer with those arguments."""
        return cls(**config)
