"""Reads an ONNX file, which may be anybody's, into nodes and arrays; every rule is checked before an array is made.

Nothing in a file is ever run, and no other file is opened because of it: tensors kept outside are refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.onnx._package import onnx_package
from fastconv.saving.container import open_regular
from fastconv.saving.foreign import foreign_format
from fastconv.saving.malformed import Malformed, checkpoint_errors
from fastconv.saving.paths import checked_path

__all__ = ["Endpoint", "Graph", "OnnxNode", "file_errors", "graph_of", "label_of", "node_of", "parse"]

_MOST_BYTES = 2**31 - 1  # of one protobuf message
_OWN_DOMAINS = ("", "ai.onnx")


@dataclass(eq=False)
class OnnxNode:
    """One node. ``attrs`` are plain Python values, tensors NumPy arrays; an input that is left out is ""."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attrs: dict[str, Any]
    opset: int
    index: int = -1

    def __str__(self) -> str:
        return f"node {self.index} {self.op} {self.name!r}"


@dataclass(eq=False)
class Endpoint:
    """An input or output of the graph: its extents, None where they are open, or None if even their number is."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(eq=False)
class Graph:
    """What a model says, checked: names are made before they are read, and once."""

    inputs: list[Endpoint]
    outputs: list[Endpoint]
    nodes: list[OnnxNode]
    weights: dict[str, np.ndarray]
    opset: int
    producer: str = ""
    properties: dict[str, str] = field(default_factory=dict)


@contextmanager
def file_errors(source: Any) -> Iterator[None]:
    """Turns :class:`Malformed` into the CheckpointError that names the file."""
    with checkpoint_errors("load", label_of(source), "Load an undamaged ONNX file; onnx.checker says more about it."):
        yield


def label_of(source: Any) -> str:
    """What messages call a path or bytes; TypeError for anything else."""
    return "<bytes>" if isinstance(source, (bytes, bytearray, memoryview)) else checked_path(source, "load")


def parse(source: Any) -> Any:
    """The ``onnx.ModelProto`` in a file, or in bytes.

    Raises:
        Malformed: if it is none. OSError: if the file cannot be read. TypeError: for another kind of source.
    """
    onnx = onnx_package("load")
    content = bytes(source) if isinstance(source, (bytes, bytearray, memoryview)) else _read(source)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except Exception as error:  # protobuf's own; its class depends on the implementation
        raise Malformed(
            f"not an ONNX file, or one cut short: expected a protobuf ModelProto, got {error}; the file is "
            f"{foreign_format(content[:128])}"
        ) from None
    if not proto.HasField("graph"):
        raise Malformed(f"not an ONNX file: expected a graph, got none; the file is {foreign_format(content[:128])}")
    return proto


def _read(path: Any) -> bytes:
    name = checked_path(path, "load")
    with open_regular(name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise Malformed(f"file must be one protobuf message: expected at most {_MOST_BYTES} bytes, got {size}")
        return file.readall()


def graph_of(proto: Any) -> Graph:
    """The checked contents of a ModelProto.

    Raises:
        Malformed: for what breaks a rule of the format; names the place.
    """
    opset = _opset(proto)
    graph = proto.graph
    if graph.sparse_initializer:
        raise Malformed("weights must be dense: got sparse initialisers")
    weights = {}
    for tensor in graph.initializer:
        if tensor.name in weights:
            raise Malformed(f"initialisers must have names of their own: got {tensor.name[:200]!r} twice")
        weights[tensor.name] = array_of(tensor, f"initialiser {tensor.name[:200]!r}")
    nodes = [node_of(node, i, opset) for i, node in enumerate(graph.node)]
    inputs = [_endpoint(info) for info in graph.input if info.name not in weights]
    outputs = [_endpoint(info) for info in graph.output]
    _check_names(inputs, outputs, nodes, weights)
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    return Graph(inputs, outputs, nodes, weights, opset, proto.producer_name, properties)


def _opset(proto: Any) -> int:
    """The version of ONNX's own operators; the newest one where a graph uses none of them."""
    newest = onnx_package("load").defs.onnx_opset_version()
    versions = [entry.version for entry in proto.opset_import if entry.domain in _OWN_DOMAINS]
    if not versions and all(node.domain not in _OWN_DOMAINS for node in proto.graph.node):
        return newest
    if len(versions) != 1 or versions[0] < 1:
        raise Malformed(f"opset_import must name one version of ONNX's operators: got {versions}")
    if versions[0] > newest:
        raise Malformed(f"opset_import must be known to the onnx package: expected <= {newest}, got {versions[0]}")
    return versions[0]


def array_of(tensor: Any, place: str) -> np.ndarray:
    """The contents of a TensorProto, after a look at its size."""
    onnx = onnx_package("load")
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        raise Malformed(
            f"{place} must lie in the file itself: got external data at {where[:200]!r}, which is not opened; "
            "write the model with onnx.save(model, path, save_as_external_data=False)"
        )
    if any(extent < 0 for extent in tensor.dims):
        raise Malformed(f"{place} must have extents >= 0: got {list(tensor.dims)}")
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # whatever NumPy and onnx say to contents that do not fit the shape
        raise Malformed(f"{place} must hold as many numbers as its shape says: got {_line(error)}") from None
    if array.shape != tuple(tensor.dims) or math.prod(array.shape) != array.size:
        raise Malformed(f"{place} must have its shape: expected {list(tensor.dims)}, got {array.shape}")
    return array


def node_of(node: Any, index: int, opset: int) -> OnnxNode:
    """The contents of a NodeProto."""
    onnx = onnx_package("load")
    op = node.op_type if node.domain in _OWN_DOMAINS else f"{node.domain}.{node.op_type}"
    read = OnnxNode(op[:200], node.name[:200], list(node.input), list(node.output), {}, opset, index)
    for attribute in node.attribute:
        if attribute.name in read.attrs:
            raise Malformed(f"{read}: attributes must have names of their own: got {attribute.name[:200]!r} twice")
        if attribute.type == onnx.AttributeProto.TENSOR:
            value: Any = array_of(attribute.t, f"{read}: attribute {attribute.name[:200]!r}")
        else:
            value = _attribute(onnx, attribute, read)
        read.attrs[attribute.name] = value
    return read


def _attribute(onnx: Any, attribute: Any, node: OnnxNode) -> Any:
    try:
        value = onnx.helper.get_attribute_value(attribute)
    except ValueError as error:
        raise Malformed(f"{node}: attribute {attribute.name[:200]!r} cannot be read: got {_line(error)}") from None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type == onnx.AttributeProto.STRINGS:
        return [text.decode("utf-8", "replace") for text in value]
    return list(value) if attribute.type >= onnx.AttributeProto.FLOATS and hasattr(value, "__iter__") else value


def _endpoint(info: Any) -> Endpoint:
    onnx = onnx_package("load")
    if not info.type.HasField("tensor_type"):
        return Endpoint(info.name, f"no tensor but {info.type.WhichOneof('value')}", None)
    kind = info.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    except (KeyError, ValueError):
        dtype = f"element type {kind.elem_type}"
    if not kind.HasField("shape"):
        return Endpoint(info.name, dtype, None)
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    if any(extent is not None and extent < 0 for extent in shape):
        raise Malformed(f"{info.name[:200]!r} must have extents >= 0: got {shape}")
    return Endpoint(info.name, dtype, shape)


def _check_names(
    inputs: list[Endpoint], outputs: list[Endpoint], nodes: list[OnnxNode], weights: dict[str, np.ndarray]
) -> None:
    """Every name is made once, and before it is read: so there are no cycles and nothing is missing."""
    known = {"", *weights}
    for endpoint in inputs:
        if endpoint.name in known:
            raise Malformed(f"inputs must have names of their own: got {endpoint.name[:200]!r} twice")
        known.add(endpoint.name)
    for node in nodes:
        for name in node.inputs:
            if name not in known:
                raise Malformed(
                    f"{node} must read what is made before it: got {name[:200]!r}, which is neither an input nor an "
                    "initialiser nor made by an earlier node (a missing weight, or a cycle)"
                )
        for name in node.outputs:
            if name and name in known:
                raise Malformed(f"{node} must make a name of its own: got {name[:200]!r}, which exists already")
            known.add(name)
    for endpoint in outputs:
        if endpoint.name not in known or not endpoint.name:
            raise Malformed(f"outputs must be made by the graph: got {endpoint.name[:200]!r}, which nothing makes")
    if not outputs:
        raise Malformed("the graph must have an output: got none")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
