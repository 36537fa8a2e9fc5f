"""Optimizers made of other optimizers, which have the rules and the hyper-parameters."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.optimizers.base import Optimizer

__all__ = ["Wrapper", "optimizer_from", "serialized"]


class Wrapper(Optimizer):
    """Counts the steps of the optimizers inside; a subclass says which of them changes a weight."""

    def __init__(self, name: str | None):
        self._op = type(self).__name__
        self.name = self.default_name if name is None else _arguments.text(self._op, "name", name)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers inside."""
        raise NotImplementedError(f"[{self._op}] a wrapper must define optimizers.")

    @property
    def steps(self) -> int:  # type: ignore[override]  # an attribute of other optimizers
        """Steps done; all the optimizers inside count alike."""
        return self.optimizers[0].steps

    @steps.setter
    def steps(self, value: int) -> None:
        for optimizer in self.optimizers:
            optimizer.steps = value

    @property
    def period(self) -> int:
        """Steps from one update to the next.

        Raises:
            ValueError: unless it is the same for all the optimizers inside.
        """
        periods = {optimizer.period for optimizer in self.optimizers}
        if len(periods) > 1:
            raise ValueError(
                f"[{self._op}] the optimizers inside must update together: expected one gradient_accumulation_steps, got "
                f"{sorted(periods)}. Give them the same."
            )
        return periods.pop()


def optimizer_from(value: Any) -> Optimizer:
    """What ``optimizers.get`` makes of a name, a config or an optimizer, to be part of another.

    Raises:
        ValueError: if it has a loss scale.
    """
    from fastconv import optimizers  # not at the top: that module imports this one

    optimizer = optimizers.get(value)
    if optimizer.loss_scale is not None:
        raise ValueError(
            f"[{type(optimizer).__name__}] a loss scale must be outermost, since the loss has one: expected an optimizer without, "
            f"got {optimizer.name!r} inside another. Wrap the whole: LossScaleOptimizer(...), or leave loss_scale_factor out."
        )
    return optimizer


def serialized(optimizer: Optimizer) -> dict[str, Any]:
    """What ``optimizers.serialize`` makes of an optimizer."""
    from fastconv import optimizers

    return optimizers.serialize(optimizer)
