"""Turns a graph into a :class:`Plan`: one C++ program over one arena, run in a single call with the GIL released."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _cpu
from fastconv.graph import Node, Value, nodes_behind
from fastconv.ops import _arrays
from fastconv.ops.registry import Call
from fastconv.plan import fuse as rewrites
from fastconv.plan.memory import ALIGNMENT, Block, plan_offsets
from fastconv.variables import Variable

__all__ = ["Plan", "Update"]


class Update:
    """A kernel call on variables that ends a step, e.g. an optimizer's. ``tensors`` are values or arrays."""

    def __init__(self, kernel: str, spec: Any, tensors: Sequence[Value | np.ndarray | None]) -> None:
        self.kernel = kernel
        self.spec = spec
        self.tensors = tuple(tensors)


class Plan:
    """A compiled graph.

    Args:
        inputs: values the caller fills before a run (see :meth:`array`).
        outputs: values the caller reads after a run.
        guard: a scalar value; when it is not finite after the graph has run, the updates are not.
        updates: calls that change variables, after everything else.
        assignments: ``(variable, value)`` pairs: moving statistics, copied after the guard.
        fuse: whether to merge nodes (plans without are bit-identical to eager calls, node by node).
    """

    def __init__(
        self,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        guard: Value | None = None,
        updates: Sequence[Update] = (),
        assignments: Sequence[tuple[Variable, Value]] = (),
        fuse: bool = True,
    ) -> None:
        kept = [*outputs, *([guard] if guard else []), *(value for _, value in assignments)]
        kept += [t for update in updates for t in update.tensors if isinstance(t, Value)]
        self.nodes = nodes_behind(kept)
        if fuse:
            self.nodes = rewrites.fuse(self.nodes, kept)
        self._arrays = _place(self.nodes, inputs, kept)
        self.arena_bytes = self._arrays.arena_bytes
        self.program = _cpu.Program()
        for node in self.nodes:
            self._add_node(node)
        if guard is not None:
            self.program.add_guard(self.array(guard))
        for update in updates:
            self.program.add(update.kernel, update.spec, [self._resolve(t) for t in update.tensors])
        for variable, value in assignments:
            self._copy(value, variable)

    def array(self, value: Value) -> np.ndarray:
        """The memory of an input or output; it stays the same from run to run."""
        return self._arrays[value]

    def run(self) -> bool:
        """Runs the program once; False when the guard stopped it before the updates."""
        return self.program.run()

    def _resolve(self, tensor: Value | np.ndarray | None) -> np.ndarray | None:
        return self.array(tensor) if isinstance(tensor, Value) else tensor

    def _add_node(self, node: Node) -> None:
        registers = [None if v is None else self.array(v) for v in node.inputs]
        registers += [self.array(v) for v in node.outputs] + self._arrays.scratch(node)
        for call in node.lowered.calls:
            self._add_call(call, registers)

    def _add_call(self, call: Call, registers: list[np.ndarray | None]) -> None:
        self.program.add(call.kernel, call.spec, [None if i is None else registers[i] for i in call.tensors])

    def _copy(self, value: Value, variable: Variable) -> None:
        shape, start = value.shape, (0,) * value.ndim
        spec = _cpu.BoxSpec.make(value.dtype, "assign", shape, shape, start, start, shape)
        self.program.add("box_copy", spec, [self.array(value), variable.array])


class _Arrays:
    """The array of every value, most of them views of one arena."""

    def __init__(
        self, arrays: dict[Value, np.ndarray], scratch: dict[Node, list[np.ndarray]], arena_bytes: int
    ) -> None:
        self._arrays = arrays
        self._scratch = scratch
        self.arena_bytes = arena_bytes

    def __getitem__(self, value: Value) -> np.ndarray:
        return value.array if isinstance(value, Variable) else self._arrays[value]

    def scratch(self, node: Node) -> list[np.ndarray]:
        return self._scratch.get(node, [])


def _nbytes(shape: Sequence[int], dtype: str) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _place(nodes: Sequence[Node], inputs: Sequence[Value], kept: Sequence[Value]) -> _Arrays:
    """Gives every value of the graph its memory."""
    roots = _memory_roots(nodes)
    end = len(nodes)
    lifetime: dict[Value, list[int]] = {}

    def touch(value: Value, step: int) -> None:
        root = roots.get(value, value)
        if not isinstance(root, Variable):
            span = lifetime.setdefault(root, [step, step])
            span[0], span[1] = min(span[0], step), max(span[1], step)

    for value in inputs:
        touch(value, 0)
        touch(value, end)  # a caller may leave an input as it is between runs
    for step, node in enumerate(nodes):
        for operand in (*node.inputs, *node.outputs):
            if operand is not None:
                touch(operand, step)
    for value in kept:
        touch(value, end)

    values = list(lifetime)
    blocks = [Block(_nbytes(v.shape, v.dtype), *lifetime[v]) for v in values]
    scratch = [(node, i, shape, dtype) for node in nodes for i, (shape, dtype) in enumerate(node.lowered.scratch)]
    step_of = {node: step for step, node in enumerate(nodes)}
    blocks += [Block(_nbytes(shape, dtype), step_of[node], step_of[node]) for node, _, shape, dtype in scratch]
    offsets, size = plan_offsets(blocks)
    arena = _arrays.empty("compile", "the plan's arena", (size + ALIGNMENT,), np.uint8)
    base = -arena.ctypes.data % ALIGNMENT

    def view(offset: int, shape: Sequence[int], dtype: str) -> np.ndarray:
        start = base + offset
        return arena[start : start + _nbytes(shape, dtype)].view(dtype).reshape(shape)

    arrays = {v: view(offset, v.shape, v.dtype) for v, offset in zip(values, offsets, strict=False)}
    for value in roots:
        root = roots[value]
        arrays[value] = (root.array if isinstance(root, Variable) else arrays[root]).reshape(value.shape)
    node_scratch: dict[Node, list[np.ndarray]] = {}
    for (node, _, shape, dtype), offset in zip(scratch, offsets[len(values) :], strict=True):
        node_scratch.setdefault(node, []).append(view(offset, shape, dtype))
    return _Arrays(arrays, node_scratch, size)


def _memory_roots(nodes: Sequence[Node]) -> dict[Value, Value]:
    """For each value that is a view of another (reshape): the value that owns the memory."""
    roots: dict[Value, Value] = {}
    for node in nodes:
        if node.lowered.view_of is not None:
            source = node.inputs[node.lowered.view_of]
            assert source is not None
            roots[node.outputs[0]] = roots.get(source, source)
    return roots
