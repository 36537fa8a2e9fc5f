"""How operations on volumes are written, and those that only move cells: Conv, ConvTranspose and pooling in 3-D.

Layers make a volume's operation of an image's (``fastconv.ops.volume``). Here the row of nodes that does so is found by its
first one of images, and written as the one operator that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.writer import FIRST, LAST, GraphWriter, channels_first

__all__ = ["EXPORTERS", "bias_addition", "write_conv3d", "write_conv3d_transpose", "write_pool3d"]

Pads = tuple[tuple[int, int], ...]


def _only_consumer(writer: GraphWriter, value: Value, op: str) -> Node | None:
    """The node that reads ``value``, where there is one alone and it does ``op``."""
    nodes = writer.consumers.get(value, [])
    return nodes[0] if len(nodes) == 1 and nodes[0].op.name == op and value not in writer.graph.outputs else None


def _volume_behind(images: Value) -> Value | None:
    """The value of five axes whose slices ``images`` are."""
    if images.node is None or images.node.op.name != "reshape":
        return None
    (volume,) = images.node.inputs
    assert volume is not None
    slices = volume.ndim == 5 and images.shape == (volume.shape[0] * volume.shape[1], *volume.shape[2:])
    return volume if slices else None


def _volumes_of(writer: GraphWriter, images: Value, n: int) -> Value | None:
    """The value of five axes and ``n`` volumes that images become."""
    node = _only_consumer(writer, images, "reshape")
    y = node.outputs[0] if node is not None else None
    fits = y is not None and y.ndim == 5 and y.shape[0] == n and y.shape[2:] == images.shape[1:]
    return y if fits else None


def _numbers(big: tuple[int, ...], small: tuple[int, ...], windows: list[_Window]) -> Pads:
    """Every axis's pads; those of a mode follow from the extents: ``big`` is what windows slide over."""
    pads = []
    for cells, results, window in zip(big, small, windows, strict=True):
        total = max((results - 1) * window.stride + window.effective - cells, 0)
        if not isinstance(window.padding, str):
            pads.append(window.padding)
        elif window.padding == "valid":
            pads.append((0, 0))
        else:
            before = total // 2 if window.padding == "same" else total - total // 2
            pads.append((before, total - before))
    return tuple(pads)


@dataclass(frozen=True)
class _Window:
    """A window along one axis; ``padding`` is a mode or (before, after)."""

    taps: int
    stride: int
    dilation: int
    padding: Any

    @property
    def effective(self) -> int:
        return (self.taps - 1) * self.dilation + 1


def _of_plane(sizes: tuple[int, ...], a: dict[str, Any]) -> list[_Window]:
    padding = a["padding"]
    return [
        _Window(sizes[i], a["stride"][i], a["dilation"][i], padding if isinstance(padding, str) else padding[i])
        for i in (0, 1)
    ]


def _along_depth(a: dict[str, Any]) -> _Window:
    padding = a["padding"]
    return _Window(a["taps"], a["stride"], a["dilation"], padding if isinstance(padding, str) else padding[0])


def _emit(
    writer: GraphWriter, kind: str, inputs: list[str], name: str | None, windows: list[_Window], **more: Any
) -> str:
    return writer.emit(
        kind,
        inputs,
        name,
        kernel_shape=[w.taps for w in windows],
        strides=[w.stride for w in windows],
        dilations=[w.dilation for w in windows],
        **more,
    )


def _as_onnx(pads: Pads) -> list[int]:
    return [before for before, _ in pads] + [after for _, after in pads]


def _filters(taps: int) -> Callable[[np.ndarray], np.ndarray]:
    """(R, S, T * C, K) -> (K, C, T, R, S); of a transposed convolution (R, S, T * K, C) -> (C, K, T, R, S)."""

    def arranged(w: np.ndarray) -> np.ndarray:
        r, s, c, k = w.shape
        return w.reshape(r, s, taps, c // taps, k).transpose(4, 3, 2, 0, 1)

    return arranged


def write_conv3d(writer: GraphWriter, node: Node) -> bool:
    """Writes a convolution of slices that is one of volumes; False if it is not."""
    x, w, bias = node.inputs
    (y,) = node.outputs
    assert x is not None and w is not None
    volume = _volume_behind(x)
    result = None if volume is None else _volumes_of(writer, y, volume.shape[0])
    if volume is None or result is None:
        return False
    depth = _Window(1, 1, 1, (0, 0))
    if volume.node is not None and volume.node.op.name == "unfold_depth":
        depth = _along_depth(volume.node.attrs)
        (source,) = volume.node.inputs
        assert source is not None
        volume = source
    windows = [depth, *_of_plane(w.shape[:2], node.attrs)]
    inputs = [writer.get(volume, FIRST), writer.weight(w, _filters(depth.taps), ("filters", depth.taps))]
    if bias is not None:
        inputs.append(writer.weight(bias))
    pads = _as_onnx(_numbers(volume.shape[1:4], result.shape[1:4], windows))
    name = _emit(writer, "Conv", inputs, writer.owner(node), windows, pads=pads, group=node.attrs["groups"])
    writer.bind(result, name, FIRST)
    return True


def write_conv3d_transpose(writer: GraphWriter, node: Node) -> bool:
    """The same of a transposed convolution, whose taps along depth a fold adds up."""
    x, w = node.inputs
    (y,) = node.outputs
    assert x is not None and w is not None
    volume = _volume_behind(x)
    columns = None if volume is None else _volumes_of(writer, y, volume.shape[0])
    fold = None if columns is None else _only_consumer(writer, columns, "fold_depth")
    if volume is None or fold is None:
        return False
    result = fold.outputs[0]
    windows = [_along_depth(fold.attrs), *_of_plane(w.shape[:2], node.attrs)]
    pads = _numbers(result.shape[1:4], volume.shape[1:4], windows)
    extra = [
        cells + sum(pad) - (slices - 1) * window.stride - window.effective
        for cells, slices, window, pad in zip(result.shape[1:4], volume.shape[1:4], windows, pads, strict=True)
    ]
    inputs = [writer.get(volume, FIRST), writer.weight(w, _filters(windows[0].taps), ("filters", windows[0].taps))]
    addition = bias_addition(writer, result)
    if addition is not None and addition.inputs[1] is not None:
        inputs.append(writer.weight(addition.inputs[1]))
    name = _emit(
        writer, "ConvTranspose", inputs, writer.owner(node), windows, pads=_as_onnx(pads), output_padding=extra
    )
    writer.bind(result, name, FIRST)
    if addition is not None:
        writer.bind(addition.outputs[0], name, FIRST)
    return True


def bias_addition(writer: GraphWriter, y: Value) -> Node | None:
    """The node that adds a bias to a transposed convolution, where that is all that happens to its result."""
    node = _only_consumer(writer, y, "binary")
    bias = node.inputs[1] if node is not None and node.attrs["kind"] == "add" else None
    is_bias = bias is not None and writer.is_constant(bias) and bias.shape == y.shape[-1:]
    return node if is_bias else None


def write_pool3d(writer: GraphWriter, node: Node) -> bool:
    """Writes two poolings, of pixels and of slices, as one of volumes; False if ``node`` is not the first of two."""
    (x,), (y,) = node.inputs, node.outputs
    assert x is not None
    volume = _volume_behind(x)
    stacked = _only_consumer(writer, y, "reshape")
    slices = None if stacked is None else _only_consumer(writer, stacked.outputs[0], "pool2d")
    last = None if slices is None else _only_consumer(writer, slices.outputs[0], "reshape")
    if volume is None or slices is None or last is None or slices.attrs["kind"] != node.attrs["kind"]:
        return False
    result, a = last.outputs[0], node.attrs
    is_line = slices.attrs["pool_size"][1] == slices.attrs["stride"][1] == 1
    if result.ndim != 5 or result.shape[2:] != y.shape[1:] or not is_line or slices.inputs[0] is None:
        return False
    if slices.inputs[0].shape[:2] != volume.shape[:2]:
        return False
    if a["ceil_mode"] or a["kind"] not in ("max", "avg"):
        raise ValueError(f"of volumes only max and avg without ceil_mode have a form: got {a['kind']}")
    windows = [_of_plane(slices.attrs["pool_size"], slices.attrs)[0], *_of_plane(a["pool_size"], a)]
    if a["kind"] == "avg" and any(w.dilation != 1 for w in windows):
        raise ValueError("dilated averages of volumes have no form")
    pads = _as_onnx(_numbers(volume.shape[1:4], result.shape[1:4], windows))
    inputs = [writer.get(volume, FIRST)]
    if a["kind"] == "max":
        name = _emit(writer, "MaxPool", inputs, "max_pool", windows, pads=pads)
    else:
        sizes, strides = [w.taps for w in windows], [w.stride for w in windows]
        name = writer.emit("AveragePool", inputs, "avg_pool", kernel_shape=sizes, strides=strides, pads=pads)
    writer.bind(slices.outputs[0], "", FIRST)  # nothing asks for it: it is inside the operator
    writer.bind(result, name, FIRST)
    return True


def _inside(writer: GraphWriter, node: Node) -> None:
    """A fold or an unfolding that a convolution takes in."""
    (y,) = node.outputs

    def refuse(layout: str) -> str:
        raise ValueError(f"{node.op.name} has an ONNX form beside a convolution of volumes alone")

    if not writer.exists(y, FIRST):
        writer.defer(y, refuse, (LAST,))


def _transpose(writer: GraphWriter, node: Node) -> None:
    (x,), (y,) = node.inputs, node.outputs
    assert x is not None
    layout = writer.layout(x) if x.ndim > 2 else LAST
    stored = channels_first(x.ndim) if layout == FIRST else tuple(range(x.ndim))
    permutation = [stored.index(axis) for axis in node.attrs["axes"]]
    name = writer.get(x, layout)
    if permutation != sorted(permutation):
        name = writer.emit("Transpose", [name], perm=permutation)
    writer.bind(y, name, LAST)


def _repeat_pixels(writer: GraphWriter, node: Node) -> None:
    (x,), (y,) = node.inputs, node.outputs
    assert x is not None
    if writer.exists(y, FIRST):
        return
    volume, size, result = x, tuple(node.attrs["size"]), y
    found = _repeated_volume(writer, node)
    if found is not None:
        volume, size, result = found
    name = writer.emit(
        "Resize",
        [writer.get(volume, FIRST), "", writer.floats((1, 1, *size))],
        "repeat_pixels",
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    writer.bind(result, name, FIRST)


def _repeated_volume(writer: GraphWriter, node: Node) -> tuple[Value, tuple[int, ...], Value] | None:
    """The volume, its three factors and the result, where the pixels and then the slices of one are repeated."""
    (x,), (y,) = node.inputs, node.outputs
    assert x is not None
    volume = _volume_behind(x)
    stacked = _only_consumer(writer, y, "reshape")
    slices = None if stacked is None else _only_consumer(writer, stacked.outputs[0], "repeat_pixels")
    last = None if slices is None else _only_consumer(writer, slices.outputs[0], "reshape")
    if volume is None or stacked is None or slices is None or last is None or slices.attrs["size"][1] != 1:
        return None
    result = last.outputs[0]
    if result.ndim != 5 or stacked.outputs[0].shape[:2] != volume.shape[:2] or result.shape[2:] != y.shape[1:]:
        return None
    writer.bind(slices.outputs[0], "", FIRST)  # nothing asks for it: it is inside the operator
    return volume, (slices.attrs["size"][0], *node.attrs["size"]), result


def _group_norm(writer: GraphWriter, node: Node) -> None:
    x, gamma, beta = node.inputs
    y = node.outputs[0]
    assert x is not None
    groups, channels = node.attrs["groups"], x.shape[-1]
    owner = writer.owner(node) or "group_norm"

    def affine(value: Value | None, constant: float, size: int) -> str:
        return writer.filled(constant, size, x) if value is None else writer.weight(value)

    source, epsilon = writer.get(x, FIRST), node.attrs["epsilon"]
    if groups == channels and x.ndim > 2:
        inputs = [source, affine(gamma, 1, channels), affine(beta, 0, channels)]
        return writer.bind(y, writer.emit("InstanceNormalization", inputs, owner, epsilon=epsilon), FIRST)
    if writer.opset >= 21:
        inputs = [source, affine(gamma, 1, channels), affine(beta, 0, channels)]
        name = writer.emit("GroupNormalization", inputs, owner, num_groups=groups, epsilon=epsilon)
        return writer.bind(y, name, FIRST)
    rows = writer.emit("Reshape", [source, writer.integers([0, groups, -1])], f"{owner}/groups")
    inputs = [rows, affine(None, 1, groups), affine(None, 0, groups)]
    normal = writer.emit("InstanceNormalization", inputs, f"{owner}/normal", epsilon=epsilon)
    whole = [0, channels, *x.shape[1:-1]]
    name = writer.emit("Reshape", [normal, writer.integers(whole)], f"{owner}/whole")
    for kind, value in (("Mul", gamma), ("Add", beta)):
        if value is not None:
            name = writer.emit(kind, [name, writer.operand(value, x.ndim, FIRST)], f"{owner}/{kind.lower()}")
    return writer.bind(y, name, FIRST)


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {
    "fold_depth": _inside,
    "group_norm": _group_norm,
    "repeat_pixels": _repeat_pixels,
    "transpose": _transpose,
    "unfold_depth": _inside,
}
