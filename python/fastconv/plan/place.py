"""Memory for the values of a plan: views of one arena, of variables, of each other."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fastconv.graph import Node, Update, Value
from fastconv.ops import activation, norm
from fastconv.ops.dropout import DROPOUT
from fastconv.plan.memory import Block, nbytes, plan_offsets, storage
from fastconv.plan.runs import Part
from fastconv.plan.targets import Gpu, Host
from fastconv.variables import Variable

__all__ = ["Layout", "Placement", "layout", "place"]

# The first result may lie where the first argument did, if nobody reads that again: such kernels write each element
# after they have read what it is made of. Lines that were just read are written without fetching others.
_IN_PLACE = (norm.TRAINING_BACKWARD, norm.BACKWARD_FROM_SUMS, activation.BACKWARD_FROM_OUTPUT, DROPOUT)


class Placement:
    """The array of every value, most of them views of one arena."""

    def __init__(
        self,
        target: Host | Gpu,
        arrays: dict[Value, Any],
        scratch: dict[Node, list[Any]],
        workspaces: dict[Node, Any],
        arena_bytes: int,
    ) -> None:
        self._target = target
        self._arrays = arrays
        self._scratch = scratch
        self._workspaces = workspaces
        self.arena_bytes = arena_bytes

    def __getitem__(self, value: Value) -> Any:
        return self._target.variable(value) if isinstance(value, Variable) else self._arrays[value]

    def scratch(self, node: Node) -> list[Any]:
        return self._scratch.get(node, [])

    def workspace(self, node: Node) -> Any:
        """Bytes for the workspaces of the node's kernels; None if the plan has none for them."""
        return self._workspaces.get(node)


@dataclass(frozen=True)
class Layout:
    """Where in an arena of ``size`` bytes everything will lie; no memory yet."""

    values: dict[Value, int]
    owners: dict[Value, Part]
    scratch: list[tuple[Node, tuple[int, ...], str, int]]
    workspaces: dict[Node, tuple[int, int]]  # offset, bytes
    size: int


def layout(
    steps: Sequence[Node | Update],
    inputs: Sequence[Value],
    kept: Sequence[Value],
    parts: Mapping[Value, Part],
    elsewhere: Container[Value] = (),
    workspaces: Mapping[Node, int] = MappingProxyType({}),
) -> Layout:
    """Plans the memory of every value of a graph.

    Args:
        steps: in order of execution.
        inputs: values that the caller fills.
        kept: values that are read after the last step.
        parts: values whose memory is part of another's.
        elsewhere: values whose memory is not the arena's.
        workspaces: bytes that the kernels of a node want for themselves while they run. Many are found in what no value
            needs then: in a step forward, for example, where the gradients will be.
    """
    nodes = {step: node for step, node in enumerate(steps) if isinstance(node, Node)}
    taken = [value for step in steps if isinstance(step, Update) for value in step.values]
    owners = _owners(list(nodes.values()), {*inputs, *kept, *taken}, parts)
    end = len(steps)
    lifetime: dict[Value, list[int]] = {}

    def touch(value: Value, step: int) -> None:
        root = owners[value].whole if value in owners else value
        if not isinstance(root, Variable) and root not in elsewhere:
            span = lifetime.setdefault(root, [step, step])
            span[0], span[1] = min(span[0], step), max(span[1], step)

    for value in inputs:
        touch(value, 0)
        touch(value, end)  # a caller may leave an input as it is between runs
    for step, what in enumerate(steps):
        for operand in (*what.inputs, *what.outputs) if isinstance(what, Node) else what.values:
            if operand is not None:
                touch(operand, step)
    for value in kept:
        touch(value, end)

    values = list(lifetime)
    blocks = [Block(nbytes(v.shape, v.dtype), *lifetime[v]) for v in values]
    scratch = [(step, node, *extent) for step, node in nodes.items() for extent in node.lowered.scratch]
    blocks += [Block(nbytes(shape, dtype), step, step) for step, _, shape, dtype in scratch]
    blocks += [Block(workspaces[node], step, step) for step, node in nodes.items() if node in workspaces]
    offsets, size = plan_offsets(blocks)
    found = iter(offsets)
    return Layout(
        values=dict(zip(values, found, strict=False)),
        owners=owners,
        scratch=[(*extent[1:], next(found)) for extent in scratch],
        workspaces={node: (next(found), workspaces[node]) for node in nodes.values() if node in workspaces},
        size=size,
    )


def place(plan: Layout, target: Host | Gpu, elsewhere: Mapping[Value, Any]) -> Placement:
    """Allocates the arena; ``elsewhere`` are the arrays of values that are not in it."""
    arena = target.arena(plan.size)

    def view(offset: int, shape: Sequence[int], dtype: str) -> Any:
        return arena[offset : offset + nbytes(shape, dtype)].view(storage(dtype)).reshape(shape)

    arrays = {**elsewhere, **{v: view(offset, v.shape, v.dtype) for v, offset in plan.values.items()}}
    for value, part in plan.owners.items():
        whole = target.variable(part.whole) if isinstance(part.whole, Variable) else arrays[part.whole]
        arrays[value] = whole.reshape(-1)[part.offset : part.offset + value.size].reshape(value.shape)
    scratch: dict[Node, list[Any]] = {}
    for node, shape, dtype, offset in plan.scratch:
        scratch.setdefault(node, []).append(view(offset, shape, dtype))
    workspaces = {node: arena[offset : offset + size] for node, (offset, size) in plan.workspaces.items()}
    return Placement(target, arrays, scratch, workspaces, plan.size)


def _owners(nodes: Sequence[Node], lasting: set[Value], parts: Mapping[Value, Part]) -> dict[Value, Part]:
    """For each value without memory of its own, a part, a view (reshape) or what is written over a kernel's first
    argument: the value that owns it, and the place."""
    owners = dict(parts)
    last_reader = {value: node for node in nodes for value in node.inputs if value is not None}
    viewed = {node.inputs[node.lowered.view_of] for node in nodes if node.lowered.view_of is not None}
    made = {value for node in nodes for value in node.outputs}
    for node in nodes:
        if node.lowered.view_of is not None:
            source = node.inputs[node.lowered.view_of]
            assert source is not None and node.outputs[0] not in parts
            owners[node.outputs[0]] = owners.get(source, Part(source, 0))
        elif node.op in _IN_PLACE:
            source, result = node.inputs[0], node.outputs[0]
            assert source is not None
            free = source in made and source not in lasting and source not in viewed and source not in owners
            if free and last_reader[source] is node and node.inputs.count(source) == 1 and result not in parts:
                owners[result] = Part(source, 0)
    return owners
