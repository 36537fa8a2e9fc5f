"""How operations on images are written: convolutions, pooling, normalisation, padding. All of them channels first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.export_volumes import bias_addition, write_conv3d, write_conv3d_transpose, write_pool3d
from fastconv.onnx.writer import FIRST, LAST, GraphWriter, channels_first
from fastconv.ops.registry import wide

__all__ = ["EXPORTERS"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def _filters(w: np.ndarray) -> np.ndarray:
    """(R, S, C/groups, K) -> (K, C/groups, R, S); of a transposed convolution (R, S, K/groups, C) -> (C, K/groups, R, S)."""
    return w.transpose(3, 2, 0, 1)


def _pads(padding: Any, big: Value, small: Value, window: tuple[int, int], a: dict[str, Any]) -> Pads:
    """The pads as numbers; those of "same" follow from the extents that the spec has inferred: ``big`` is what windows
    slide over, ``small`` has one cell per window."""
    if not isinstance(padding, str):
        return padding
    pads = []
    for axis in (0, 1):
        total = _reach(big, small, window, a, axis)
        total = 0 if padding == "valid" else max(total, 0)
        before = total // 2 if padding == "same" else total - total // 2
        pads.append((before, total - before))
    return (pads[0], pads[1])


def _reach(big: Value, small: Value, window: tuple[int, int], a: dict[str, Any], axis: int) -> int:
    """By how many cells the windows together are longer than the image."""
    effective = (window[axis] - 1) * a["dilation"][axis] + 1
    return (small.shape[1 + axis] - 1) * a["stride"][axis] + effective - big.shape[1 + axis]


def _as_onnx(pads: Pads) -> list[int]:
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]


def _conv2d(writer: GraphWriter, node: Node) -> None:
    if write_conv3d(writer, node):
        return
    x, w, bias = node.inputs
    (y,) = node.outputs
    a = node.attrs
    assert x is not None and w is not None
    inputs = [writer.get(x, FIRST), writer.weight(w, _filters, "filters")]
    if bias is not None:
        inputs.append(writer.weight(bias))
    window = (w.shape[0], w.shape[1])
    name = writer.emit(
        "Conv",
        inputs,
        writer.owner(node),
        kernel_shape=window,
        strides=a["stride"],
        pads=_as_onnx(_pads(a["padding"], x, y, window, a)),
        dilations=a["dilation"],
        group=a["groups"],
    )
    writer.bind(y, name, FIRST)


def _conv2d_transpose(writer: GraphWriter, node: Node) -> None:
    if write_conv3d_transpose(writer, node):
        return
    x, w = node.inputs
    (y,) = node.outputs
    a = node.attrs
    assert x is not None and w is not None
    inputs = [writer.get(x, FIRST), writer.weight(w, _filters, "filters")]
    addition = bias_addition(writer, y)
    if addition is not None:
        bias = addition.inputs[1]
        assert bias is not None
        inputs.append(writer.weight(bias))
    window = (w.shape[0], w.shape[1])
    name = writer.emit(
        "ConvTranspose",
        inputs,
        writer.owner(node),
        kernel_shape=window,
        strides=a["stride"],
        pads=_as_onnx(_pads(a["padding"], y, x, window, a)),
        output_padding=a["output_padding"],
        dilations=a["dilation"],
        group=a["groups"],
    )
    writer.bind(y, name, FIRST)
    if addition is not None:
        writer.bind(addition.outputs[0], name, FIRST)


def _pool2d(writer: GraphWriter, node: Node) -> None:
    x, y = node.inputs[0], node.outputs[0]
    a = node.attrs
    assert x is not None
    if writer.exists(y, FIRST) or write_pool3d(writer, node):
        return
    kind, window = a["kind"], a["pool_size"]
    pads = _pads(a["padding"], x, y, window, a)
    name = writer.get(x, FIRST)
    if kind == "min":
        name = writer.emit("Neg", [name], "min_pool/negative")
    if window == x.shape[1:3] and not any(map(any, pads)) and kind in ("max", "avg"):
        name = writer.emit("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", [name], f"global_{kind}_pool")
    elif kind in ("max", "min"):
        name = writer.emit(
            "MaxPool",
            [name],
            f"{kind}_pool",
            kernel_shape=window,
            strides=a["stride"],
            pads=_as_onnx(_reached(pads, x, y, a)),
            dilations=a["dilation"],
        )
    else:
        name = _average(writer, name, x, y, a, pads)
    if kind == "min":
        name = writer.emit("Neg", [name], "min_pool/restored")
    if kind == "sum":
        name = writer.emit("Mul", [name, writer.scalar(window[0] * window[1], y)], "sum_pool/sum")
    writer.bind(y, name, FIRST)


def _reached(pads: Pads, x: Value, y: Value, a: dict[str, Any]) -> Pads:
    """Pads with which the last, partial windows of ceil_mode are whole: as operators without that mode see them."""
    if not a["ceil_mode"]:
        return pads
    reached = []
    for axis, (before, after) in enumerate(pads):
        end = _reach(x, y, a["pool_size"], a, axis) - before
        reached.append((before, max(end, after)))
    return (reached[0], reached[1])


def _average(writer: GraphWriter, name: str, x: Value, y: Value, a: dict[str, Any], pads: Pads) -> str:
    """The average, or for a sum the average of all the window's cells, padding included."""
    if a["dilation"] != (1, 1) and writer.opset < 19:
        raise ValueError(
            f"dilated averages need a newer opset: expected opset >= 19, got opset={writer.opset}, "
            f"dilation={a['dilation']}"
        )
    counts = a["count_include_pad"]  # then cells that ceil_mode adds do not count, and only the mode itself can say so
    ceil_mode = a["ceil_mode"] and a["kind"] == "avg" and counts
    return writer.emit(
        "AveragePool",
        [name],
        f"{a['kind']}_pool",
        kernel_shape=a["pool_size"],
        strides=a["stride"],
        pads=_as_onnx(pads if ceil_mode else _reached(pads, x, y, a)),
        ceil_mode=1 if ceil_mode else None,
        count_include_pad=1 if counts or a["kind"] == "sum" else None,
        dilations=a["dilation"] if writer.opset >= 19 else None,
    )


def _batch_norm(writer: GraphWriter, node: Node) -> None:
    x, gamma, beta, mean, variance, _ = node.inputs
    assert x is not None and mean is not None and variance is not None
    owner = writer.owner(node)

    def affine(value: Value | None, constant: float, name: str) -> str:
        if value is not None:
            return writer.weight(value)
        return writer.store(f"{owner or 'batch_norm'}/{name}", np.full(mean.shape, constant, mean.dtype))

    inputs = [
        writer.get(x, FIRST),
        affine(gamma, 1, "gamma"),
        affine(beta, 0, "beta"),
        writer.weight(mean),
        writer.weight(variance),
    ]
    name = writer.emit("BatchNormalization", inputs, owner, epsilon=node.attrs["epsilon"])
    writer.bind(node.outputs[0], name, FIRST)


def _layer_norm(writer: GraphWriter, node: Node) -> None:
    x, gamma, beta = node.inputs
    y = node.outputs[0]
    assert x is not None
    owner = writer.owner(node) or "layer_norm"
    if writer.opset >= 17:
        depth = (x.shape[-1],)
        scale = (
            writer.weight(gamma) if gamma is not None else writer.store(f"{owner}/gamma", np.ones(depth, wide(x.dtype)))
        )
        inputs = [writer.get(x, LAST), scale, *([writer.weight(beta)] if beta is not None else [])]
        name = writer.emit("LayerNormalization", inputs, owner, axis=-1, epsilon=node.attrs["epsilon"])
        return writer.bind(y, name, LAST)
    layout = writer.layout(x)
    axis = 1 if layout == FIRST and x.ndim > 2 else -1

    def part(kind: str, inputs: list[str], **attributes: Any) -> str:
        return writer.emit(kind, inputs, f"{owner}/{kind}", **attributes)

    centred = part("Sub", [writer.get(x, layout), part("ReduceMean", [writer.get(x, layout)], axes=[axis])])
    variance = part("ReduceMean", [part("Mul", [centred, centred])], axes=[axis])
    deviation = part("Sqrt", [part("Add", [variance, writer.scalar(node.attrs["epsilon"], x)])])
    name = part("Div", [centred, deviation])
    for kind, value in (("Mul", gamma), ("Add", beta)):
        if value is not None:
            name = part(kind, [name, writer.operand(value, x.ndim, layout)])
    return writer.bind(y, name, layout)


def _rms_norm(writer: GraphWriter, node: Node) -> None:
    """By its formula: opset 23 is the first with an operator for it."""
    x, gamma = node.inputs
    assert x is not None
    owner, layout = writer.owner(node) or "rms_norm", writer.layout(x)
    axis, source = 1 if layout == FIRST and x.ndim > 2 else -1, writer.get(x, layout)

    def part(kind: str, inputs: list[str], **attributes: Any) -> str:
        return writer.emit(kind, inputs, f"{owner}/{kind}", **attributes)

    square = part("Mul", [source, source])
    if writer.opset >= 18:
        mean = part("ReduceMean", [square, writer.integers([axis])])
    else:
        mean = part("ReduceMean", [square], axes=[axis])
    name = part("Div", [source, part("Sqrt", [part("Add", [mean, writer.scalar(node.attrs["epsilon"], x)])])])
    if gamma is not None:
        name = part("Mul", [name, writer.operand(gamma, x.ndim, layout)])
    writer.bind(node.outputs[0], name, layout)


def _pad(writer: GraphWriter, node: Node) -> None:
    (x,) = node.inputs
    assert x is not None
    layout = writer.layout(x)
    widths = list(node.attrs["widths"])
    if layout == FIRST and x.ndim > 2:
        widths.insert(1, widths.pop())
    pads = writer.integers([before for before, _ in widths] + [after for _, after in widths])
    name = writer.emit("Pad", [writer.get(x, layout), pads, writer.scalar(node.attrs["value"], x)], "pad")
    writer.bind(node.outputs[0], name, layout)


def _crop(writer: GraphWriter, node: Node) -> None:
    (x,) = node.inputs
    assert x is not None
    if writer.is_known(node.outputs[0]):
        return  # the last step of a recurrent layer, which its operator gives
    _slice(writer, node, [(a, extent - b) for extent, (a, b) in zip(x.shape, node.attrs["widths"], strict=True)])


def _augment(writer: GraphWriter, node: Node) -> None:
    """In inference only a window of the image is left of an augmentation: the same for all."""
    x, flip_seed, shift_seed = node.inputs
    (y,) = node.outputs
    a = node.attrs
    assert x is not None
    starts = (0, a["rows"][0], a["columns"][0], 0)
    ranges = [(start, start + extent) for start, extent in zip(starts, y.shape, strict=True)]
    inside = all(start >= 0 and end <= extent for (start, end), extent in zip(ranges, x.shape, strict=True))
    if flip_seed is not None or shift_seed is not None or a["alternate"] or not inside or any(s % 1 for s in starts):
        raise ValueError("it must be a window inside the image, as in inference")
    _slice(writer, node, [(int(start), int(end)) for start, end in ranges])


def _slice(writer: GraphWriter, node: Node, ranges: list[tuple[int, int]]) -> None:
    """Cells from start to end of each axis but the batch."""
    (x, *_), (y,) = node.inputs, node.outputs
    assert x is not None
    layout = writer.layout(x)
    ranges = [ranges[axis] for axis in channels_first(x.ndim)] if layout == FIRST and x.ndim > 2 else ranges
    cut = [axis for axis in range(1, x.ndim) if ranges[axis] != (0, writer.extent(x, axis, layout))]
    if not cut:
        return writer.bind(y, writer.get(x, layout), layout)
    lists = [[ranges[axis][0] for axis in cut], [ranges[axis][1] for axis in cut], cut]
    name = writer.emit("Slice", [writer.get(x, layout), *map(writer.integers, lists)], node.op.name)
    return writer.bind(y, name, layout)


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {
    "conv2d": _conv2d,
    "conv2d_transpose": _conv2d_transpose,
    "pool2d": _pool2d,
    "batch_norm_inference": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "pad": _pad,
    "crop": _crop,
    "augment2d": _augment,
}
