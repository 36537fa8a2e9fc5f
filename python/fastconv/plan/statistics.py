"""Sums for batch normalisation, gathered by the convolution that makes what is summed: one pass over memory less.

Forwards the moments of ``x = conv2d(...)``. Backwards the two sums over the normalisation's ``dy``, which is what the
next convolution's gradient stores, gate and all (:mod:`fastconv.plan.gates` and :mod:`fastconv.plan.normalization` come
first). The sums are taken in another order: equal up to rounding. Small arrays are left alone: they are still in cache
when the normalisation reads them.
"""

from __future__ import annotations

from fastconv.graph import Node
from fastconv.ops import conv
from fastconv.ops.activation import LINEAR
from fastconv.ops.norm import BACKWARD_FROM_SUMS, FROM_MOMENTS, TRAINING, TRAINING_BACKWARD
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["gather_statistics"]

_LEAST_ELEMENTS = 1 << 18


def gather_statistics(graph: Rewriting) -> None:
    """Every batch normalisation next to a convolution."""
    for node in list(graph.nodes):
        if node.op is TRAINING:
            _gather_moments(graph, node)
        elif node.op is TRAINING_BACKWARD:
            _gather_sums(graph, node)


def _gather_moments(graph: Rewriting, node: Node) -> None:
    x = node.inputs[0]
    assert x is not None
    maker = graph.maker(x)
    if (
        maker is None
        or x.size < _LEAST_ELEMENTS
        or maker.op is not conv.FORWARD
        or maker.attrs.get("activation", LINEAR) != LINEAR
    ):
        return
    summing = derived(conv.FORWARD_MOMENTS, maker.inputs, maker.attrs)
    moments = summing.outputs[1]
    summing.outputs = (maker.outputs[0], moments)
    graph.replace([maker], [summing])
    graph.replace([node], [derived(FROM_MOMENTS, [*node.inputs, moments], node.attrs, node.outputs)])


def _gather_sums(graph: Rewriting, node: Node) -> None:
    dy, x, _, gamma, mean, rstd = node.inputs
    assert dy is not None
    maker = graph.maker(dy)
    if maker is None or dy.size < _LEAST_ELEMENTS or maker.op is not conv.BACKWARD_INPUT:
        return
    if node.attrs["activation"] != LINEAR or node.attrs["residual"]:
        return
    summing = derived(conv.BACKWARD_INPUT_SUMS, [*maker.inputs, x, mean], maker.attrs)
    sums = summing.outputs[1]
    summing.outputs = (maker.outputs[0], sums)
    graph.replace([maker], [summing])
    attrs = {"epsilon": node.attrs["epsilon"]}
    graph.replace([node], [derived(BACKWARD_FROM_SUMS, [dy, x, gamma, mean, rstd, sums], attrs, node.outputs)])
