"""What every schedule is: a function of the number of the optimizer step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from fastconv import _arguments

__all__ = ["LearningRateSchedule", "check_rising", "checked_step"]


class LearningRateSchedule:
    """Base class: a subclass defines ``__call__(step) -> float`` and, to be saved, ``get_config``.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 * 0.5**step
        >>> Halving()(2)
        0.025
    """

    def __call__(self, step: int) -> float:
        """The learning rate of step ``step``, counted from 0."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a schedule must define __call__(self, step), the learning rate."
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types."""
        raise NotImplementedError(
            f"[{type(self).__name__}] a schedule that is saved must define get_config(self): "
            f"it returns the constructor's arguments."
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """The schedule with those arguments."""
        return cls(**config)


def checked_step(schedule: LearningRateSchedule, step: Any) -> Any:
    """The number of a step as it came, if it is a number >= 0; TypeError or ValueError otherwise."""
    _arguments.real(type(schedule).__name__, "step", step, least=0)
    return step


def check_rising(op: str, name: str, values: Sequence[float]) -> None:
    """ValueError unless each value is greater than the one before."""
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError(
            f"[{op}] {name} must rise: expected each greater than the one before, got {name}={values}. Sort them."
        )
