"""Max and min pooling that remember which cell won: the gradient then reads one byte per window instead of scanning x."""

from __future__ import annotations

from fastconv.graph import Node
from fastconv.ops import pool
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["keep_winners"]


def keep_winners(graph: Rewriting) -> None:
    """Every pooling whose gradient scans x again keeps the winners' numbers for it; x need not live so long. Exact.

    Runs after the rewrites that look at the gradient's x.
    """
    for node in list(graph.nodes):
        if node.op is pool.BACKWARD and pool.can_be_indexed(node.attrs):
            _keep_winners(graph, node)


def _keep_winners(graph: Rewriting, backward: Node) -> None:
    dy, x = backward.inputs
    assert x is not None
    forward = _forward_of(graph, backward)
    if forward is None:
        return
    if forward.op is pool.FORWARD:
        indexed = derived(pool.INDEXED, [x], forward.attrs)
        indexed.outputs = (forward.outputs[0], indexed.outputs[1])
        graph.replace([forward], [indexed])
        forward = indexed
    attrs = {**backward.attrs, "x_shape": x.shape}
    from_index = derived(pool.BACKWARD_FROM_INDEX, [dy, forward.outputs[1]], attrs, backward.outputs)
    graph.replace([backward], [from_index])


def _forward_of(graph: Rewriting, backward: Node) -> Node | None:
    x = backward.inputs[1]
    assert x is not None
    for reader in graph.readers(x):
        if reader.op in (pool.FORWARD, pool.INDEXED) and reader.attrs == backward.attrs:
            return reader
    return None
