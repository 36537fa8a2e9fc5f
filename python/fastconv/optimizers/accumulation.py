"""Gradients of several steps become one: larger batches than fit into memory."""

from __future__ import annotations

import numpy as np

from fastconv import _arguments
from fastconv.optimizers.averaging import numbers

__all__ = ["Accumulation"]


class Accumulation:
    """Declares that gradients are summed up; in every ``steps``-th step their mean takes the gradient's place.

    A plan runs it before the gradients are clipped, one kernel call per run of weights.

    Attributes:
        slot: what the sum is called beside the optimizer's other state.
    """

    slot = "gradient_accumulator"

    def __init__(self, op: str, steps: int):
        self.steps = _arguments.integer(op, "gradient_accumulation_steps", steps, least=2)

    def hyper(self, step: int) -> np.ndarray:
        """``{steps, gathers}`` of a step, counted from 1."""
        return numbers(self.steps, step % self.steps != 0)
