"""How recurrent layers and embeddings are written: RNN, LSTM, GRU and Gather.

ONNX's recurrent operators take in the projection of their inputs, have steps first, and gates in an order of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.writer import LAST, GraphWriter

__all__ = ["ACTIVATIONS", "EXPORTERS", "OPERATORS", "is_projection"]

# Kind of ours -> the operator, and where its gates are among ours: of lstm i o f c, and i f c o.
OPERATORS: dict[str, tuple[str, tuple[int, ...]]] = {
    "simple_rnn": ("RNN", (0,)),
    "lstm": ("LSTM", (0, 3, 1, 2)),
    "gru": ("GRU", (0, 1, 2)),
    "gru_before": ("GRU", (0, 1, 2)),
}

# Activation of ours -> its name there, with alpha and beta where it has them.
ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "linear": ("Affine", (1.0, 0.0)),
    "relu": ("Relu", ()),
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "elu": ("Elu", (1.0,)),
    "softplus": ("Softplus", ()),
}
_STEPS_FIRST = (1, 0, 2)
_BEFORE_THE_FIRST = -(2**63) + 1


def is_projection(writer: GraphWriter, node: Node) -> bool:
    """Whether a dense product is the projection of a recurrent layer's inputs, which its operator takes in."""
    readers = writer.consumers.get(node.outputs[0], [])
    constant = all(value is None or writer.is_constant(value) for value in node.inputs[1:])
    return bool(readers) and constant and all(reader.op.name == "rnn" for reader in readers)


def _arranged(writer: GraphWriter, value: Value, kind: str) -> str:
    """Weights (rows, gates · U) as ONNX has them: (1, gates · U, rows)."""
    gates = OPERATORS[kind][1]

    def arrange(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, len(gates), axis=1)[i] for i in gates], axis=1).T[None]

    return writer.weight(value, arrange, ("gates", gates))


def _bias(writer: GraphWriter, owner: str, kind: str, biases: tuple[Value | None, Value | None], like: Value) -> str:
    """Of the inputs and of the recurrent product, one behind the other; "" where there is none."""
    if biases == (None, None):
        return ""
    gates, count = OPERATORS[kind][1], like.shape[1]
    arrays = [np.zeros(count, like.dtype) if b is None else writer.array(b) for b in biases]
    ordered = [np.split(array, len(gates))[i] for array in arrays for i in gates]
    return writer.store(f"{owner}/bias", np.concatenate(ordered)[None])


def _functions(attrs: dict[str, Any]) -> dict[str, Any]:
    """The operator's attributes of its activations: of the gates, of the candidate, of the result."""
    kinds = {"simple_rnn": ("activation",), "lstm": ("gate_activation", "activation", "activation")}
    names, numbers = [], []
    for argument in kinds.get(attrs["kind"], ("gate_activation", "activation")):
        kind = attrs[argument][0]
        if kind not in ACTIVATIONS:
            raise ValueError(f"ONNX's recurrent operators have no {kind}: expected one of {', '.join(ACTIVATIONS)}")
        name, parameters = ACTIVATIONS[kind]
        names.append(name)
        numbers.append(parameters)
    alphas = [p[0] for p in numbers if p]
    betas = [p[1] for p in numbers if len(p) > 1]
    return {"activations": names, "activation_alpha": alphas or None, "activation_beta": betas or None}


def _is_last(node: Node, step: int) -> bool:
    """Whether the node takes one step of a sequence and no other."""
    if node.op.name != "crop" or node.inputs[0] is None:
        return False
    steps = node.inputs[0].shape[1]
    return node.attrs["widths"] == ((0, 0), (step, steps - 1 - step), (0, 0))


def _rnn(writer: GraphWriter, node: Node) -> None:
    p, recurrent, bias, *states = node.inputs
    assert p is not None and recurrent is not None
    if p.node is None or p.node.op.name != "dense" or not is_projection(writer, p.node):
        raise ValueError("its inputs must be a product with constant weights that nothing else reads")
    if not all(value is None or writer.is_constant(value) for value in (recurrent, bias)):
        raise ValueError("its recurrent weights must be constant")
    x, kernel, bias_inputs = p.node.inputs
    assert x is not None and kernel is not None
    kind, attrs = node.attrs["kind"], node.attrs
    owner = writer.owner(node) or kind
    inputs = [
        writer.emit("Transpose", [writer.get(x, LAST)], perm=_STEPS_FIRST),
        _arranged(writer, kernel, kind),
        _arranged(writer, recurrent, kind),
        _bias(writer, owner, kind, (bias_inputs, bias), recurrent),
        "",
    ]
    inputs += ["" if s is None else writer.emit("Unsqueeze", [writer.get(s), writer.integers([0])]) for s in states]
    while not inputs[-1]:
        inputs.pop()
    operator = OPERATORS[kind][0]
    found = writer.emit_several(
        operator,
        inputs,
        3 if operator == "LSTM" else 2,
        owner,
        hidden_size=recurrent.shape[0],
        direction="reverse" if attrs["reverse"] else "forward",
        linear_before_reset=int(kind == "gru") if operator == "GRU" else None,
        **_functions(attrs),
    )
    _bind_results(writer, node, found)


def _bind_results(writer: GraphWriter, node: Node, found: list[str]) -> None:
    """The sequence, and what its last step is taken for."""
    y, *others = node.outputs
    attrs, steps = node.attrs, y.shape[1]
    last = 0 if attrs["reverse"] and attrs["aligned"] else steps - 1
    in_order_of_steps = attrs["reverse"] and not attrs["aligned"]

    def write(layout: str) -> str:
        name = writer.emit("Squeeze", [found[0], writer.integers([1])])
        if in_order_of_steps:
            bounds = [[-1], [_BEFORE_THE_FIRST], [0], [-1]]  # start, end, axis, step
            name = writer.emit("Slice", [name, *(writer.integers(b) for b in bounds)])
        return writer.emit("Transpose", [name], perm=_STEPS_FIRST)

    writer.defer(y, write, (LAST,))
    cells = others[:1] if len(found) > 2 else []
    for value, name in zip([y, *cells], found[1:], strict=True):
        for reader in writer.consumers.get(value, []):
            if _is_last(reader, last):
                _bind_last(writer, reader.outputs[0], name)
            elif value is not y:
                raise ValueError("ONNX has the cell's state after the last step alone")


def _bind_last(writer: GraphWriter, step: Value, name: str) -> None:
    """The state behind the last step, (1, N, U) in the file; here a step (N, 1, U) that is reshaped to (N, U)."""
    writer.defer(step, lambda layout: writer.emit("Transpose", [name], perm=_STEPS_FIRST), (LAST,))
    flat = (step.shape[0], step.shape[2])
    for reader in writer.consumers.get(step, []):
        if reader.op.name == "reshape" and reader.outputs[0].shape == flat:
            writer.bind(reader.outputs[0], writer.emit("Squeeze", [name, writer.integers([0])]))


def _embedding(writer: GraphWriter, node: Node) -> None:
    ids, table = node.inputs
    assert ids is not None and table is not None
    whole = writer.emit("Cast", [writer.get(ids, LAST)], to=writer.onnx.TensorProto.INT64)
    inputs = [writer.get(table, LAST) if not writer.is_constant(table) else writer.weight(table), whole]
    writer.bind(node.outputs[0], writer.emit("Gather", inputs, writer.owner(node) or "embedding", axis=0), LAST)


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {"rnn": _rnn, "embedding": _embedding}
