"""Two kernels that read the same become one. Exact.

Gradients that meet where two nodes read one value: a convolution's gradient, or that of a regularizer, adds the other one to
what it stores; the sum of two numbers does not depend on their order. The gate of an activation may then follow
(:mod:`fastconv.plan.gates` comes after). And a loss of class labels with its gradient, both made of the same exponentials.
"""

from __future__ import annotations

from fastconv.graph import Node
from fastconv.ops import conv, elementwise, loss
from fastconv.ops.penalty import BACKWARD as PENALTY_BACKWARD
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["join_gradients", "join_losses"]

_ADDING = (conv.BACKWARD_INPUT, PENALTY_BACKWARD)


def join_gradients(graph: Rewriting) -> None:
    """Every sum of a convolution's input gradient, or a penalty's, and another value of its shape becomes one kernel."""
    for node in list(graph.nodes):
        if node.op is elementwise.FORWARD and node.attrs["kind"] == "add":
            _join(graph, node)


def _join(graph: Rewriting, node: Node) -> None:
    a, b = node.inputs
    assert a is not None and b is not None
    for gradient, other in ((b, a), (a, b)):  # the later one first: it is the nearer
        maker = graph.maker(gradient)
        if maker is None or maker.op not in _ADDING or a.shape != b.shape or a.dtype != b.dtype:
            continue
        *inputs, addend = maker.inputs
        gated = maker.op is conv.BACKWARD_INPUT and inputs[2] is not None
        if not gated and addend is None and graph.only_reader(gradient) is node:
            graph.replace([maker, node], [derived(maker.op, [*inputs, other], maker.attrs, node.outputs)])
            return


def join_losses(graph: Rewriting) -> None:
    """Every loss of class labels whose gradient is scaled by something that is known before becomes one kernel."""
    for node in list(graph.nodes):
        if node.op is loss.SPARSE_BACKWARD:
            _join_loss(graph, node)


def _join_loss(graph: Rewriting, backward: Node) -> None:
    dloss, labels, prediction = backward.inputs
    assert prediction is not None
    for forward in graph.readers(prediction):
        if forward.op is loss.SPARSE and forward.inputs == (labels, prediction) and forward.attrs == backward.attrs:
            scale = graph.maker(dloss)
            if scale is None or graph.nodes.index(scale) < graph.nodes.index(forward):
                outputs = (*forward.outputs, *backward.outputs)
                joined = derived(loss.SPARSE_WITH_GRADIENT, backward.inputs, forward.attrs, outputs)
                graph.replace_first([forward, backward], [joined])
            return
