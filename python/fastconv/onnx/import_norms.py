"""ONNX's normalisation as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from fastconv import layers
from fastconv.onnx.import_images import image_result
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode

__all__ = ["HANDLERS", "in_our_order"]


def _batch_norm(importer: Importer, node: OnnxNode) -> Tensor:
    names = ("scale", "shift", "mean", "variance")
    weights = [importer.constant(node, i + 1, name) for i, name in enumerate(names)]
    if node.attrs.get("training_mode", 0):
        raise Refused("the node must be in inference mode: got training_mode=1; the layer has both")
    tensor = importer.tensor(node)
    x = tensor.symbol if tensor.rank == 2 else importer.image(tensor)
    if any(w.shape != (x.shape[-1],) for w in weights):
        raise Refused(f"statistics must be one per channel: got {[list(w.shape) for w in weights]} for {x.shape[-1]}")
    make = partial(
        layers.BatchNormalization,
        momentum=node.attrs.get("momentum", 0.9),
        epsilon=node.attrs.get("epsilon", 1e-5),
    )
    weights = [in_our_order(tensor, w) for w in weights]
    return (
        tensor.like(importer.add(node, make, x, weights, tensor.cells))
        if tensor.rank == 2
        else image_result(importer.add(node, make, x, weights))
    )


def in_our_order(tensor: Tensor, vector: np.ndarray) -> np.ndarray:
    """One number per column of a flattened image, from the file's order of the cells to ours."""
    if tensor.cells is None:
        return vector
    return np.moveaxis(vector.reshape(*tensor.cells, *vector.shape[1:]), 0, len(tensor.cells) - 1).reshape(vector.shape)


def _norm(importer: Importer, node: OnnxNode, axis: int, epsilon: float, places: tuple[int, int]) -> Tensor:
    """Layer normalisation over one axis of the file, which must be the last one here."""
    tensor = importer.tensor(node)
    if tensor.cells is not None or tensor.order[axis % tensor.rank] != tensor.rank - 1:
        raise Refused(f"normalisation must be over the channels: got axis {axis} of {tensor.rank}")
    scale, shift = (importer.optional(node, place, "affine part") for place in places)
    depth = tensor.symbol.shape[-1]
    weights = [w.reshape(-1) for w in (scale, shift) if w is not None]
    if any(w.size != depth for w in weights):
        raise Refused(f"scale and shift must be one per channel: got {[w.size for w in weights]} for {depth}")
    make = partial(layers.LayerNormalization, epsilon=epsilon, scale=scale is not None, center=shift is not None)
    return tensor.like(importer.add(node, make, tensor.symbol, weights))


def _layer_norm(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    axis, epsilon = node.attrs.get("axis", -1) % tensor.rank, node.attrs.get("epsilon", 1e-5)
    if axis == tensor.rank - 1:
        return _norm(importer, node, axis, epsilon, (1, 2))
    if axis != 1 or tensor.cells is not None or tensor.order[0] != 0:
        raise Refused(f"normalisation must be over the last axis, or over all: got axis={axis} of {tensor.rank}")
    return _norm_of_samples(importer, node, tensor, epsilon)


def _norm_of_samples(importer: Importer, node: OnnxNode, tensor: Tensor, epsilon: float) -> Tensor:
    """Layer normalisation of whole samples, with a scale and a shift per cell: of vectors."""
    given = [importer.optional(node, place, "affine part") for place in (1, 2)]
    shape = tuple(extent or 1 for extent in tensor.symbol.shape[1:])
    if any(w is not None and w.shape != tensor.shape[1:] for w in given):
        raise Refused(f"scale and shift must be one per cell: expected {tensor.shape[1:]}")
    ours = [axis - 1 for axis in np.argsort(tensor.order)[1:]]
    weights = [w.transpose(ours).reshape(-1) for w in given if w is not None]
    scale, shift = (w is not None for w in given)
    make = partial(layers.LayerNormalization, epsilon=epsilon, scale=scale, center=shift)
    y = importer.add(node, make, importer.reshaped(tensor.symbol, (math.prod(shape),)), weights, tensor.order)
    return tensor.like(importer.reshaped(y, shape))


def _channel_norm(importer: Importer, node: OnnxNode) -> Tensor:
    """A layer normalisation that the file spells out."""
    return _norm(importer, node, node.attrs["axes"][0], importer.constant(node, 1, "epsilon").item(), (2, 3))


def _rms_norm(importer: Importer, node: OnnxNode) -> Tensor:
    """A normalisation by the root mean square, which the file spells out; without a scale, by vectors of ones."""
    tensor, axes = importer.tensor(node), importer.integers(node, "axes", 3) or []
    if tensor.rank > 2 and axes in ([-1], [tensor.rank - 1]) and tensor.order[-1] != tensor.rank - 1:
        tensor = Tensor(importer.plain(tensor), tuple(range(tensor.rank)))
    if len(axes) != 1 or tensor.order[axes[0] % tensor.rank] != tensor.rank - 1:
        raise Refused(f"normalisation must be over the channels: got axes {axes} of {tensor.rank}")
    if not node.attrs.get("keepdims", 1):
        raise Refused("the mean must keep its axis: got keepdims=0")
    depth, scale = tensor.symbol.shape[-1] or 0, importer.optional(node, 2, "scale")
    weights = np.ones(1, importer.dtype) if scale is None else scale.reshape(-1)
    if weights.size not in (1, depth):
        raise Refused(f"the scale must be one per channel, or for all: got {weights.size} for {depth}")
    weights = in_our_order(tensor, np.broadcast_to(weights, (depth,)))
    make = partial(layers.RMSNormalization, epsilon=importer.constant(node, 1, "epsilon").item())
    return tensor.like(importer.add(node, make, tensor.symbol, [weights], tensor.cells))


def _grouped(
    importer: Importer, node: OnnxNode, groups: int, weights: list[np.ndarray | None], epsilon: float
) -> Tensor:
    """Normalisation of groups of channels; -1: a group for each."""
    x = importer.image(importer.tensor(node))
    channels = x.shape[-1] or 0
    given = [w.reshape(-1) for w in weights if w is not None]
    if any(w.size != channels for w in given) or channels % groups:
        raise Refused(
            f"scale and shift must be one per channel: got {[w.size for w in given]} for {channels}, {groups}"
        )
    scale, shift = (w is not None for w in weights)
    make = partial(layers.GroupNormalization, groups, epsilon=epsilon, scale=scale, center=shift)
    return image_result(importer.add(node, make, x, given))


def _instance_norm(importer: Importer, node: OnnxNode) -> Tensor:
    weights = [importer.constant(node, place, "affine part") for place in (1, 2)]
    return _grouped(importer, node, -1, [*weights], node.attrs.get("epsilon", 1e-5))


def _group_norm(importer: Importer, node: OnnxNode) -> Tensor:
    """Up to opset 20 there was a scale per group."""
    groups, channels = node.attrs["num_groups"], importer.tensor(node).shape[1] or 0
    weights = [importer.constant(node, place, "affine part") for place in (1, 2)]
    each = channels // groups if node.opset < 21 else 1
    return _grouped(importer, node, groups, [np.repeat(w, each) for w in weights], node.attrs.get("epsilon", 1e-5))


def _group_norm_formula(importer: Importer, node: OnnxNode) -> Tensor:
    """A group normalisation that the file spells out with an InstanceNormalization."""
    rows, one, zero, whole = (importer.constant(node, place, "shape") for place in (1, 2, 3, 4))
    tensor = importer.tensor(node)
    if rows.size != 3 or rows[0] != 0 or np.any(one != 1) or np.any(zero != 0) or whole.size != tensor.rank:
        raise Refused(f"groups must be rows of samples, without an affine part of their own: got shape {rows.tolist()}")
    weights = [importer.optional(node, place, "affine part") for place in (5, 6)]
    return _grouped(importer, node, int(rows[1]), weights, node.attrs.get("epsilon", 1e-5))


HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "BatchNormalization": _batch_norm,
    "ChannelNorm": _channel_norm,
    "GroupNormFormula": _group_norm_formula,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "RmsNorm": _rms_norm,
}
