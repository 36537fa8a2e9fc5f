"""A second copy of the weights that follows them: what `use_ema` and Lookahead have in common."""

from __future__ import annotations

import numpy as np

from fastconv import _arguments

__all__ = ["HYPER_SIZE", "Averaging", "MovingAverage", "numbers"]

HYPER_SIZE = 8  # float64 values that a kernel reads per step; unused ones are 0


def numbers(*values: float) -> np.ndarray:
    """What a kernel reads in a step: float64 (8,), the rest 0."""
    return np.array([*values, *[0.0] * (HYPER_SIZE - len(values))], dtype=np.float64)


class Averaging:
    """Declares a rule ``average = momentum * average + (1 - momentum) * w``, after which ``w = average`` in some steps.

    A plan runs it after the optimizer's own update, one kernel call per run of weights. At the end of ``fit`` the weights
    become their averages.

    Attributes:
        slot: what the copy is called beside the optimizer's other state. It begins as the weight.
        moving_statistics: whether those of batch normalisation are averaged too.
    """

    slot = "average"
    moving_statistics = False

    def hyper(self, step: int) -> np.ndarray:
        """``{momentum, overwrites}`` of a step, counted from 1. (1, 0) leaves everything as it is."""
        raise NotImplementedError(f"[{type(self).__name__}] an averaging must define hyper(step).")


class MovingAverage(Averaging):
    """The exponential moving average of Keras's ``use_ema``: its first value is the weight after the first step.

    Args:
        op: of the optimizer, for messages.
        momentum, overwrite_frequency: as ``ema_momentum`` and ``ema_overwrite_frequency``.
        period: steps from one update to the next; as in Keras every step renews the average, and updates are counted.
    """

    def __init__(self, op: str, momentum: float, overwrite_frequency: int | None, period: int = 1):
        self.period = period
        self.momentum = _arguments.real(op, "ema_momentum", momentum, least=0, most=1)
        self.overwrite_frequency = (
            None
            if overwrite_frequency is None
            else _arguments.integer(op, "ema_overwrite_frequency", overwrite_frequency, least=1)
        )

    def hyper(self, step: int) -> np.ndarray:
        updates = (step - 1) // self.period
        overwrites = self.overwrite_frequency is not None and (updates + 1) % self.overwrite_frequency == 0
        return numbers(self.momentum if updates else 0.0, overwrites)
