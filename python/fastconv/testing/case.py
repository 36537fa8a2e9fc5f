"""What a named problem is: an op, the shapes of its arrays, its keywords, and why it is on the list."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

Shape = tuple[int, ...]

_SMALL_BATCH = 2
_SMALL_EXTENT = 9  # rows or columns that still hold an interior, both borders and a tail


@dataclass(frozen=True)
class Case:
    """One problem, as plain data.

    ``shapes`` is in the order of the op's positional arrays; "arrays" of concatenate is a tuple of shapes.
    ``tags`` are among "typical", "tail" (around lane and tile sizes), "hazard", "network" (of a real model),
    "bench" and "random".
    """

    op: str
    name: str
    shapes: dict[str, Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.op}-{self.name}"

    def small(self) -> Case:
        """The same problem with fewer images and pixels, for correctness; channels and window are kept."""
        x = self.shapes.get("x")
        if "network" not in self.tags or x is None:
            return self
        if len(x) != 4:
            return replace(self, shapes={**self.shapes, "x": (min(x[0], _SMALL_BATCH), *x[1:])})
        reach = [self._reach(i) for i in range(2)]
        extents = (min(x[1 + i], max(_SMALL_EXTENT, reach[i] + 2)) for i in range(2))
        return replace(self, shapes={**self.shapes, "x": (min(x[0], _SMALL_BATCH), *extents, x[3])})

    def _reach(self, axis: int) -> int:
        window, dilation = self.kwargs.get("pool_size", 1), self.kwargs.get("dilation", 1)
        n = self.shapes["w"][axis] if "w" in self.shapes else window if isinstance(window, int) else window[axis]
        return (n - 1) * (dilation if isinstance(dilation, int) else dilation[axis]) + 1
