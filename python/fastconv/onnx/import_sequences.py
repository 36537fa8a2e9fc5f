"""ONNX's recurrent operators and Gather as layers.

A recurrent operator has an axis of directions in every result. Where that is squeezed right behind it, as exporters do, the
operator and its Squeeze are one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fastconv import layers
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.onnx.export_sequences import ACTIVATIONS, OPERATORS
from fastconv.onnx.importer import BATCH, Importer, Refused, Tensor
from fastconv.onnx.reading import OnnxNode

__all__ = ["WHOLE", "is_zero_state", "paired", "zero_state"]

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


def _weights(importer: Importer, node: OnnxNode, kind: str, reset_after: bool) -> list[list[np.ndarray]]:
    """Of each direction: kernel, recurrent kernel and, where there is one, the bias."""
    w, r = importer.constant(node, 1, "weights"), importer.constant(node, 2, "recurrent weights")
    bias = importer.optional(node, 3, "bias")
    directions = 2 if _direction(node) == "bidirectional" else 1
    if w.ndim != 3 or r.ndim != 3 or not len(w) == len(r) == directions:
        raise Refused(f"there must be weights for {directions} direction(s): got {list(w.shape)}, {list(r.shape)}")
    found = []
    for i in range(directions):
        weights = [np.ascontiguousarray(_in_our_order(kind, a[i]).T) for a in (w, r)]
        if bias is not None:
            of_inputs, of_state = (_in_our_order(kind, half) for half in np.split(bias[i], 2))
            weights.append(np.stack([of_inputs, of_state]) if reset_after else of_inputs + of_state)
        found.append(weights)
    return found


def _direction(node: OnnxNode) -> str:
    return str(node.attrs.get("direction", "forward"))


def _first_states(importer: Importer, node: OnnxNode, units: int) -> list[SymbolicTensor]:
    """The states that the operator begins with, as the layer takes them; none where they are zeros."""
    given = []
    for place, what in ((5, "initial_h"), (6, "initial_c")):
        name = node.inputs[place] if place < len(node.inputs) else ""
        if name in importer.tensors:
            tensor = importer.tensors[name]
            if tensor.order != _STEPS_FIRST or tensor.shape[0] != 1 or tensor.shape[2] != units:
                raise Refused(f"{what} must be of one direction: got {tensor.shape}")
            given.append(importer.reshaped(tensor.symbol, (units,)))
        elif name and importer.constant(node, place, what).any():
            raise Refused(f"{what} must be zeros or computed by the model: got a constant")
    if given and len(given) != (2 if node.op == "LSTM" else 1):
        raise Refused("initial states must be given all, or none")
    return given


def _recurrent(importer: Importer, node: OnnxNode) -> None:
    make, kind, default = _KINDS[node.op]
    tensor = importer.tensor(node)
    if tensor.order != _STEPS_FIRST or tensor.cells is not None:
        raise Refused(f"the steps must be first, made so by a Transpose of (N, T, D): got axes {tensor.order}")
    for place, what in ((4, "sequence_lens"), (7, "peepholes")):
        given = importer.optional(node, place, what)
        if given is not None and (what == "sequence_lens" or given.any()):
            raise Refused(f"{what} must be left out: got a constant")
    settings = _settings(node, kind, default)
    weights = _weights(importer, node, kind, settings.get("reset_after", False))
    units = weights[0][1].shape[0]
    states = _first_states(importer, node, units)
    names = [name if name in importer.consumers or name in importer.outputs else "" for name in node.outputs]
    names += [""] * (3 * len(weights) - len(names))
    if not any(names):
        raise Refused("its results must be read: got none that is")
    sequences, last, cells = (any(names[i::3]) for i in range(3))
    settings |= {"use_bias": len(weights[0]) > 2, "return_sequences": sequences}
    settings["return_state"] = cells or (sequences and last)
    if len(weights) == 1:
        settings["go_backwards"] = _direction(node) == "reverse"
        layer: Any = partial(make, units, **settings)
    elif states:
        raise Refused("operators of two directions must begin with zeros")
    else:
        layer = partial(_both, partial(make, units, **settings))
    inputs = [tensor.symbol, *states] if states else tensor.symbol
    result: Any = importer.add(node, layer, inputs, [w for part in weights for w in part])
    found = result if isinstance(result, list) else [result]
    count = len(weights)
    per = len(found) // count - 1  # states of each direction, behind the results of all
    results = [[found[i], *found[count + i * per : count + (i + 1) * per]] for i in range(count)]
    _bind(importer, node, names, results)


def _both(make: Callable[..., Any], **keywords: Any) -> Any:
    return layers.Bidirectional(make(dtype=keywords["dtype"]), merge_mode=None, **keywords)


def _bind(importer: Importer, node: OnnxNode, names: list[str], results: list[list[SymbolicTensor]]) -> None:
    """Binds sequence, last state and cells: of both directions together, or of a pair of operators one by one."""
    parts = [(names[:3], results)] if len(names) == 3 or names[3:] == [""] * 3 else []
    parts = parts or [(names[:3], results[:1]), (names[3:], results[1:])]
    for (sequence, last, cells), found in parts:
        backwards = _direction(node) == "reverse"
        _give_sequence(importer, sequence, [r[0] for r in found], backwards)
        _give_states(importer, last, [r[min(1, len(r) - 1)] for r in found])
        _give_states(importer, cells, [r[-1] for r in found])


def _squeezed(importer: Importer, name: str, axis: int) -> tuple[list[str], bool]:
    """What readers make of a result by squeezing its axis of directions, and whether all of them do."""
    readers = importer.consumers.get(name, [])
    found = [r.outputs[0] for r in readers if r.op == "Squeeze" and importer.integers(r, "axes") == [axis]]
    return found, len(found) == len(readers) and name not in importer.outputs


def _give_states(importer: Importer, name: str, symbols: list[SymbolicTensor]) -> None:
    """(directions, N, U) in the file."""
    if not name:
        return
    squeezed, everywhere = _squeezed(importer, name, 0)
    if len(symbols) == 1:
        importer.tensors.update((output, Tensor(symbols[0], (0, 1))) for output in squeezed)
    if len(symbols) > 1 or not everywhere:
        y = symbols[0] if len(symbols) == 1 else _joined(importer, symbols)
        importer.tensors[name] = Tensor(importer.reshaped(y, (len(symbols), symbols[0].shape[-1])), _STEPS_FIRST)


def _joined(importer: Importer, symbols: list[SymbolicTensor]) -> SymbolicTensor:
    return layers.Concatenate(name=importer.unique("directions"), dtype=importer.dtype)(symbols)


def _give_sequence(importer: Importer, name: str, symbols: list[SymbolicTensor], backwards: bool) -> None:
    """The results of all steps, (T, directions, N, U) in the file. Going backwards alone they are at the time of their inputs
    there, and must be turned around."""
    if not name:
        return
    squeezed, everywhere = _squeezed(importer, name, 1)
    if backwards and not everywhere:
        raise Refused("the axis of directions must be squeezed of a layer that goes backwards")
    if backwards:
        _give_turned(importer, squeezed, symbols[0])
    elif len(symbols) == 1:
        importer.tensors.update((output, Tensor(symbols[0], _STEPS_FIRST)) for output in squeezed)
    if len(symbols) > 1 or not everywhere:
        y = symbols[0] if len(symbols) == 1 else _joined(importer, symbols)
        _, steps, units = symbols[0].shape
        importer.tensors[name] = Tensor(importer.reshaped(y, (steps, len(symbols), units)), (1, 2, 0, 3))


def _give_turned(importer: Importer, squeezed: list[str], symbol: SymbolicTensor) -> None:
    for name in squeezed:
        for reader in importer.consumers.get(name, []):
            if not _is_turned(importer.constants, reader):
                raise Refused(
                    "the results of a layer that goes backwards must be turned around, or beside those of one that goes forward"
                )
            importer.tensors[reader.outputs[0]] = Tensor(symbol, _STEPS_FIRST)


def _is_turned(constants: Mapping[str, np.ndarray], node: OnnxNode) -> bool:
    """Whether a node turns the first axis around."""
    if node.op != "Slice" or len(node.inputs) < 5:
        return False
    given = [constants.get(node.inputs[i]) for i in (1, 3, 4)]
    return [None if g is None else g.ravel().tolist() for g in given] == [[-1], [0], [-1]]


def is_zero_state(importer: Importer, node: OnnxNode) -> bool:
    """Whether a node makes the states that recurrent operators begin with, which exporters write out for every batch."""
    value = node.attrs.get("value", 0) if node.op == "ConstantOfShape" else importer.constants.get(node.inputs[0], 1)
    return node.op in ("ConstantOfShape", "Expand") and not np.any(value) and _begins_recurrence(importer, node)


def _begins_recurrence(importer: Importer, node: OnnxNode) -> bool:
    readers = [reader for name in node.outputs for reader in importer.consumers.get(name, [])]
    return bool(readers) and all(
        reader.op in _KINDS
        or (reader.op in ("Slice", "Split", "Squeeze", "Unsqueeze") and _begins_recurrence(importer, reader))
        for reader in readers
    )


def zero_state(importer: Importer, node: OnnxNode) -> np.ndarray:
    """The zeros of any batch: (directions, 1, U)."""
    shape = importer.constants.get(node.inputs[-1])
    extents = [1] if shape is None else [1 if extent in (BATCH, -1) else int(extent) for extent in shape]
    return np.zeros(extents, importer.dtype)


def paired(nodes: list[OnnxNode], constants: dict[str, np.ndarray]) -> list[OnnxNode]:
    """``nodes`` with an operator that goes forward and one that goes backwards over the same sequences as one of two directions,
    as fastconv writes Bidirectional: its further results are those of the second one."""
    makers = {name: node for node in nodes for name in node.outputs}
    readers: dict[str, list[OnnxNode]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)

    def source(node: OnnxNode) -> tuple[Any, ...]:
        maker = makers.get(node.inputs[0])
        turned = maker is not None and maker.op == "Transpose" and maker.attrs.get("perm") == list(_STEPS_FIRST)
        settings = {key: value for key, value in node.attrs.items() if key != "direction"}
        shapes = [constants[n].shape for n in node.inputs[1:4] if n in constants]
        name = maker.inputs[0] if maker is not None and turned else node.inputs[0]
        return name, turned, node.op, repr(sorted(settings.items())), shapes, node.inputs[4:]

    def needs_partner(node: OnnxNode) -> bool:
        squeezed = [reader for reader in readers.get(node.outputs[0], []) if node.outputs[0]]
        last = [reader for each in squeezed for reader in readers.get(each.outputs[0], [])]
        return bool(last) and not all(_is_turned(constants, reader) for reader in last)

    pairs: dict[int, OnnxNode] = {}
    gone: set[int] = set()
    ours = [node for node in nodes if node.op in _KINDS and all(n in constants for n in node.inputs[1:4] if n)]
    for back in ours:
        if _direction(back) != "reverse" or any(back.inputs[4:]) or not needs_partner(back):
            continue
        for node in ours:
            fits = _direction(node) == "forward" and id(node) not in pairs and source(node) == source(back)
            if fits and node.index < back.index:
                pairs[id(node)] = _pair(node, back, constants)
                gone.add(id(back))
                break
    return [pairs.get(id(node), node) for node in nodes if id(node) not in gone]


def _pair(forward: OnnxNode, back: OnnxNode, constants: dict[str, np.ndarray]) -> OnnxNode:
    """One operator; names of its weights are those of both."""
    names = []
    for a, b in zip(forward.inputs[1:4], back.inputs[1:4], strict=True):
        names.append(f"{a}, {b}" if a else "")
        if a:
            constants[names[-1]] = np.concatenate([constants[a], constants[b]])
    outputs = [name for node in (forward, back) for name in (*node.outputs, "", "")[:3]]
    attrs = {**forward.attrs, "direction": "bidirectional"}
    inputs = [forward.inputs[0], *names]
    return OnnxNode(forward.op, forward.name, inputs, outputs, attrs, forward.opset, forward.index)


# Operators whose results are bound by themselves, each behind its Squeeze.
WHOLE: dict[str, Callable[[Importer, OnnxNode], None]] = dict.fromkeys(_KINDS, _recurrent)
