"""ONNX's image operators as layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode
from fastconv.onnx.run_convolution import transpose_pads
from fastconv.onnx.run_windows import Window, split_pads, window_of
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS"]

_KERNEL = (2, 3, 1, 0)  # (K, C/groups, R, S) -> (R, S, C/groups, K); transposed (C, K, R, S) -> (R, S, K, C)


def _image_result(symbol: Any) -> Tensor:
    return Tensor(symbol, channels_first(symbol.ndim))


def _window(node: OnnxNode, size: Any) -> Window:
    if not 1 <= len(size) <= 3:
        raise Refused(f"windows must have one to three axes: got {len(size)}")
    return window_of(node, size)


def _sized(numbers: list[Any]) -> Any:
    """Settings per axis as the layers take them: a number for sequences, a tuple for images."""
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _padding(window: Window) -> Any:
    if window.mode is not None:
        return window.mode
    if any(side < 0 for pair in window.pads for side in pair):
        raise Refused(f"pads must be at least 0: got {window.pads}")
    return _sized(window.pads) if any(map(any, window.pads)) else "valid"


def _conv(importer: Importer, node: OnnxNode) -> Tensor:
    w, bias = importer.constant(node, 1, "filters"), importer.optional(node, 2, "bias")
    window = _window(node, w.shape[2:])
    x = importer.image(importer.tensor(node))
    groups, channels, filters = node.attrs.get("group", 1), x.shape[-1] or 0, w.shape[0]
    if w.shape[1] * groups != channels or filters % max(groups, 1):
        raise Refused(f"filters must fit the image: got {list(w.shape)} with group={groups} for {channels} channels")
    settings = {
        "kernel_size": _sized(window.size),
        "strides": _sized(window.stride),
        "padding": _padding(window),
        "dilation_rate": _sized(window.dilation),
        "use_bias": bias is not None,
    }
    biases = [] if bias is None else [bias]
    if len(window.size) == 1:
        kernel = w.transpose(2, 1, 0)
        make: Any = partial(layers.Conv1D, filters, groups=groups, **settings)
    elif len(window.size) == 3:
        kernel = w.transpose(2, 3, 4, 1, 0)
        make = partial(layers.Conv3D, filters, groups=groups, **settings)
    elif groups == channels > 1:
        kernel = w.reshape(channels, -1, *w.shape[2:]).transpose(2, 3, 0, 1)
        make = partial(layers.DepthwiseConv2D, depth_multiplier=filters // channels, **settings)
    else:
        kernel = w.transpose(_KERNEL)
        make = partial(layers.Conv2D, filters, groups=groups, **settings)
    return _image_result(importer.add(node, make, x, [kernel, *biases]))


_TRANSPOSED: dict[int, Any] = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


def _conv_transpose(importer: Importer, node: OnnxNode) -> Tensor:
    w, bias = importer.constant(node, 1, "filters"), importer.optional(node, 2, "bias")
    window = _window(node, w.shape[2:])
    x = importer.image(importer.tensor(node))
    if node.attrs.get("group", 1) != 1:
        raise Refused(f"transposed convolutions must have one group: got group={node.attrs['group']}")
    if w.shape[0] != x.shape[-1]:
        raise Refused(f"filters must fit the image: got {list(w.shape)} for {x.shape[-1]} channels")
    extents = tuple(extent or 0 for extent in x.shape[1:-1])
    extra = list(node.attrs.get("output_padding", [0] * len(extents)))
    pads, extra = transpose_pads(node, window, extents, extra)
    biases = [] if bias is None else [bias]
    settings: dict[str, Any] = {
        "strides": _sized(window.stride),
        "padding": _sized(pads),
        "output_padding": _sized(extra),
        "dilation_rate": _sized(window.dilation),
        "use_bias": bias is not None,
    }
    if len(window.size) > 1:
        kind = _TRANSPOSED[len(window.size)]
        kernel = np.moveaxis(w, (0, 1), (-1, -2))
        make = partial(kind, w.shape[1], tuple(window.size), **settings)
        return _image_result(importer.add(node, make, x, [kernel, *biases]))
    if any(pads[0]) or (
        extra[0] and extra[0] != max(window.stride[0] - (window.size[0] - 1) * window.dilation[0] - 1, 0)
    ):
        raise Refused(f"transposed convolutions of sequences have no pads as numbers: got {pads}, {extra}")
    settings.update(padding="valid", output_padding=None)
    make = partial(layers.Conv1DTranspose, w.shape[1], window.size[0], **settings)
    return _image_result(importer.add(node, make, x, [w.transpose(2, 1, 0), *biases]))


_ON_SEQUENCES = {
    layers.MaxPooling2D: layers.MaxPooling1D,
    layers.AveragePooling2D: layers.AveragePooling1D,
    layers.GlobalMaxPooling2D: layers.GlobalMaxPooling1D,
    layers.GlobalAveragePooling2D: layers.GlobalAveragePooling1D,
    layers.ZeroPadding2D: layers.ZeroPadding1D,
    layers.Cropping2D: layers.Cropping1D,
}


_ON_VOLUMES = {
    layers.MaxPooling2D: layers.MaxPooling3D,
    layers.AveragePooling2D: layers.AveragePooling3D,
    layers.GlobalMaxPooling2D: layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling2D: layers.GlobalAveragePooling3D,
    layers.ZeroPadding2D: layers.ZeroPadding3D,
    layers.Cropping2D: layers.Cropping3D,
}


def _for(kind: Any, rank: int) -> Any:
    """The layer for images, or its like for sequences and volumes."""
    if rank == 4:
        return kind
    found = {3: _ON_SEQUENCES, 5: _ON_VOLUMES}.get(rank, {}).get(kind)
    if found is None:
        raise Refused(f"no layer does this to {rank} axes")
    return found


def _pool(kind: Any) -> Callable[[Importer, OnnxNode], Tensor]:
    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        window = _window(node, node.attrs.get("kernel_shape", []))
        if any(dilation != 1 for dilation in window.dilation):
            raise Refused(f"pooling layers have no dilation: got {window.dilation}")
        x, padding = importer.image(importer.tensor(node)), _padding(window)
        ceil_mode = bool(node.attrs.get("ceil_mode", 0))
        counts = kind is layers.AveragePooling2D and node.attrs.get("count_include_pad", 0) and padding != "valid"
        if counts:
            if ceil_mode or isinstance(padding, str):
                raise Refused("padding that counts must be given as numbers, without ceil_mode")
            x = importer.add(node, partial(_for(layers.ZeroPadding2D, x.ndim), padding), x)
            padding = "valid"
        settings: dict[str, Any] = {"strides": _sized(window.stride), "padding": padding}
        if x.ndim == 4:
            settings["ceil_mode"] = ceil_mode
        elif ceil_mode or (x.ndim == 3 and not isinstance(padding, str)):
            raise Refused("ceil_mode is that of images; pooling of sequences has no pads as numbers")
        return _image_result(importer.add(node, partial(_for(kind, x.ndim), _sized(window.size), **settings), x))

    return convert


def _sum_pool(importer: Importer, node: OnnxNode) -> Tensor:
    if importer.constant(node, 1, "factor").item() != math.prod(node.attrs.get("kernel_shape", [])):
        raise Refused("a sum must be the average times the window's cells")
    return _pool(layers.SumPooling2D)(importer, node)


def _global_pool(kind: Any, keepdims: Callable[[OnnxNode], bool]) -> Callable[[Importer, OnnxNode], Tensor]:
    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        x = importer.image(importer.tensor(node))
        layer = _for(kind, x.ndim)
        if not keepdims(node) or _is_flattened(importer, node):
            return Tensor(importer.add(node, layer, x), (0, 1))
        return _image_result(importer.add(node, partial(layer, keepdims=True), x))

    return convert


def _is_flattened(importer: Importer, node: OnnxNode) -> bool:
    """Whether (N, C, 1, 1) is only ever read as (N, C)."""
    readers = importer.consumers.get(node.outputs[0], [])
    return bool(readers) and all(reader.op == "Flatten" and reader.attrs.get("axis", 1) == 1 for reader in readers)


def _reduce(kind: Any) -> Callable[[Importer, OnnxNode], Tensor]:
    pool = _global_pool(kind, lambda node: bool(node.attrs.get("keepdims", 1)))

    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        tensor, axes = importer.tensor(node), importer.integers(node, "axes") or []
        spatial = sorted(axis % max(tensor.rank, 1) for axis in axes)
        if tensor.rank < 3 or sorted(tensor.order[axis] for axis in spatial) != list(range(1, tensor.rank - 1)):
            raise Refused(f"reductions must be over height and width of images: got axes={axes} of {tensor.rank} axes")
        return pool(importer, node)

    return convert


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
        else _image_result(importer.add(node, make, x, weights))
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
    axis = node.attrs.get("axis", -1) % tensor.rank
    if axis != tensor.rank - 1:
        raise Refused(f"normalisation must be over the last axis alone: got axis={axis} of {tensor.rank}")
    return _norm(importer, node, axis, node.attrs.get("epsilon", 1e-5), (1, 2))


def _channel_norm(importer: Importer, node: OnnxNode) -> Tensor:
    """A layer normalisation that the file spells out."""
    return _norm(importer, node, node.attrs["axes"][0], importer.constant(node, 1, "epsilon").item(), (2, 3))


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
    return _image_result(importer.add(node, make, x, given))


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


def _pad(importer: Importer, node: OnnxNode) -> Tensor:
    tensor, pads = importer.tensor(node), importer.integers(node, "pads") or []
    value = importer.optional(node, 2, "value")
    number = node.attrs.get("value", 0) if value is None else value.item()
    if len(pads) != 2 * tensor.rank or (node.attrs.get("mode", "constant"), number) != ("constant", 0):
        raise Refused("padding must be zeros around images")
    return _at_borders(importer, node, layers.ZeroPadding2D, tensor, split_pads(pads))


def _slice(importer: Importer, node: OnnxNode) -> Tensor:
    tensor = importer.tensor(node)
    starts, ends = importer.integers(node, "starts", 1) or [], importer.integers(node, "ends", 2) or []
    axes = importer.integers(node, "axes", 3) or range(len(starts))
    if any(step != 1 for step in importer.integers(node, "steps", 4) or []):
        raise Refused("steps must be 1")
    widths = [(0, 0)] * tensor.rank
    for axis, start, end in zip(axes, starts, ends, strict=True):
        extent = tensor.shape[axis]
        if extent is None:
            raise Refused("the batch cannot be cut")
        first, last, _ = slice(start, end).indices(extent)
        widths[axis] = (first, extent - last)
    return _at_borders(importer, node, layers.Cropping2D, tensor, widths)


def _at_borders(importer: Importer, node: OnnxNode, kind: Any, tensor: Tensor, widths: list[Any]) -> Tensor:
    """A layer that adds or removes cells: widths before and after each axis, in the file's order."""
    batch, *sides, channels = (widths[axis] for axis in np.argsort(tensor.order))
    if min(map(min, widths)) < 0 or any(batch) or any(channels) or tensor.cells is not None:
        raise Refused(f"only height and width may change: got {widths}")
    make = partial(_for(kind, tensor.rank), _sized(sides))
    return tensor.like(importer.add(node, make, tensor.symbol))


HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "AveragePool": _pool(layers.AveragePooling2D),
    "BatchNormalization": _batch_norm,
    "ChannelNorm": _channel_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_pool(layers.GlobalAveragePooling2D, lambda node: True),
    "GlobalMaxPool": _global_pool(layers.GlobalMaxPooling2D, lambda node: True),
    "GroupNormFormula": _group_norm_formula,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MaxPool": _pool(layers.MaxPooling2D),
    "MinPool": _pool(layers.MinPooling2D),
    "Pad": _pad,
    "ReduceMax": _reduce(layers.GlobalMaxPooling2D),
    "ReduceMean": _reduce(layers.GlobalAveragePooling2D),
    "Slice": _slice,
    "SumPool": _sum_pool,
}
