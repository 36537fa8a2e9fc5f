"""Gradients that are computed behind the guard, each right before the update that takes it: they need no memory side by side.

That pays where a gradient is larger than what it is made of, as in dense layers with few samples, and the update finds it in
the cache. Lv et al. 2023, "Full Parameter Fine-tuning for Large Language Models with Limited Resources", update all the way
back; behind the guard alone, a step still happens whole or not at all, and an interrupt may end it before.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from fastconv.graph import Node, Update, Value, nodes_behind
from fastconv.plan.memory import nbytes
from fastconv.plan.runs import Part, owner
from fastconv.variables import Variable

__all__ = ["cones", "postponed", "worth_waiting"]

# Bytes of a gradient. Smaller ones stay in the cache, and share one update with their neighbours.
_LEAST = 1 << 18


def worth_waiting(gradients: Mapping[Variable, Value], results: Iterable[Value]) -> dict[Value, Variable]:
    """The gradients that take more memory than what would have to be kept to compute them later, and than all on the way.

    Args:
        gradients: by variable.
        results: other values that are needed.

    Returns:
        The variables of those gradients.
    """
    large = {value: variable for variable, value in gradients.items() if _size(value) >= _LEAST}
    found = cones(nodes_behind([*large, *results]), large, set(results))
    return {value: large[value] for value, nodes in found.items() if _is_light(nodes, _size(value))}


def _is_light(nodes: Sequence[Node], size: int) -> bool:
    """Whether they need fewer bytes than that, but for weights and what the caller fills, and nothing they make is larger."""
    made = {value for node in nodes for value in node.outputs}
    read = {owner(value) for node in nodes for value in node.inputs if value is not None and value not in made}
    return sum(_size(value) for value in read if value.node is not None) < size >= max(map(_size, made))


def cones(
    nodes: Sequence[Node], gradients: Mapping[Value, Variable], lasting: Container[Value]
) -> dict[Value, list[Node]]:
    """For each gradient the nodes that serve it alone, in order. Those that read a variable are none of them, as that may
    have been changed by then, but for the gradient's own. A gradient that others read too has none, and is left out; so is
    the second of a kernel that yields two.

    Args:
        nodes: of a graph, in order of execution.
        gradients: and the variable of each.
        lasting: values that are needed whenever those are computed.
    """
    makers = {made: node for node in nodes for made in node.outputs}
    readers: dict[Value | None, set[Node]] = {}
    for node in nodes:
        for read in node.inputs:
            readers.setdefault(read, set()).add(node)
    found: dict[Value, list[Node]] = {}
    taken: set[Node] = set()
    for value, variable in gradients.items():
        members: set[Node] = set()
        for node in reversed([node for node in nodes if node not in taken]):
            users = {reader for made in node.outputs for reader in readers.get(made, ())}
            serves = users <= members and (bool(users) or node is makers.get(value))
            if serves and _may_wait(node, variable) and not any(made in lasting for made in node.outputs):
                members.add(node)
        if members:
            found[value] = [node for node in nodes if node in members]
            taken |= members
    return found


def _may_wait(node: Node, own: Variable) -> bool:
    sources = [owner(value) for value in node.inputs if value is not None]
    return all(source is own or source.renewed for source in sources if isinstance(source, Variable))


def postponed(
    nodes: Sequence[Node],
    updates: Sequence[Update],
    late: Mapping[Value, Sequence[Node]],
    parts: Mapping[Value, Part],
) -> tuple[list[Node], list[Node | Update]]:
    """The nodes in front of a guard, and what is done behind it: the updates, the first that takes a result of a late value's
    nodes with those before it.

    Args:
        nodes: in order of execution.
        updates: likewise. They take every late value.
        late: values, and the nodes that serve them alone; see :func:`cones`.
        parts: values that lie in flat ones, which updates take.
    """
    behind: list[Node | Update] = []
    waiting = dict(late)
    for update in updates:
        for value, cone in list(waiting.items()):
            made = {parts[v].whole if v in parts else v for node in cone for v in node.outputs}
            if not made.isdisjoint(update.values):
                behind += waiting.pop(value)
        behind.append(update)
    assert not waiting
    gone = {node for cone in late.values() for node in cone}
    return [node for node in nodes if node not in gone], behind


def _size(value: Value) -> int:
    return nbytes(value.shape, value.dtype)
