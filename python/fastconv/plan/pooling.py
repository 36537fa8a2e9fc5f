"""Max and min pooling that remember which cell won, so that the gradient reads one byte per window instead of scanning
x; and convolutions that only write what the pooling behind them keeps."""

from __future__ import annotations

from fastconv.graph import Node
from fastconv.ops import conv, pool
from fastconv.plan.rewrite import Rewriting, derived

__all__ = ["keep_winners", "pool_in_convolutions"]


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


def pool_in_convolutions(graph: Rewriting) -> None:
    """Every convolution whose results only a max pooling of 2 x 2 cells side by side reads. Exact.

    Runs after :func:`keep_winners`, when gradients of pooling and of activations read the pooling's results. For devices
    that pool in a convolution's epilogue: a quarter of the results goes to memory. On a CPU the results of a few images
    at a time would stay in the caches, too; tried, it was no faster, since so many small convolutions cost more than one.
    """
    for node in list(graph.nodes):
        if node.op in (pool.FORWARD, pool.INDEXED) and _takes_squares(node):
            _pool_in_convolution(graph, node)


def _takes_squares(node: Node) -> bool:
    """Whether windows are 2 x 2 cells side by side, all inside the image."""
    x, attrs = node.inputs[0], node.attrs
    assert x is not None
    windows = attrs["kind"], attrs["pool_size"], attrs["stride"], attrs["dilation"]
    inside = attrs["padding"] in ("valid", "same", "same_lower", ((0, 0), (0, 0)))
    # Of an odd extent "same" and ceil_mode have one window more, of an even one neither changes anything.
    return (
        windows == ("max", (2, 2), (2, 2), (1, 1))
        and inside
        and node.outputs[0].shape[1:3] == (x.shape[1] // 2, x.shape[2] // 2)
    )


def _pool_in_convolution(graph: Rewriting, node: Node) -> None:
    x = node.inputs[0]
    assert x is not None
    maker = graph.maker(x)
    if maker is None or graph.only_reader(x) is not node or maker.op not in (conv.FORWARD, conv.NORMALIZED):
        return
    *inputs, residual = maker.inputs if maker.op is conv.NORMALIZED else (*maker.inputs, None, None, None, None)
    if residual is not None:
        return
    pooled = derived(conv.POOLED, inputs, {**maker.attrs, "indexed": node.op is pool.INDEXED})
    pooled.outputs = node.outputs
    graph.replace([maker, node], [pooled])
