"""ONNX's recurrent operators and Gather as layers.

A recurrent operator has an axis of directions in every result. Where that is squeezed right behind it, as exporters do, the
operator and its Squeeze are one layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.onnx.export_sequences import ACTIVATIONS, OPERATORS
from fastconv.onnx.importer import Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode

__all__ = ["HANDLERS", "WHOLE", "is_zero_state"]

_STEPS_FIRST = (1, 0, 2)
_KINDS: dict[str, tuple[Any, str, list[str]]] = {
    "RNN": (layers.SimpleRNN, "simple_rnn", ["Tanh"]),
    "LSTM": (layers.LSTM, "lstm", ["Sigmoid", "Tanh", "Tanh"]),
    "GRU": (layers.GRU, "gru", ["Sigmoid", "Tanh"]),
}


def _in_our_order(kind: str, gates: np.ndarray) -> np.ndarray:
    """Rows (gates · U, …) of the operator with the gates as ours."""
    theirs = OPERATORS[kind][1]
    parts = np.split(gates, len(theirs))
    return np.concatenate([parts[theirs.index(i)] for i in range(len(theirs))])


def _activations(node: OnnxNode, default: list[str]) -> list[str]:
    """Our names of the operator's activations; their numbers are given one after another to those that take some."""
    alphas, betas = (list(node.attrs.get(f"activation_{name}", [])) for name in ("alpha", "beta"))
    found = []
    for given in node.attrs.get("activations", default):
        ours = next((name for name, (theirs, _) in ACTIVATIONS.items() if theirs.lower() == given.lower()), None)
        if ours is None:
            raise Refused(f"the activation is not known: expected one of {', '.join(ACTIVATIONS)}, got {given}")
        numbers = ACTIVATIONS[ours][1]
        own = tuple(source.pop(0) for source, _ in zip((alphas, betas), numbers, strict=False) if source)
        if not np.allclose(own or _DEFAULTS.get(ours, numbers), numbers, rtol=1e-5):
            raise Refused(f"{given} must have the numbers of {ours}: expected {numbers}, got {own or 'the default'}")
        found.append(ours)
    return found


_DEFAULTS = {"hard_sigmoid": (0.2, 0.5)}  # ONNX's, where they are not ours


def _settings(node: OnnxNode, kind: str, default: list[str]) -> dict[str, Any]:
    for name in ("clip", "input_forget", "layout"):
        if node.attrs.get(name, 0):
            raise Refused(f"{name} must be 0: got {node.attrs[name]}")
    names = _activations(node, default)
    if kind == "simple_rnn":
        return {"activation": names[0]}
    if len(set(names[1:])) > 1:
        raise Refused(f"candidate and result must have one activation: got {names[1:]}")
    settings = {"recurrent_activation": names[0], "activation": names[1]}
    return settings | ({"reset_after": bool(node.attrs.get("linear_before_reset", 0))} if kind == "gru" else {})


def _weights(importer: Importer, node: OnnxNode, kind: str, reset_after: bool) -> list[np.ndarray]:
    w, r = importer.constant(node, 1, "weights"), importer.constant(node, 2, "recurrent weights")
    if w.ndim != 3 or r.ndim != 3 or len(w) != 1:
        raise Refused(f"there must be one direction: got weights {list(w.shape)}")
    weights = [np.ascontiguousarray(_in_our_order(kind, a[0]).T) for a in (w, r)]
    bias = importer.optional(node, 3, "bias")
    if bias is None:
        return weights
    of_inputs, of_state = (_in_our_order(kind, half) for half in np.split(bias[0], 2))
    return [*weights, np.stack([of_inputs, of_state]) if reset_after else of_inputs + of_state]


def _recurrent(importer: Importer, node: OnnxNode) -> None:
    make, kind, default = _KINDS[node.op]
    tensor = importer.tensor(node)
    if tensor.order != _STEPS_FIRST or tensor.cells is not None:
        raise Refused(f"the steps must be first, made so by a Transpose of (N, T, D): got axes {tensor.order}")
    for place, what in ((4, "sequence_lens"), (5, "initial_h"), (6, "initial_c"), (7, "peepholes")):
        given = importer.optional(node, place, what)
        if given is not None and given.any():
            raise Refused(f"{what} must be left out: got a constant")
    settings = _settings(node, kind, default)
    weights = _weights(importer, node, kind, settings.get("reset_after", False))
    names = [name if name in importer.consumers else "" for name in (*node.outputs, "", "", "")[:3]]
    backwards = node.attrs.get("direction", "forward") == "reverse"
    settings |= {
        "use_bias": len(weights) > 2,
        "go_backwards": backwards,
        "return_sequences": bool(names[0]),
        "return_state": bool(names[2] or (names[0] and names[1])),
    }
    units = weights[1].shape[0]
    result: Any = importer.add(node, partial(make, units, **settings), tensor.symbol, weights)
    found = result if isinstance(result, list) else [result]
    _give_sequence(importer, names[0], found[0], backwards)
    _give(importer, names[1], 0, found[min(1, len(found) - 1)], (0, 1))
    _give(importer, names[2], 0, found[-1], (0, 1))
    if not any(names):
        raise Refused("its results must be squeezed: got none that is read")


def is_zero_state(importer: Importer, node: OnnxNode) -> bool:
    """Whether a node makes the zeros that recurrent operators begin with, as PyTorch writes them out for every batch."""
    readers = importer.consumers.get(node.outputs[0], [])
    is_zero = node.op == "ConstantOfShape" and not np.any(node.attrs.get("value", 0))
    return is_zero and bool(readers) and all(reader.op in _KINDS for reader in readers)


def _give(importer: Importer, name: str, axis: int, symbol: SymbolicTensor, order: tuple[int, ...]) -> list[str]:
    """Binds what the readers of a result make of it, which must be that without its axis of directions."""
    outputs = []
    for reader in importer.consumers.get(name, []) if name else []:
        if reader.op != "Squeeze" or importer.integers(reader, "axes") != [axis]:
            raise Refused(f"the axis of directions must be squeezed: got {reader.op} behind it")
        importer.tensors[reader.outputs[0]] = Tensor(symbol, order)
        outputs.append(reader.outputs[0])
    return outputs


def _give_sequence(importer: Importer, name: str, symbol: SymbolicTensor, backwards: bool) -> None:
    """The results of all steps; going backwards they are at the time of their inputs there, and must be turned around."""
    for squeezed in _give(importer, name, 1, symbol, _STEPS_FIRST):
        if not backwards:
            continue
        del importer.tensors[squeezed]
        for reader in importer.consumers.get(squeezed, []):
            if reader.op != "Slice" or [importer.integers(reader, "", i) for i in (1, 3, 4)] != [[-1], [0], [-1]]:
                raise Refused(
                    "the results of a layer that goes backwards must be turned around: there is no layer for it"
                )
            importer.tensors[reader.outputs[0]] = Tensor(symbol, _STEPS_FIRST)


def _gather(importer: Importer, node: OnnxNode) -> Tensor:
    """Rows of a table of weights."""
    table = importer.constant(node, 0, "table")
    if table.ndim != 2 or node.attrs.get("axis", 0) != 0:
        raise Refused("only the rows of a matrix can be looked up")
    ids = importer.tensor(node, 1)
    y = importer.add(node, partial(layers.Embedding, *table.shape), importer.plain(ids), [table])
    return Tensor(y, tuple(range(ids.rank + 1)))


# Operators whose results are bound by themselves, each behind its Squeeze.
WHOLE: dict[str, Callable[[Importer, OnnxNode], None]] = dict.fromkeys(_KINDS, _recurrent)
HANDLERS: dict[str, Callable[[Importer, OnnxNode], Tensor]] = {"Gather": _gather}
