"""Rewrites of a graph that save memory traffic. Each returns the same values up to rounding, and is described where used."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from fastconv.graph import Node, Value
from fastconv.ops import activation, conv, distribution, loss
from fastconv.ops.cast import CAST
from fastconv.ops.dense import FORWARD as DENSE
from fastconv.ops.registry import apply, wide
from fastconv.plan.augmentation import join_augmentations
from fastconv.plan.gates import move_activation_gradients
from fastconv.plan.joins import join_gradients, join_losses
from fastconv.plan.normalization import fuse_normalization, normalize_convolutions
from fastconv.plan.pooling import keep_winners, pool_in_convolutions
from fastconv.plan.rewrite import Rewriting, derived
from fastconv.plan.statistics import gather_statistics

__all__ = ["fuse", "fuse_output_activation_into_loss", "widened"]

_TAKES_ACTIVATION = (conv.FORWARD, DENSE)

# loss kind -> whether a node is the activation that the loss knows how to take in
_LOSS_ACTIVATION = {
    "categorical_crossentropy": lambda node: node.op is distribution.SOFTMAX,
    "sparse_categorical_crossentropy": lambda node: node.op is distribution.SOFTMAX,
    "binary_crossentropy": lambda node: node.op is activation.FORWARD and node.attrs["activation"][0] == "sigmoid",
}


def widened(value: Value) -> Value:
    """A model's output of 16 bits in float32, its last activation computed there: probabilities keep their digits and sum
    to 1. Others as they are. Runs before differentiation."""
    if value.dtype == wide(value.dtype):
        return value
    node = value.node
    if node is not None and node.op in (distribution.SOFTMAX, distribution.LOG_SOFTMAX, activation.FORWARD):
        return apply(node.op, _widened(node.inputs[0]), **node.attrs)
    return _widened(value)


def _widened(value: Value | None) -> Value:
    assert value is not None
    return apply(CAST, value, to=wide(value.dtype))


def fuse_output_activation_into_loss(value: Value) -> Value:
    """Softmax (sigmoid) followed by a cross-entropy of probabilities becomes the cross-entropy of the logits.

    Its gradient is softmax - target: exact where the two-step form divides by tiny, clipped probabilities. A loss of class
    labels reads predictions of 16 bits as they are, and widens them in registers. Runs before differentiation.
    """
    node = value.node
    if node is None or node.op not in (loss.FORWARD, loss.SPARSE):
        return value
    target, prediction = node.inputs
    attrs = node.attrs
    maker = None if prediction is None else prediction.node
    matches = None if attrs["from_logits"] else _LOSS_ACTIVATION.get(attrs["kind"])
    if maker is not None and matches is not None and matches(maker):
        prediction, attrs = maker.inputs[0], {**attrs, "from_logits": True}
        maker = None if prediction is None else prediction.node
    if maker is not None and maker.op is CAST and node.op is loss.SPARSE:
        prediction = maker.inputs[0]
    return value if prediction is node.inputs[1] else apply(node.op, target, prediction, **attrs)


def fuse(nodes: Sequence[Node], kept: Iterable[Value], lacks: Container[str]) -> list[Node]:
    """Every rewrite of a whole graph, forward and backward. Runs after differentiation: backward rules read the
    activation's output wherever they can.

    Args:
        nodes: of the graph.
        kept: values that callers read after a run.
        lacks: kernels that the plan's device does not have.
    """
    graph = Rewriting(nodes, kept)
    join_augmentations(graph)
    _fuse_activations(graph)
    join_gradients(graph)
    join_losses(graph)
    move_activation_gradients(graph)
    fuse_normalization(graph)
    normalize_convolutions(graph)
    if "conv2d_forward_moments" not in lacks:
        gather_statistics(graph)
    keep_winners(graph)
    if "conv2d_pool_forward" not in lacks:
        pool_in_convolutions(graph)
    return graph.nodes


def _fuse_activations(graph: Rewriting) -> None:
    """Convolution or dense product followed by an activation becomes one kernel, where nobody else reads the product's
    plain result."""
    for node in list(graph.nodes):
        follower = graph.only_reader(node.outputs[0]) if node.op in _TAKES_ACTIVATION else None
        if follower is None or follower.op is not activation.FORWARD:
            continue
        if follower.attrs["activation"] != activation.LINEAR:
            attrs = {**node.attrs, "activation": follower.attrs["activation"]}
            graph.replace([node, follower], [derived(node.op, node.inputs, attrs, follower.outputs)])
