"""Gradients of activations, moved to where they cost less: exact rewrites of the backward pass.

The gradient of y = relu(x) keeps dy where y > 0. That test commutes with what else happens to dy on its way:

- a reshape: cells keep their order;
- the gradient of max pooling, which writes dy where y was the maximum: relu'(y) there is relu'(pooled y), on a quarter
  of the cells for 2 x 2 windows;
- the gradient of dropout: dropout(y) > 0 exactly where y > 0 was kept, so one test does for both, and the mask need
  not be drawn again.

What makes dy is then usually a convolution's or dense layer's gradient, whose kernel takes the test as its gate and
applies it to what it is about to store.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastconv.graph import Node, Value
from fastconv.ops import activation, conv, pool, shaping
from fastconv.ops.activation import ActivationTuple
from fastconv.ops.dense import BACKWARD_INPUT as DENSE_BACKWARD_INPUT
from fastconv.ops.dropout import DROPOUT
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["move_activation_gradients"]

_TAKES_GATE = (conv.BACKWARD_INPUT, DENSE_BACKWARD_INPUT)
_GATES = ("relu", "relu6", "leaky_relu")  # as csrc/cpu/kernels/gate.h has them
_MASKS = ("relu", "relu6")  # keep or drop: they commute with sums too


@dataclass(frozen=True)
class _Gate:
    """The gradient of an activation, to be applied to ``dy``; ``values`` is the activation's output, of dy's shape."""

    dy: Value
    values: Value
    activation: ActivationTuple


def move_activation_gradients(graph: Rewriting) -> None:
    """Moves every gradient of a relu-like activation as far up as it commutes, into a kernel's gate if there is one."""
    for node in list(graph.nodes):
        if node.op is activation.BACKWARD_FROM_OUTPUT and node.attrs["activation"][0] in _GATES:
            _move(graph, node)


def _move(graph: Rewriting, node: Node) -> None:
    dy, values = node.inputs
    assert dy is not None and values is not None
    gate = _Gate(dy, values, node.attrs["activation"])
    reader = node
    passed: list[Node] = []  # what the gate has moved past, upwards
    best = gate, 0  # where it is worth leaving it, and how many nodes up that is
    while (maker := graph.maker(gate.dy)) is not None and graph.only_reader(gate.dy) is reader:
        if maker.op in _TAKES_GATE and maker.inputs[2] is None:
            _rebuild(graph, [maker, *passed, node], _gated(maker, gate))
            return
        moved = _past(graph, maker, gate)
        view = maker.op is shaping.RESHAPE and reader is node
        if moved is None or (view and graph.is_kept(node.outputs[0])):  # what is kept may need memory of its own
            break
        gate, reader = moved, maker
        passed.append(maker)
        if maker.op is pool.BACKWARD:
            best = gate, len(passed)
    gate, count = best
    if count:
        applied = derived(node.op, [gate.dy, gate.values], {"activation": gate.activation})
        _rebuild(graph, [*passed[:count], node], applied)


def _past(graph: Rewriting, maker: Node, gate: _Gate) -> _Gate | None:
    """The gate on the other side of the node that makes its dy; None where they do not commute."""
    dy = maker.inputs[0]
    assert dy is not None
    gate = replace(gate, dy=dy)
    if maker.op is shaping.RESHAPE:
        return replace(gate, values=_reshaped(graph, gate.values, dy.shape))
    if maker.op is pool.BACKWARD:
        return _past_pooling(graph, maker, gate)
    if maker.op is DROPOUT:
        return _past_dropout(graph, maker, gate)
    return None


def _reshaped(graph: Rewriting, value: Value, shape: tuple[int, ...]) -> Value:
    """``value`` in another shape: the forward's own reshape, or a new view."""
    for reader in graph.readers(value):
        if reader.op is shaping.RESHAPE and reader.outputs[0].shape == shape:
            return reader.outputs[0]
    view = derived(shaping.RESHAPE, [value], {"shape": shape})
    graph.insert_after(value, view)
    return view.outputs[0]


def _past_pooling(graph: Rewriting, maker: Node, gate: _Gate) -> _Gate | None:
    """A cell gets the sum over the windows it won, and each of these windows has its value."""
    attrs = maker.attrs
    if attrs["kind"] not in ("max", "min") or maker.inputs[1] is not gate.values:
        return None
    if gate.activation[0] not in _MASKS and _windows_overlap(attrs):  # slope * (a + b) is rounded otherwise
        return None
    for reader in graph.readers(gate.values):
        if reader.op is pool.FORWARD and reader.attrs == attrs:
            return replace(gate, values=reader.outputs[0])
    return None


def _windows_overlap(attrs: dict) -> bool:
    axes = zip(attrs["stride"], attrs["pool_size"], attrs["dilation"], strict=True)
    return any(stride <= (size - 1) * dilation for stride, size, dilation in axes)


def _past_dropout(graph: Rewriting, maker: Node, gate: _Gate) -> _Gate | None:
    if gate.activation[0] != "relu" or gate.activation[1] != 1:
        return None
    seed, rate = maker.inputs[1], maker.attrs["rate"]
    if not 0 <= rate < 1:
        return None
    for reader in graph.readers(gate.values):
        if reader.op is DROPOUT and reader.inputs[1] is seed and reader.attrs["rate"] == rate:
            scaled = ("relu", 1 / (1 - rate), 0.0)
            return replace(gate, values=reader.outputs[0], activation=scaled)
    return None


def _gated(maker: Node, gate: _Gate) -> Node:
    dy, w, _, *addend = maker.inputs
    return derived(maker.op, [dy, w, gate.values, *addend], {**maker.attrs, "activation": gate.activation})


def _rebuild(graph: Rewriting, old: list[Node], first: Node) -> None:
    """Puts ``first`` in the place of ``old``, followed by those of them that the gate has moved past."""
    chain = [first]
    for node in old[-2::-1]:
        if node.op is shaping.RESHAPE or node.op is pool.BACKWARD:
            chain.append(derived(node.op, [chain[-1].outputs[0], *node.inputs[1:]], node.attrs))
    chain[-1].outputs = old[-1].outputs
    graph.replace(old, chain)
