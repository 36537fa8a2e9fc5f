"""What layers and optimizers emit and plans consume: values, the nodes that make them, the updates behind those."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from fastconv._locks import Serial

__all__ = [
    "Node",
    "Traced",
    "Update",
    "Value",
    "is_symbolic",
    "is_tracing",
    "nodes_behind",
    "record_loss",
    "record_update",
    "tracing",
]

_serial = Serial()


class Value:
    """A tensor that will exist when a plan runs.

    Attributes:
        shape: extents, all known (a plan is made for one batch size).
        dtype: NumPy's name of the element type.
        node: the :class:`Node` that computes it, or None for an input.
        name: for messages.
        autocast: whether an op that computes in 16 bits casts it by itself: weights, which are kept in float32, and what is
            made of them alone.
    """

    autocast = False

    def __init__(self, shape: Sequence[int], dtype: str, node: Node | None = None, name: str = "") -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.node = node
        self.name = name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        source = self.node.op.name if self.node else self.name or "input"
        return f"<Value {source} {self.dtype}{list(self.shape)}>"


class Node:
    """One op applied to values. ``serial`` grows in the order of creation, which is a valid order of execution."""

    def __init__(self, op: Any, inputs: Sequence[Value | None], attrs: dict[str, Any], lowered: Any) -> None:
        self.serial = next(_serial)
        self.op = op
        self.inputs = tuple(inputs)
        self.attrs = attrs
        self.lowered = lowered
        self.outputs = tuple(Value(shape, dtype, self) for shape, dtype in lowered.outputs)

    def __repr__(self) -> str:
        return f"<Node {self.op.name} #{self.serial}>"


class Update:
    """A kernel call on variables that ends a step, e.g. an optimizer's: behind the nodes of a graph, and behind its guard.

    ``tensors`` are values, arrays that a caller renews between runs, or None. A value that no node makes is memory for the
    updates alone, from the first that has it to the last. ``guard`` is one of them, a scalar: when it is not finite after
    the call, the updates that follow are not done.
    """

    def __init__(self, kernel: str, spec: Any, tensors: Sequence[Any], guard: Value | None = None) -> None:
        self.kernel = kernel
        self.spec = spec
        self.tensors = tuple(tensors)
        self.guard = guard

    @property
    def values(self) -> list[Value]:
        """Those of its tensors that a plan gives a place."""
        return [t for t in self.tensors if isinstance(t, Value)]


def nodes_behind(values: Iterable[Value | None]) -> list[Node]:
    """Every node that ``values`` depend on, in order of execution."""
    seen: set[Node] = set()
    waiting = [v.node for v in values if v is not None and v.node is not None]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [v.node for v in node.inputs if v is not None and v.node is not None]
    return sorted(seen, key=lambda node: node.serial)


class Traced(list[tuple[Any, Value]]):
    """What layers record while they are traced: ``(variable, new value)`` pairs.

    Attributes:
        losses: what they add to the loss, (1,) each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[Value] = []


_traced: ContextVar[Traced | None] = ContextVar("fastconv_traced", default=None)


@contextmanager
def tracing() -> Iterator[Traced]:
    """Inside the block variables are symbolic too, and what layers record with :func:`record_update` and :func:`record_loss`
    is collected in what it yields."""
    traced = Traced()
    token = _traced.set(traced)
    try:
        yield traced
    finally:
        _traced.reset(token)


def is_tracing() -> bool:
    """Whether a graph is being traced right now."""
    return _traced.get() is not None


def record_update(variable: Any, value: Value) -> None:
    """Tells the plan being traced that ``variable`` takes ``value`` at the end of a training step."""
    traced = _traced.get()
    if traced is not None:
        traced.append((variable, value))


def record_loss(value: Value) -> None:
    """Tells the plan being traced that ``value``, of shape (1,), is part of its loss."""
    traced = _traced.get()
    if traced is not None:
        traced.losses.append(value)


def is_symbolic(x: Any) -> bool:
    """Whether an op on ``x`` must be recorded: it has no memory of its own, or a graph is being traced."""
    return isinstance(x, Value) and (is_tracing() or not hasattr(x, "array"))
