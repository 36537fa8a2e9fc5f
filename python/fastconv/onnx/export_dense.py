"""How dense products, joins and changes of shape are written."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.export_sequences import is_projection
from fastconv.onnx.writer import FIRST, LAST, GraphWriter
from fastconv.ops.registry import wide

__all__ = ["EXPORTERS"]


def _dense(writer: GraphWriter, node: Node) -> None:
    x, w, bias = node.inputs
    assert x is not None and w is not None
    if is_projection(writer, node):
        return None
    owner = writer.owner(node) or "dense"
    if x.ndim == 2:
        source, weight = _flattened(writer, x, w) or (writer.get(x), writer.weight(w))
        inputs = [source, weight, *([writer.weight(bias)] if bias is not None else [])]
        return writer.bind(node.outputs[0], writer.emit("Gemm", inputs, owner))
    name = writer.emit("MatMul", [writer.get(x, LAST), writer.weight(w)], owner)
    if bias is not None:
        name = writer.emit("Add", [name, writer.weight(bias)], f"{owner}/add")
    return writer.bind(node.outputs[0], name, LAST)


def _flattened(writer: GraphWriter, x: Value, w: Value) -> tuple[str, str] | None:
    """Where ``x`` is a flattened image that exists channels first: the flat image in that order, and the weight with its
    rows permuted to match. So no Transpose is needed."""
    image = _image_behind(x)
    if image is None or not writer.exists(image, FIRST) or not writer.is_constant(w):
        return None
    shape = image.shape[1:]

    def permuted(array: np.ndarray) -> np.ndarray:
        return np.moveaxis(array.reshape(*shape, -1), len(shape) - 1, 0).reshape(array.shape)

    return writer.emit("Flatten", [writer.get(image, FIRST)], axis=1), writer.weight(w, permuted, ("rows", shape))


def _image_behind(x: Value) -> Value | None:
    """The value of three or more axes that ``x`` (N, cells) is a flat form of, where their orders differ."""
    node = x.node
    if node is None or node.op.name != "reshape":
        return None
    (image,) = node.inputs
    assert image is not None
    if image.ndim < 3 or x.shape != (image.shape[0], math.prod(image.shape[1:])) or _is_line(image):
        return None
    return image


def _is_line(value: Value) -> bool:
    """Whether moving the channels changes nothing but the shape: one cell per channel, or one channel."""
    return value.ndim > 2 and (value.shape[-1] == 1 or math.prod(value.shape[1:-1]) == 1)


def _reshape(writer: GraphWriter, node: Node) -> None:
    (y,) = node.outputs
    if writer.is_known(y):
        return None  # what a recurrent operator gives, or an operation of volumes
    x = _unshaped(writer, node)
    if x.shape == y.shape:
        return writer.defer(y, lambda layout: writer.get(x, layout), (LAST, FIRST))
    keeps_channels = min(x.ndim, y.ndim) > 2 and x.shape[-1] == y.shape[-1] and x.shape[0] == y.shape[0]
    targets = {layout: _target(writer, x, y, layout) for layout in (LAST, FIRST)}

    def write(layout: str) -> str:
        source = layout if keeps_channels else writer.layout(x) if _is_line(x) else LAST
        name = writer.get(x, source)
        if y.ndim == 2 and y.shape[0] == x.shape[0]:
            name = writer.emit("Flatten", [name], axis=1)
        else:
            name = writer.emit("Reshape", [name, writer.integers(targets[layout])])
        return name

    return writer.defer(y, write, (LAST, FIRST) if keeps_channels or _is_line(y) else (LAST,))


def _unshaped(writer: GraphWriter, node: Node) -> Value:
    """What the last of a row of reshapes begins with; what the file already has stays, as inside operations of volumes."""
    (x,) = node.inputs
    assert x is not None
    is_reshape = x.node is not None and x.node.op.name == "reshape"
    is_there = any(writer.exists(x, layout) for layout in (FIRST, LAST))
    return _unshaped(writer, x.node) if x.node is not None and is_reshape and not is_there else x


def _target(writer: GraphWriter, x: Value, y: Value, layout: str) -> list[int]:
    """The new shape: 0 keeps an open extent, -1 is what is left."""
    target = []
    for axis, (extent, is_open) in enumerate(zip(y.shape, writer.graph.open_axes(y), strict=True)):
        kept = axis == 0 and writer.graph.open_axes(x)[0] and x.shape[0] == extent
        target.append((0 if kept else -1) if is_open else extent)
    if target.count(-1) > 1:
        raise ValueError(f"one extent at most may depend on the batch size: expected one, got shape {y.shape}")
    if layout == FIRST and y.ndim > 2:
        target.insert(1, target.pop())
    return target


def _concatenate(writer: GraphWriter, node: Node) -> None:
    values = [value for value in node.inputs if value is not None]
    (y,) = node.outputs
    layout = writer.layout(*values)
    axis = node.attrs["axis"] % y.ndim
    if layout == FIRST and y.ndim > 2:
        axis = {0: 0, y.ndim - 1: 1}.get(axis, axis + 1)
    writer.bind(y, writer.emit("Concat", [writer.get(value, layout) for value in values], axis=axis), layout)


_BINARY = {
    "add": "Add",
    "divide": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "multiply": "Mul",
    "subtract": "Sub",
}


def _binary(writer: GraphWriter, node: Node) -> None:
    a, b = node.inputs
    (y,) = node.outputs
    assert a is not None and b is not None
    if writer.exists(y, FIRST):
        return  # a transposed convolution has taken it in as its bias
    layout = writer.layout(a, b)
    if any(value.ndim != y.ndim and not writer.is_constant(value) for value in (a, b)):
        layout = LAST  # values of other ranks align at the last axis
    names = [writer.operand(value, y.ndim, layout) for value in (a, b)]
    writer.bind(y, writer.emit(_BINARY[node.attrs["kind"]], names), layout)


def _cast(writer: GraphWriter, node: Node) -> None:
    """Half precision is a matter of the device: the file computes in float32."""
    (x,), (y,) = node.inputs, node.outputs
    assert x is not None
    layout = writer.layout(x)
    name = writer.get(x, layout)
    if wide(x.dtype) != wide(y.dtype):
        name = writer.emit("Cast", [name], to=writer.element_type(y))
    writer.bind(y, name, layout)


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {
    "dense": _dense,
    "reshape": _reshape,
    "concatenate": _concatenate,
    "binary": _binary,
    "cast": _cast,
}
