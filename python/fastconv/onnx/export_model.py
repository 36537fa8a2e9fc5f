"""Writes a model as an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastconv import _arguments
from fastconv.graph import Node
from fastconv.onnx import (
    export_activations,
    export_dense,
    export_images,
    export_resizing,
    export_sequences,
    export_volumes,
)
from fastconv.onnx._package import onnx_package
from fastconv.onnx.trace import trace
from fastconv.onnx.writer import FIRST, LAST, GraphWriter
from fastconv.saving.atomic import atomic_write
from fastconv.saving.paths import checked_path

__all__ = ["OPSETS", "export", "to_proto"]

OPSETS = range(13, 22)
_LAYOUTS = {"channels_last": LAST, "channels_first": FIRST}
_MOST_BYTES = 2**31 - 1  # of one protobuf message (protobuf.dev, "Proto Limitations")

# Operation of fastconv.ops -> the function that writes a traced node of it.
EXPORTERS = {
    **export_images.EXPORTERS,
    **export_resizing.EXPORTERS,
    **export_volumes.EXPORTERS,
    **export_dense.EXPORTERS,
    **export_activations.EXPORTERS,
    **export_sequences.EXPORTERS,
}


def export(
    model: Any,
    path: Any,
    opset: int = 17,
    *,
    data_format: str = "channels_last",
    class_names: Sequence[str] | None = None,
) -> None:
    """Writes a model's inference as an ONNX file, atomically: a crash leaves the old file or the new one.

    The graph is the usual one of image models: channels first, one node per layer and activation, weights transposed once. The
    batch size stays open. What is written has passed ``onnx.checker`` with shape inference.

    Args:
        model: built; Sequential, Model, or a model with a ``call`` of its own that uses ``fastconv.ops``.
        path: usually ends in ``.onnx``.
        opset: version of ONNX's operator set, 13 to 21.
        data_format: of images at the inputs and outputs. "channels_last", the default, takes the very arrays that
            ``model.predict`` takes, for one Transpose at the input; "channels_first" is what PyTorch's exports take.
        class_names: one per output of a classifier; kept as JSON in the file's metadata.

    Raises:
        ValueError: for an operation without a counterpart (all of them are listed), or a model of more than 2 GiB.
        RuntimeError: if the model has no input shape yet. OSError: if the file cannot be written.
        ImportError: without the onnx package.

    Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md
    """
    checked_path(path, "export")
    text = to_proto(model, opset, data_format=data_format, class_names=class_names).SerializeToString()
    with atomic_write(path) as file:
        file.write(text)


def to_proto(
    model: Any, opset: int = 17, *, data_format: str = "channels_last", class_names: Sequence[str] | None = None
) -> Any:
    """The ``onnx.ModelProto`` that :func:`export` writes; the same arguments and errors."""
    opset = _arguments.integer("export", "opset", opset, least=OPSETS[0], most=OPSETS[-1])
    layout = _LAYOUTS[_arguments.choice("export", "data_format", data_format, _LAYOUTS)]
    names = _checked_names(class_names)
    onnx = onnx_package("export")
    graph = trace(model)
    size = sum(variable.size * int(variable.dtype[-2:]) // 8 for variable in model.weights)
    if size > _MOST_BYTES:
        raise ValueError(
            f"[export] a file holds at most 2 GiB: expected weights of up to {_MOST_BYTES} bytes, got {size}. "
            "Save the model as .safetensors."
        )
    writer = GraphWriter(onnx, graph, opset, {variable: path for path, variable in model.weights_by_path().items()})
    input_names = _endpoint_names(writer, model, "inputs", len(graph.inputs))
    inputs = [_write_input(writer, v, name, layout) for v, name in zip(graph.inputs, input_names, strict=True)]
    _write_nodes(writer)
    output_names = _endpoint_names(writer, model, "outputs", len(graph.outputs))
    outputs = [_write_output(writer, v, name, layout) for v, name in zip(graph.outputs, output_names, strict=True)]
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(writer.nodes, model.name, inputs, outputs, writer.initializers),
        producer_name="fastconv",
        producer_version=_version(),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]),
    )
    properties = {"data_format": data_format}
    if names is not None:
        properties["class_names"] = json.dumps(names)
    onnx.helper.set_model_props(proto, properties)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _checked_names(names: Any) -> list[str] | None:
    if names is None:
        return None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"[export] class_names must be strings: expected a list of str, got class_names={names!r}. Pass a list."
        )
    return list(names)


def _version() -> str:
    import fastconv

    return fastconv.__version__


def _endpoint_names(writer: GraphWriter, model: Any, kind: str, count: int) -> list[str]:
    """Names of the model's inputs or outputs: those of the layers that make them, where the model knows them."""
    tensors = getattr(model, kind, None) or [None] * count
    fallback = kind[:-1]
    return [writer.unique(t.layer.name if t is not None else f"{fallback}_{i}") for i, t in enumerate(tensors)]


def _write_input(writer: GraphWriter, value: Any, name: str, layout: str) -> Any:
    order = layout if value.ndim == 4 else LAST
    writer.bind(value, name, order)
    return _info(writer, value, name, order)


def _info(writer: GraphWriter, value: Any, name: str, layout: str) -> Any:
    shape: list[Any] = [
        ("batch" if axis == 0 else None) if is_open else extent
        for axis, (extent, is_open) in enumerate(zip(value.shape, writer.graph.open_axes(value), strict=True))
    ]
    if layout == FIRST:
        shape.insert(1, shape.pop())
    return writer.onnx.helper.make_tensor_value_info(name, writer.element_type(value), shape)


def _write_nodes(writer: GraphWriter) -> None:
    """Writes every node, or raises one error that lists all that cannot be written."""
    refused: list[tuple[Node, str]] = []
    unwritten: set[Node | None] = set()  # the refused ones and all that depends on them
    for node in writer.graph.nodes:
        if any(value is not None and value.node in unwritten for value in node.inputs):
            unwritten.add(node)
            continue
        if writer.fold(node):
            continue
        try:
            if node.op.name not in EXPORTERS:
                raise ValueError("no ONNX form of it is known here")
            EXPORTERS[node.op.name](writer, node)
        except ValueError as error:
            refused.append((node, str(error)))
            unwritten.add(node)
    if refused:
        listed = "; ".join(f"{node.op.where(node.attrs)}: {why}" for node, why in refused)
        raise ValueError(
            f"[export] every operation must have an ONNX form: expected one of {', '.join(sorted(EXPORTERS))}, got {listed}. "
            "Use other layers, or another opset."
        )


def _write_output(writer: GraphWriter, value: Any, name: str, layout: str) -> Any:
    order = layout if value.ndim == 4 else LAST
    writer.publish(writer.get(value, order), name)
    return _info(writer, value, name, order)
