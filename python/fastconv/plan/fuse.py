"""Rewrites of a graph that save memory traffic. Each returns the same values up to rounding, and is described where used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastconv.graph import Node, Value
from fastconv.ops import activation, conv, loss, norm
from fastconv.ops.dense import FORWARD as DENSE
from fastconv.ops.registry import apply

__all__ = ["fuse_activations", "fuse_output_activation_into_loss"]

_TAKES_ACTIVATION = (conv.FORWARD, DENSE)

# loss kind -> whether a node is the activation that the loss knows how to take in
_LOSS_ACTIVATION = {
    "categorical_crossentropy": lambda node: node.op is norm.SOFTMAX,
    "sparse_categorical_crossentropy": lambda node: node.op is norm.SOFTMAX,
    "binary_crossentropy": lambda node: node.op is activation.FORWARD and node.attrs["activation"][0] == "sigmoid",
}


def fuse_output_activation_into_loss(value: Value) -> Value:
    """Softmax (sigmoid) followed by a cross-entropy of probabilities becomes the cross-entropy of the logits.

    Its gradient is softmax - target: exact where the two-step form divides by tiny, clipped probabilities. Runs before
    differentiation.
    """
    node = value.node
    if node is None or node.op not in (loss.FORWARD, loss.SPARSE) or node.attrs["from_logits"]:
        return value
    target, prediction = node.inputs
    matches = _LOSS_ACTIVATION.get(node.attrs["kind"])
    if prediction is None or prediction.node is None or matches is None or not matches(prediction.node):
        return value
    return apply(node.op, target, prediction.node.inputs[0], **{**node.attrs, "from_logits": True})


def fuse_activations(nodes: Sequence[Node], kept: Iterable[Value]) -> list[Node]:
    """Convolution or dense product followed by an activation becomes one kernel, where nobody else reads the
    product's plain result. Runs after differentiation: backward rules read the activation's output wherever they can."""
    readers: dict[Value, list[Node]] = {}
    for node in nodes:
        for value in node.inputs:
            if value is not None:
                readers.setdefault(value, []).append(node)
    kept = set(kept)
    fused: list[Node] = []
    taken: set[Node] = set()
    for node in nodes:
        if node in taken:
            continue
        follower = _only_reader(node, readers, kept)
        if follower is None:
            fused.append(node)
            continue
        attrs = {**node.attrs, "activation": follower.attrs["activation"]}
        merged = Node(node.op, node.inputs, attrs, _lowered(node, attrs))
        merged.outputs = follower.outputs  # the activation's value is now made here
        fused.append(merged)
        taken.add(follower)
    return fused


def _only_reader(node: Node, readers: dict[Value, list[Node]], kept: set[Value]) -> Node | None:
    """The activation node that alone reads ``node``'s result, if it can be taken in."""
    if node.op not in _TAKES_ACTIVATION or node.outputs[0] in kept:
        return None
    followers = readers.get(node.outputs[0], [])
    if len(followers) != 1 or followers[0].op is not activation.FORWARD:
        return None
    return followers[0] if followers[0].attrs["activation"] != activation.LINEAR else None


def _lowered(node: Node, attrs: dict) -> object:
    shapes = [None if v is None else v.shape for v in node.inputs]
    return node.op.lowered(node.outputs[0].dtype, shapes, attrs)
