"""What happens to a variable in a step: arrays kept for it, numbers of the step, and the kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from fastconv import _cpu
from fastconv.graph import Update, Value

__all__ = ["Rule"]


class Rule:
    """How a variable is changed. Most are one call of ``kernel``, which takes all variables that lie side by side at once."""

    kernel: ClassVar[str]
    # What the kernel calls slots that have another name in files.
    in_kernel: ClassVar[Mapping[str, str]] = MappingProxyType({})
    # Whether it looks at a variable as a whole, so that each needs calls of its own.
    whole_variables: ClassVar[bool] = False

    def slots(self) -> dict[str, float | None]:
        """Names, in files and (see ``in_kernel``) in the kernel, and initial values of the arrays kept per variable; None: they begin as the weight."""
        raise NotImplementedError(f"[{type(self).__name__}] a rule must define slots().")

    def slot_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a slot of a variable; another than the variable's takes ``whole_variables``."""
        return shape

    def hyper(self, step: int) -> np.ndarray:
        """The kernel's numbers for one step.

        Args:
            step: counted from 1; a schedule is called with ``step - 1``.

        Returns:
            float64 (8,) in the kernel's layout, the rest 0; the last is 1 in a step that only gathers gradients.
        """
        raise NotImplementedError(f"[{type(self).__name__}] a rule must define hyper(step).")

    def spec(self, dtype: str, extents: tuple[int, ...], variable: tuple[int, ...]) -> Any:
        """The kernel's spec for a gradient of shape ``extents``; ``variable`` is the shape of a whole one."""
        return _cpu.VectorSpec.make(dtype, self.kernel, extents)

    def updates(
        self,
        gradient: Value,
        weight: Value,
        slots: Sequence[Value | None],
        shape: tuple[int, ...],
        numbers: Callable[[Any], np.ndarray],
    ) -> list[Update]:
        """The calls of a step.

        Args:
            gradient, weight, slots: of neighbouring variables, or of a whole one; None for a slot that the kernel can do without.
            shape: of a whole one.
            numbers: where the ``hyper(step)`` of its argument is found in every step.
        """
        names = (self.in_kernel.get(name, name) for name in self.slots())
        return [self._call(gradient, weight, dict(zip(names, slots, strict=True)), shape, numbers)]

    def _call(
        self,
        gradient: Value,
        weight: Value,
        slots: Mapping[str, Value | None],
        shape: tuple[int, ...],
        numbers: Callable[[Any], np.ndarray],
    ) -> Update:
        """The kernel's call, with each slot in the place of its name."""
        _, *places = (place.rstrip("!?") for place in _cpu.signatures()[self.kernel].split("->")[1].split())
        spec = self.spec(gradient.dtype, gradient.shape, shape)
        return Update(self.kernel, spec, [gradient, numbers(self), weight, *map(slots.get, places)])
