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
from fastconv.onnx.run_windows import Window, window_of
from fastconv.onnx.writer import channels_first

__all__ = ["HANDLERS", "image_result", "layer_for"]

_KERNEL = (2, 3, 1, 0)  # (K, C/groups, R, S) -> (R, S, C/groups, K); transposed (C, K, R, S) -> (R, S, K, C)


def image_result(symbol: Any) -> Tensor:
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
    return image_result(importer.add(node, make, x, [kernel, *biases]))


_TRANSPOSED: dict[int, Any] = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


def _conv_transpose(importer: Importer, node: OnnxNode) -> Tensor:
    w, bias = importer.constant(node, 1, "filters"), importer.optional(node, 2, "bias")
    window = _window(node, w.shape[2:])
    x = importer.image(importer.tensor(node))
    groups = node.attrs.get("group", 1)
    if w.shape[0] != x.shape[-1] or groups < 1 or w.shape[0] % groups:
        raise Refused(f"filters must fit the image: got {list(w.shape)} with group={groups} for {x.shape[-1]} channels")
    extents = tuple(extent or 0 for extent in x.shape[1:-1])
    extra = list(node.attrs.get("output_padding", [0] * len(extents)))
    pads, extra = transpose_pads(node, window, extents, extra)
    is_row = len(window.size) == 1
    least = max(window.stride[0] - (window.size[0] - 1) * window.dilation[0] - 1, 0)
    if is_row and groups == 1 and not any(pads[0]) and extra[0] in (0, least):
        line: dict[str, Any] = {
            "strides": window.stride[0],
            "dilation_rate": window.dilation[0],
            "use_bias": bias is not None,
        }
        make = partial(layers.Conv1DTranspose, w.shape[1], window.size[0], **line)
        return image_result(importer.add(node, make, x, [w.transpose(2, 1, 0), *([] if bias is None else [bias])]))
    if is_row:  # an image of one, whose layer has pads as numbers
        x, w = importer.reshaped(x, (1, *x.shape[1:])), w[:, :, None]
        window, pads, extra = _row_window(window), [(0, 0), *pads], [0, *extra]
    settings: dict[str, Any] = {
        "strides": _sized(window.stride),
        "padding": _sized(pads),
        "output_padding": _sized(extra),
        "dilation_rate": _sized(window.dilation),
        "use_bias": bias is not None,
    }
    make = partial(_TRANSPOSED[len(window.size)], w.shape[1], tuple(window.size), **settings)
    depth, parts = w.shape[0] // groups, []
    for group in range(groups):
        of_group = slice(group * depth, (group + 1) * depth)
        kernel = np.moveaxis(w[of_group], (0, 1), (-1, -2))
        biases = [] if bias is None else [bias.reshape(groups, -1)[group]]
        source = x if groups == 1 else importer.cut(x, x.ndim - 1, of_group.start, of_group.stop)
        parts.append(importer.add(node, make, source, [kernel, *biases], group))
    y = parts[0] if groups == 1 else importer.add(node, layers.Concatenate, parts)
    return image_result(importer.reshaped(y, y.shape[2:]) if is_row else y)


def _row_window(window: Window) -> Window:
    return Window([1, *window.size], [1, *window.stride], [(0, 0), *window.pads], [1, *window.dilation], window.mode)


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


def layer_for(kind: Any, rank: int) -> Any:
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
        ceil_mode = bool(node.attrs.get("ceil_mode", 0)) and not _is_whole(window, x.shape[1:-1])
        counts = kind is layers.AveragePooling2D and node.attrs.get("count_include_pad", 0) and padding != "valid"
        if counts:
            if ceil_mode or isinstance(padding, str):
                raise Refused("padding that counts must be given as numbers, without ceil_mode")
            x = importer.add(node, partial(layer_for(layers.ZeroPadding2D, x.ndim), padding), x)
            padding = "valid"
        settings: dict[str, Any] = {"strides": _sized(window.stride), "padding": padding}
        if x.ndim == 4:
            settings["ceil_mode"] = ceil_mode
        elif x.ndim == 3 and (ceil_mode or not isinstance(padding, str)):
            return _pool_of_rows(importer, node, kind, x, window, ceil_mode)
        elif ceil_mode:
            raise Refused("ceil_mode is that of sequences and images")
        return image_result(importer.add(node, partial(layer_for(kind, x.ndim), _sized(window.size), **settings), x))

    return convert


def _is_whole(window: Window, extents: Any) -> bool:
    """Whether windows end where the padded image does, so that ceil_mode changes nothing."""
    if window.mode is not None:
        return False
    axes = zip(extents, window.size, window.stride, window.dilation, window.pads, strict=True)
    return all((n + sum(pads) - (k - 1) * d - 1) % s == 0 for n, k, s, d, pads in axes)


def _pool_of_rows(importer: Importer, node: OnnxNode, kind: Any, x: Any, window: Window, ceil_mode: bool) -> Tensor:
    """Pooling of sequences as that of images of one row, which has pads as numbers and ceil_mode."""
    padding = window.mode or ((0, 0), window.pads[0])
    settings = {"strides": (1, window.stride[0]), "padding": padding, "ceil_mode": ceil_mode}
    rows = importer.reshaped(x, (1, *x.shape[1:]))
    y = importer.add(node, partial(kind, (1, window.size[0]), **settings), rows)
    return image_result(importer.reshaped(y, y.shape[2:]))


def _sum_pool(importer: Importer, node: OnnxNode) -> Tensor:
    if importer.constant(node, 1, "factor").item() != math.prod(node.attrs.get("kernel_shape", [])):
        raise Refused("a sum must be the average times the window's cells")
    return _pool(layers.SumPooling2D)(importer, node)


def _global_pool(kind: Any) -> Callable[[Importer, OnnxNode], Tensor]:
    def convert(importer: Importer, node: OnnxNode) -> Tensor:
        x = importer.image(importer.tensor(node))
        layer = layer_for(kind, x.ndim)
        if _is_flattened(importer, node):
            return Tensor(importer.add(node, layer, x), (0, 1))
        return image_result(importer.add(node, partial(layer, keepdims=True), x))

    return convert


def _is_flattened(importer: Importer, node: OnnxNode) -> bool:
    """Whether (N, C, 1, 1) is only ever read as (N, C)."""
    readers = importer.consumers.get(node.outputs[0], [])
    return bool(readers) and all(reader.op == "Flatten" and reader.attrs.get("axis", 1) == 1 for reader in readers)


HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {
    "AveragePool": _pool(layers.AveragePooling2D),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_pool(layers.GlobalAveragePooling2D),
    "GlobalMaxPool": _global_pool(layers.GlobalMaxPooling2D),
    "MaxPool": _pool(layers.MaxPooling2D),
    "MinPool": _pool(layers.MinPooling2D),
    "SumPool": _sum_pool,
}
