"""Batch normalisation takes in what follows it: relu, and the sum that closes a residual block. Exact rewrites.

``y = relu(batch_norm(x) + shortcut)`` is one kernel, which reads x once more than the statistics need it and writes
nothing in between. Backwards the relu's gradient is taken in by the normalisation's, unless a convolution's gate has it
already (:mod:`fastconv.plan.gates` comes first: a gate reads y once, the normalisation's two passes would read it
twice).

With given statistics the whole of it is the end of the convolution that makes x: ``scale`` is computed in each run, so
it follows the variables, and x is never written.
"""

from __future__ import annotations

from fastconv.graph import Node, Value
from fastconv.ops import activation, conv, elementwise
from fastconv.ops.norm import INFERENCE, SCALE, TRAINING, TRAINING_BACKWARD
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["fuse_normalization", "normalize_convolutions"]

RELU = activation.BY_NAME["relu"]


def fuse_normalization(graph: Rewriting) -> None:
    """Every batch normalisation with what follows it, forwards and backwards."""
    for node in list(graph.nodes):
        if node.op in (TRAINING, INFERENCE):
            _fuse_forward(graph, node)
    for node in list(graph.nodes):
        if node.op is activation.BACKWARD_FROM_OUTPUT and node.attrs["activation"] == RELU:
            _fuse_backward(graph, node)


def _fuse_forward(graph: Rewriting, node: Node) -> None:
    old, residual = [node], None
    total = _sum_with_other(graph, node.outputs[0])
    if total is not None:
        residual = next(v for v in total.inputs if v is not node.outputs[0])
        old.append(total)
    relu = graph.only_reader(old[-1].outputs[0])
    kind = node.attrs["activation"]
    if relu is not None and relu.op is activation.FORWARD and relu.attrs["activation"] == RELU:
        old.append(relu)
        kind = RELU
    if len(old) > 1:
        outputs = (*old[-1].outputs, *node.outputs[1:])
        inputs = [*node.inputs[:5], residual]
        graph.replace(old, [derived(node.op, inputs, {**node.attrs, "activation": kind}, outputs)])


def normalize_convolutions(graph: Rewriting) -> None:
    """Every normalisation with given statistics becomes a part of the convolution before it. After
    :func:`fuse_normalization`."""
    for node in list(graph.nodes):
        maker = graph.maker(node.inputs[0]) if node.op is INFERENCE else None
        if maker is None or maker.op is not conv.FORWARD or graph.only_reader(maker.outputs[0]) is not node:
            continue
        if maker.attrs.get("activation", activation.LINEAR) != activation.LINEAR:
            continue
        x, w, bias = maker.inputs
        _, gamma, beta, mean, var, residual = node.inputs
        scale = derived(SCALE, [gamma, var], {"epsilon": node.attrs["epsilon"]})
        inputs = [x, w, bias, mean, scale.outputs[0], beta, residual]
        attrs = {**maker.attrs, "activation": node.attrs["activation"]}
        graph.replace([maker, node], [scale, derived(conv.NORMALIZED, inputs, attrs, node.outputs)])


def _sum_with_other(graph: Rewriting, value: Value) -> Node | None:
    """The node that adds another value of the same shape to ``value``, if nobody else reads it."""
    reader = graph.only_reader(value)
    if reader is None or reader.op is not elementwise.FORWARD or reader.attrs["kind"] != "add":
        return None
    a, b = reader.inputs
    return reader if a is not None and b is not None and a.shape == b.shape else None


def _fuse_backward(graph: Rewriting, node: Node) -> None:
    dy, y = node.inputs
    (gradient,) = node.outputs
    normalizations = [reader for reader in graph.readers(gradient) if _takes_relu(reader, gradient)]
    if not normalizations:
        return
    taker = normalizations[0]
    others = len(graph.readers(gradient)) > 1 or graph.is_kept(gradient)
    _, x, _, gamma, mean, rstd = taker.inputs
    attrs = {**taker.attrs, "activation": RELU, "residual": others}
    outputs = (*taker.outputs, *([gradient] if others else []))
    graph.replace_first([node, taker], [derived(TRAINING_BACKWARD, [dy, x, y, gamma, mean, rstd], attrs, outputs)])


def _takes_relu(node: Node, gradient: Value) -> bool:
    plain = node.op is TRAINING_BACKWARD and node.attrs["activation"] == activation.LINEAR
    return plain and node.inputs[0] is gradient and not node.attrs["residual"]
