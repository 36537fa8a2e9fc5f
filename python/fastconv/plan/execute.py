"""Turns a graph into a :class:`Plan`: one C++ program over one arena, run in a single call with the GIL released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from fastconv import _cpu
from fastconv.graph import Node, Update, Value, nodes_behind
from fastconv.plan import fuse as rewrites
from fastconv.plan import targets
from fastconv.plan.casts import join_casts
from fastconv.plan.late import cones, postponed
from fastconv.plan.place import layout, place
from fastconv.plan.runs import Part, Run
from fastconv.plan.sources import Sources
from fastconv.variables import Variable

__all__ = ["Plan", "arena_bytes"]


class Plan:
    """A compiled graph.

    Args:
        inputs: values the caller fills before a run (see :meth:`array`).
        outputs: values the caller reads after a run.
        guard: a scalar value; when it is not finite after the graph has run, the updates are not.
        updates: calls that change variables, after everything else, assignments included; those with a guard of their
            own come first.
        assignments: runs of variables that take their values after the guard: moving statistics. A guard
            of an update does not stop them.
        parts: values that are to lie in flat ones, see :mod:`fastconv.plan.runs`.
        late: gradients to be computed right before the updates that take them, with their variables; see
            :mod:`fastconv.plan.late`.
        fuse: whether to merge nodes (plans without are bit-identical to eager calls, node by node).
        streams: whether dense layers of a few samples may sum in an order of their own, at the speed of memory; the bits
            of a sample then depend on the batch that it is in.
        sources: which of the inputs are taken out of data sets on the plan's device, a GPU.
        shown: whether outputs come to the host; without, :meth:`keep` takes them.

    Attributes:
        nodes: in order of execution.
        placement: where every value lies on the plan's device.
        program: the compiled steps.
    """

    def __init__(
        self,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        guard: Value | None = None,
        updates: Sequence[Update] = (),
        assignments: Sequence[Run] = (),
        parts: Mapping[Value, Part] | None = None,
        late: Mapping[Value, Variable] = MappingProxyType({}),
        fuse: bool = True,
        streams: bool = False,
        sources: Sources | None = None,
        shown: bool = True,
    ) -> None:
        parts = {**(parts or {}), **{value: part for run in assignments for value, part in run.parts.items()}}
        taken = [value for run in assignments for value in (run.value, *run.parts)]
        lasting = [*outputs, *([guard] if guard else []), *taken]
        updates = sorted(updates, key=lambda update: update.guard is None)
        kept = [*lasting, *parts, *(value for update in updates for value in update.values if value.node is not None)]
        self._target = target = targets.current()
        nodes = nodes_behind(kept)
        if fuse:
            nodes = rewrites.fuse(nodes, kept, targets.missing_kernels())
            nodes, joined = join_casts(nodes, kept)
            parts.update(joined)
        nodes, behind = postponed(nodes, updates, cones(nodes, late, set(lasting)), parts)
        self.nodes = [*nodes, *(step for step in behind if isinstance(step, Node))]
        self._kernels = {"dense_forward": "dense_forward_streamed"} if streams else {}
        stored = sources.dtypes if sources is not None else {}
        filled = [*(v for v in inputs if v not in stored), *([sources.rows] if sources is not None else [])]
        fed = target.feed(filled, self._settings(updates, sources))
        workspaces = _workspaces(self.nodes, self._kernels)
        self.placement = place(layout([*nodes, *behind], inputs, lasting, parts, fed, workspaces), target, fed)
        self.arena_bytes = self.placement.arena_bytes
        self.program = target.program
        if sources is not None:
            self._gather(sources)
        for node in nodes:
            self._add_node(node)
        if guard is not None:
            self.program.add_guard(self.placement[guard])
        for run in assignments:
            self._assign(run)
        for step in behind:
            if isinstance(step, Node):
                self._add_node(step)
            else:
                self._update(step)
        target.show({value: self.placement[value] for value in (*(outputs if shown else ()), *filled)})

    def array(self, value: Value, slot: int = 0) -> np.ndarray:
        """The host's memory of an input or output; it stays the same from run to run of a slot."""
        return self._target.array(value, slot)

    def keep(self, value: Value, copy: Any) -> None:
        """Copies an output of the run that was queued last on the device, in that run's turn."""
        assert isinstance(self._target, targets.Gpu)
        self._target.copy(self.placement[value], copy)

    def run(self) -> bool:
        """Runs the program once; False when a guard stopped it before the updates."""
        self.queue(0)
        return self.finish(0)

    @property
    def slots(self) -> int:
        """How many runs can be under way at once: queued and not finished. Each has arrays of its own."""
        return self._target.slots

    @property
    def updates(self) -> int:
        """Runs whose updates happened, as far as :meth:`finish` and :meth:`settle` have seen."""
        return self._target.updates

    def queue(self, slot: int) -> None:
        """Begins a run with what the slot's inputs hold; where the device can, without waiting for anything."""
        self._target.queue(slot)

    def finish(self, slot: int) -> bool:
        """Waits for a slot's run. False when a guard stopped it; what was queued after it has done nothing then, and is
        over too."""
        return self._target.finish(slot)

    def settle(self) -> None:
        """Waits for all runs under way, whatever became of them."""
        self._target.settle()

    def _settings(self, updates: Sequence[Update], sources: Sources | None) -> list[np.ndarray]:
        """The host's arrays that every run looks at anew."""
        addresses = sources.addresses if sources is not None else []
        seeds = [v.array for node in self.nodes for v in node.inputs if isinstance(v, Variable) and v.renewed]
        given = [t for update in updates for t in update.tensors if isinstance(t, np.ndarray)]
        return list({id(array): array for array in (*addresses, *seeds, *given)}.values())

    def _gather(self, sources: Sources) -> None:
        assert isinstance(self._target, targets.Gpu)
        for (value, dtype), address in zip(sources.dtypes.items(), sources.addresses, strict=True):
            self._target.gather(address, dtype, self.placement[sources.rows], self.placement[value])

    def _update(self, update: Update) -> None:
        self.program.add(update.kernel, update.spec, [self._resolve(t) for t in update.tensors])
        if update.guard is not None:
            self.program.add_guard(self.placement[update.guard])

    def _resolve(self, tensor: Value | np.ndarray | None) -> Any:
        if tensor is None:
            return None
        return self.placement[tensor] if isinstance(tensor, Value) else self._target.setting(tensor)

    def _add_node(self, node: Node) -> None:
        registers = [self._resolve(v) for v in node.inputs]
        registers += [self.placement[v] for v in node.outputs] + self.placement.scratch(node)
        workspace = self.placement.workspace(node)
        room = () if workspace is None else (workspace,)
        for call in node.lowered.calls:
            tensors = [None if i is None else registers[i] for i in call.tensors]
            self.program.add(self._kernels.get(call.kernel, call.kernel), call.spec, tensors, *room)

    def _assign(self, run: Run) -> None:
        shape, start = run.value.shape, (0,) * run.value.ndim
        spec = _cpu.BoxSpec.make(run.value.dtype, "assign", shape, shape, start, start, shape)
        self.program.add("box_copy", spec, [self.placement[run.value], self.placement[run.of(run.buffer)]])


def arena_bytes(
    inputs: Sequence[Value], outputs: Sequence[Value], late: Mapping[Value, Variable] = MappingProxyType({})
) -> int:
    """The size of the arena that a plan would have. Nothing is allocated."""
    kept = [*outputs, *late]
    nodes = rewrites.fuse(nodes_behind(kept), kept, targets.missing_kernels())
    serving = [node for cone in cones(nodes, late, set(outputs)).values() for node in cone]
    steps = [*(node for node in nodes if node not in serving), *serving]
    return layout(steps, inputs, outputs, {}, workspaces=_workspaces(nodes, {})).size


def _workspaces(nodes: Sequence[Node], kernels: Mapping[str, str]) -> dict[Node, int]:
    """Bytes that the kernels of a node take from the arena while they run, where that is any."""
    sizes = {
        node: [targets.workspace_bytes(kernels.get(call.kernel, call.kernel), call.spec) for call in node.lowered.calls]
        for node in nodes
    }
    return {node: max(found) for node, found in sizes.items() if any(found)}
