"""Builds an ONNX graph beside a traced one, and knows in which order each tensor's axes are.

fastconv keeps channels last, ONNX's image operators want them second. A value of three or more axes may exist in the
file in either order (:data:`LAST`, :data:`FIRST`); a Transpose is written only where a node wants the order that is not
there. Weights are transposed here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.trace import Trace
from fastconv.ops.registry import apply, wide

__all__ = ["FIRST", "LAST", "GraphWriter", "channels_first", "channels_last"]

LAST, FIRST = "channels last", "channels first"


def channels_first(rank: int) -> tuple[int, ...]:
    """The permutation that brings the last axis to the second place."""
    return (0, rank - 1, *range(1, rank - 1))


def channels_last(rank: int) -> tuple[int, ...]:
    """The inverse of :func:`channels_first`."""
    return (0, *range(2, rank), 1)


class GraphWriter:
    """Nodes and initialisers of the graph that is being written.

    Attributes:
        nodes, initializers: protobuf messages, in order.
        opset: version of ONNX's operator set.
    """

    def __init__(self, onnx: Any, graph: Trace, opset: int, weight_names: dict[Value, str]) -> None:
        self.onnx = onnx
        self.graph = graph
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names: dict[Value, dict[str, str]] = {}  # of what exists in the file, by order of the axes
        self._deferred: dict[Value, tuple[Callable[[str], str], tuple[str, ...]]] = {}
        self._weight_names = dict(weight_names)
        self._constants: dict[Value, np.ndarray] = {}
        self._stored: dict[Any, str] = {}
        self._used: set[str] = set()  # names of tensors; nodes have names of their own
        self._used_nodes: set[str] = set()
        self._published: set[str] = set()
        self.consumers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.inputs:
                if value is not None:
                    self.consumers.setdefault(value, []).append(node)

    # Names.

    def unique(self, name: str) -> str:
        """``name`` for a tensor, with a number where it is taken."""
        return _numbered(name, self._used)

    def owner(self, node: Node) -> str | None:
        """The path of the layer whose weight the node reads."""
        paths = [self._weight_names[v] for v in node.inputs if v is not None and v in self._weight_names]
        return paths[0].rpartition("/")[0] if paths else None

    # Constants: weights, and what is computed from weights alone.

    def is_constant(self, value: Value) -> bool:
        """Whether its contents are known now."""
        return value in self._constants or hasattr(value, "array")

    def array(self, value: Any) -> np.ndarray:
        """The contents of a constant."""
        folded = self._constants.get(value)
        return value.array if folded is None else folded

    def fold(self, node: Node) -> bool:
        """Computes a node of constants; False if it depends on the model's input."""
        if not all(value is None or self.is_constant(value) for value in node.inputs):
            return False
        arrays: list[Any] = [None if v is None else self.array(v) for v in node.inputs]
        if node.op.name == "cast":
            results: Any = arrays[0].astype(wide(node.outputs[0].dtype))  # never to 16 bits: that is for the device
        else:
            results = apply(node.op, *arrays, **node.attrs)
        results = results if isinstance(results, tuple) else (results,)
        path = next((self._weight_names[v] for v in node.inputs if v in self._weight_names), None)
        for value, result in zip(node.outputs, results, strict=True):
            self._constants[value] = result
            if path is not None:
                self._weight_names[value] = path
        return True

    def weight(self, value: Value, transform: Callable[[np.ndarray], np.ndarray] = np.asarray, form: Any = "") -> str:
        """A constant as an initialiser; ``form`` says what ``transform`` does, so that equal ones are stored once."""
        key = (value, form)
        if key not in self._stored:
            self._stored[key] = self.store(self._weight_names.get(value, "constant"), transform(self.array(value)))
        return self._stored[key]

    def store(self, name: str, array: Any) -> str:
        """An initialiser with these contents."""
        name = self.unique(name)
        self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def scalar(self, number: float, value: Value) -> str:
        """A number of ``value``'s dtype as an initialiser."""
        key = ("scalar", number, wide(value.dtype))
        if key not in self._stored:
            self._stored[key] = self.store(f"scalar_{number:g}", np.asarray(number, wide(value.dtype)))
        return self._stored[key]

    def filled(self, number: float, size: int, value: Value) -> str:
        """``size`` times the same number of ``value``'s dtype, as an initialiser."""
        key = ("filled", number, size, wide(value.dtype))
        if key not in self._stored:
            self._stored[key] = self.store(f"filled_{number:g}", np.full(size, number, wide(value.dtype)))
        return self._stored[key]

    def floats(self, numbers: Sequence[float]) -> str:
        """float32 numbers as an initialiser, for operators that take scales as an input."""
        key = ("floats", tuple(numbers))
        if key not in self._stored:
            self._stored[key] = self.store("floats", np.asarray(numbers, np.float32))
        return self._stored[key]

    def integers(self, numbers: Sequence[int]) -> str:
        """int64 numbers as an initialiser, for operators that take shapes and axes as inputs."""
        key = ("integers", tuple(numbers))
        if key not in self._stored:
            text = "_".join(map(str, numbers))
            self._stored[key] = self.store(f"ints_{text}", np.asarray(numbers, np.int64).reshape(-1))
        return self._stored[key]

    def element_type(self, value: Value) -> int:
        """ONNX's number of a value's dtype in the file."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(wide(value.dtype)))

    # Nodes.

    def emit(self, kind: str, inputs: Sequence[str], name: str | None = None, **attributes: Any) -> str:
        """Writes a node of ONNX operator ``kind``; returns its output's name."""
        name = _numbered(name or kind.lower(), self._used_nodes)
        output = self.unique(f"{name}/y")
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], name=name, **given))
        return output

    def emit_several(self, kind: str, inputs: Sequence[str], count: int, name: str, **attributes: Any) -> list[str]:
        """As :meth:`emit` for an operator of several outputs."""
        first = self.emit(kind, inputs, name, **attributes)
        others = [self.unique(f"{first}_{i}") for i in range(1, count)]
        self.nodes[-1].output.extend(others)
        return [first, *others]

    def bind(self, value: Value, name: str, layout: str = LAST) -> None:
        """Says that ``value`` exists in the file under ``name``, with its axes in this order."""
        self._names.setdefault(value, {})[_order(value, layout)] = name

    def defer(self, value: Value, write: Callable[[str], str], layouts: tuple[str, ...]) -> None:
        """``write(layout)`` will write ``value``, in one of ``layouts``, and return its name when it is first asked for."""
        self._deferred[value] = (write, layouts)

    def publish(self, name: str, output: str) -> None:
        """Makes the tensor ``name`` an output of the graph: under that name, where it has no other duty."""
        makers = [node for node in self.nodes if name in node.output]
        if not makers or name in self._published:
            self.nodes.append(self.onnx.helper.make_node("Identity", [name], [output], name=output))
            return
        self._published.add(output)
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [output if other == name else other for other in names]
        for layouts in self._names.values():
            layouts.update({layout: output for layout, other in layouts.items() if other == name})

    def layout(self, *values: Value) -> str:
        """The order in which all of these exist, where one of them already does: channels first, if in doubt."""
        images = [value for value in values if value.ndim > 2 and not self.is_constant(value)]
        return FIRST if any(FIRST in self._orders(value) for value in images) or not images else LAST

    def _orders(self, value: Value) -> Iterable[str]:
        """The orders in which a value exists, or can be written without a Transpose."""
        found = self._names.get(value)
        return found if found else self._deferred[value][1]

    def get(self, value: Value, layout: str = LAST) -> str:
        """The name of ``value`` with its axes in this order; a Transpose is written where it is not there yet."""
        layout = _order(value, layout)
        if self.is_constant(value):
            permutation = channels_first(value.ndim) if layout == FIRST else tuple(range(value.ndim))
            return self.weight(value, lambda array: array.transpose(permutation), permutation)
        found = self._names.setdefault(value, {})
        if layout in found:
            return found[layout]
        if not found:
            write, layouts = self._deferred[value]
            if layout in layouts:
                found[layout] = write(layout)
                return found[layout]
            found[LAST] = write(LAST)
        permutation = channels_first(value.ndim) if layout == FIRST else channels_last(value.ndim)
        other = next(iter(found.values()))
        found[layout] = self.emit("Transpose", [other], perm=permutation)
        return found[layout]

    def operand(self, value: Value, rank: int, layout: str) -> str:
        """``value`` as one side of an elementwise node whose result has ``rank`` axes in this order."""
        if not self.is_constant(value) or layout == LAST or rank < 3:
            return self.get(value, layout)

        def arranged(array: np.ndarray) -> np.ndarray:
            whole = array.reshape((1,) * (rank - array.ndim) + array.shape).transpose(channels_first(rank))
            return whole[0] if whole.shape[0] == 1 else whole

        return self.weight(value, arranged, ("operand", rank))

    def extent(self, value: Value, axis: int, layout: str) -> int:
        """The extent of an axis, counted in this order."""
        is_first = _order(value, layout) == FIRST
        return value.shape[channels_first(value.ndim)[axis] if is_first else axis]

    def exists(self, value: Value, layout: str) -> bool:
        """Whether ``value`` is in the file with its axes in this order."""
        return layout in self._names.get(value, {})

    def is_known(self, value: Value) -> bool:
        """Whether ``value`` is in the file, or what writes it there is."""
        return value in self._names or value in self._deferred


def _numbered(name: str, used: set[str]) -> str:
    candidate, count = name, 0
    while candidate in used:
        count += 1
        candidate = f"{name}_{count}"
    used.add(candidate)
    return candidate


def _order(value: Value, layout: str) -> str:
    return layout if value.ndim > 2 else LAST
