"""Reads an ONNX file as a Model that can be trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments, layers
from fastconv.layers._sizes import weights_within
from fastconv.models.functional import Model
from fastconv.onnx import (
    import_activations,
    import_cells,
    import_dense,
    import_images,
    import_norms,
    import_reductions,
    import_sequences,
    import_shapes,
    resizing,
)
from fastconv.onnx._package import onnx_package
from fastconv.onnx.importer import BATCH, Importer, Refused, Tensor
from fastconv.onnx.patterns import rewritten
from fastconv.onnx.reading import Endpoint, Graph, OnnxNode, file_errors, graph_of, label_of, parse
from fastconv.onnx.run_node import KERNELS, PLUMBING, UnsupportedNode, compute
from fastconv.onnx.writer import channels_first
from fastconv.saving.malformed import Malformed

__all__ = ["HANDLERS", "load"]

# ONNX operator, or a name of :mod:`fastconv.onnx.patterns` -> the function that makes a layer of a node.
_PARTS = (
    import_images,
    import_norms,
    import_dense,
    import_activations,
    import_cells,
    import_reductions,
    import_shapes,
    resizing,
)
HANDLERS = {op: handler for part in _PARTS for op, handler in part.HANDLERS.items()}
_SEVERAL = {**import_sequences.WHOLE, **import_cells.SEVERAL}  # that bind their results by themselves
OPERATORS = frozenset(HANDLERS) | frozenset(_SEVERAL)  # that become layers

# What a handler may run into with a node that is wrong or unusual; anything else is a bug of ours.
_BAD_NODE = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)

_CHANNELS_SECOND = {
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalMaxPool",
    "GlobalAveragePool",
    "BatchNormalization",
}
_CELL_BY_CELL = {"Affine", "Mul", "Add", "Sub", "Div", "Pad", "Relu", "Identity", "Dropout"}

_FLOATS = ("float32", "float64")


def load(source: Any, *, data_format: str | None = None) -> Model:
    """A trainable Model of the layers in an ONNX file, with the file's weights.

    Images are (N, H, W, C) at the model's inputs and outputs, as everywhere in fastconv: where the file has them channels
    first, they are transposed in meaning, and no layer does it. Batch normalisation stays a layer and trains.

    Args:
        source: path of the file, or its bytes.
        data_format: of images at the file's inputs, "channels_first" or "channels_last"; None finds it out: what fastconv has
            written says it, other files are channels first unless they begin with a Transpose.

    Returns:
        A functional Model, not compiled.

    Raises:
        CheckpointError: for a file that is malformed or damaged; names the place. Nothing else is opened.
        UnsupportedNode: (a ValueError) lists every node that no layer computes, with the reason.
        OSError: if the file cannot be read. ImportError: without the onnx package.

    Source: https://github.com/onnx/onnx/blob/main/docs/IR.md
    """
    if data_format is not None:
        _arguments.choice("load", "data_format", data_format, ("channels_first", "channels_last"))
    with file_errors(source):
        proto = parse(source)
        graph = graph_of(proto)
        _check(proto)
        del proto
        return _Loading(graph, data_format, label_of(source)).model()


def _check(proto: Any) -> None:
    """Attributes and arities, as each operator's definition has them."""
    try:
        onnx_package("load").checker.check_model(proto)
    except Exception as error:  # ValidationError, or what C++ throws at nonsense
        raise Malformed(f"onnx.checker refuses the file: {' '.join(str(error).split())[:500]}") from None


class _Loading:
    """One file on its way to a model."""

    def __init__(self, graph: Graph, data_format: str | None, label: str) -> None:
        self._graph = graph
        self._label = label
        self._refused: list[tuple[OnnxNode | str, str]] = []
        constants = dict(graph.weights)
        nodes = self._folded(graph.nodes, constants)
        rewritten_nodes = rewritten(nodes, constants, [endpoint.name for endpoint in graph.outputs])
        self._nodes = import_sequences.paired(rewritten_nodes, constants)
        consumers: dict[str, list[OnnxNode]] = {}
        for node in self._nodes:
            for name in node.inputs:
                consumers.setdefault(name, []).append(node)
        dtypes = {endpoint.dtype for endpoint in graph.inputs}
        batches = {endpoint.shape[0] for endpoint in graph.inputs if endpoint.shape and endpoint.shape[0]}
        dtype = dtypes.pop() if len(dtypes) == 1 else "float32"
        outputs = {endpoint.name for endpoint in graph.outputs}
        self._importer = Importer(dtype, batches, constants, consumers, outputs)
        self._data_format = data_format
        if data_format is None and graph.producer == "fastconv":
            self._data_format = graph.properties.get("data_format")
        self._last = self._data_format == "channels_last"

    def model(self) -> Model:
        importer = self._importer
        budget = 2 * sum(array.size for array in importer.constants.values()) + (1 << 16)
        with weights_within(budget):
            inputs = [self._input(endpoint) for endpoint in self._graph.inputs]
            if not self._refused:
                for node in self._nodes:
                    self._convert(node)
            outputs = [self._output(endpoint) for endpoint in self._graph.outputs]
        if not inputs and not self._refused:
            self._refused.append(("graph", "the model must have an input: got none"))
        if self._refused:
            listed = "; ".join(f"{place}: {why}" for place, why in self._refused)
            raise UnsupportedNode(
                f"[load] every node must become a layer (path={self._label!r}): got {len(self._refused)} that cannot: {listed}. "
                "Export the model without them, or run it as it is with fastconv.onnx.backend."
            )
        found = [output for output in outputs if output is not None]
        return Model(inputs, found[0] if len(found) == 1 else found)

    def _folded(self, nodes: list[OnnxNode], constants: dict[str, np.ndarray]) -> list[OnnxNode]:
        """Computes the nodes of constants; returns the others."""
        left = []
        for node in nodes:
            if all(name in constants for name in node.inputs if name) and self._fold(node, constants):
                continue
            left.append(node)
        return left

    def _fold(self, node: OnnxNode, constants: dict[str, np.ndarray]) -> bool:
        if node.op not in KERNELS and node.op not in PLUMBING:
            return False
        try:
            with np.errstate(all="ignore"):
                results = compute(node, [constants[name] if name else None for name in node.inputs])
        except (UnsupportedNode, MemoryError) as error:
            self._refused.append((node, str(error)))
            return True
        constants.update((name, y) for name, y in zip(node.outputs, results, strict=False) if name)
        return True

    def _input(self, endpoint: Endpoint) -> Any:
        importer = self._importer
        if endpoint.dtype not in _FLOATS or endpoint.dtype != importer.dtype:
            return self._refuse_input(
                endpoint, f"inputs must be of one dtype, {' or '.join(_FLOATS)}: got {endpoint.dtype}"
            )
        shape = endpoint.shape
        if shape is None or len(shape) < 2 or any(not extent for extent in shape[1:]):
            return self._refuse_input(
                endpoint, f"all extents but the batch's must be known and at least 1: got {shape}"
            )
        order = self._input_order(endpoint)
        sample = tuple(shape[order.index(axis)] or 1 for axis in range(1, len(shape)))
        symbol = layers.Input(sample, name=importer.unique(endpoint.name or "input"), dtype=importer.dtype)
        importer.tensors[endpoint.name] = Tensor(symbol, order)
        return symbol

    def _refuse_input(self, endpoint: Endpoint, why: str) -> None:
        self._refused.append((f"input {endpoint.name!r}", why))

    def _input_order(self, endpoint: Endpoint) -> tuple[int, ...]:
        rank = len(endpoint.shape or ())
        if rank in (3, 5) and self._is_read_channels_first(endpoint.name):
            return channels_first(rank)
        if rank != 4:
            return tuple(range(rank))
        is_last = self._last if self._data_format is not None else self._begins_with_transpose(endpoint.name)
        self._last = self._last or is_last
        return tuple(range(4)) if is_last else channels_first(4)

    def _begins_with_transpose(self, name: str) -> bool:
        """Whether everything that reads the input, by way of numbers added and multiplied, transposes it to channels first."""
        readers = self._importer.consumers.get(name, [])
        return bool(readers) and all(
            node.attrs.get("perm") == list(channels_first(4))
            if node.op == "Transpose"
            else node.op in _CELL_BY_CELL - {"Pad"} and self._begins_with_transpose(node.outputs[0])
            for node in readers
        )

    def _is_read_channels_first(self, name: str) -> bool:
        """Whether sequences or volumes go into an operator that has channels second, maybe by way of others cell by cell."""
        readers = self._importer.consumers.get(name, [])
        return any(
            node.op in _CHANNELS_SECOND or (node.op in _CELL_BY_CELL and self._is_read_channels_first(node.outputs[0]))
            for node in readers
        )

    def _convert(self, node: OnnxNode) -> None:
        importer = self._importer
        try:
            if node.op in ("Shape", "Size") and node.inputs[0] not in importer.constants:
                self._measure(node)
                return
            if import_sequences.is_zero_state(importer, node):
                importer.constants[node.outputs[0]] = import_sequences.zero_state(importer, node)
                return
            if all(name in importer.constants for name in node.inputs if name) and self._fold(node, importer.constants):
                return
            if node.outputs[0] in importer.tensors:
                return  # read with the node before it
            if node.op in _SEVERAL:
                _SEVERAL[node.op](importer, node)
                return
            if node.op not in HANDLERS:
                raise Refused("no layer computes this operator")
            if any(name and name not in importer.tensors and name not in importer.constants for name in node.inputs):
                return  # what it reads has been refused
            extra = [name for name in node.outputs[1:] if name in importer.consumers]
            if extra:
                raise Refused(f"only the first output may be used: got {extra}")
            importer.tensors[node.outputs[0]] = HANDLERS[node.op](importer, node)
        except _BAD_NODE as error:
            self._refused.append((node, " ".join(str(error).split())))

    def _measure(self, node: OnnxNode) -> None:
        """The shape of a tensor as numbers; a stand-in for the batch size."""
        tensor = self._importer.tensors.get(node.inputs[0])
        if tensor is None:
            return
        shape = np.array([extent or BATCH for extent in tensor.shape], np.int64)
        if node.op == "Size":
            raise Refused("the size of a tensor depends on the batch")
        self._importer.constants[node.outputs[0]] = shape[node.attrs.get("start", 0) : node.attrs.get("end")]

    def _output(self, endpoint: Endpoint) -> Any:
        tensor = self._importer.tensors.get(endpoint.name)
        if tensor is None:
            if not self._refused:
                self._refused.append(
                    (f"output {endpoint.name!r}", "it must depend on the model's input: got a constant")
                )
            return None
        is_volume = tensor.rank == 5 and tensor.order == channels_first(5)
        is_image = (tensor.rank == 4 or is_volume) and not self._last
        wanted = self._importer.image if is_image else self._importer.plain
        try:
            return wanted(tensor)
        except Refused as error:
            if tensor.cells is None and tensor.order in (tuple(range(tensor.rank)), channels_first(tensor.rank)):
                return tensor.symbol  # an image in the other order than the inputs; here all are channels last
            self._refused.append((f"output {endpoint.name!r}", str(error)))
            return None
        except _BAD_NODE as error:  # a layer beside it that its extents do not allow
            self._refused.append((f"output {endpoint.name!r}", " ".join(str(error).split())))
            return None
