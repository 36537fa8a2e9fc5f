"""How activations are written: by the operator of the opset where it has one, by its formula where it has not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.graph import Node, Value
from fastconv.onnx.writer import FIRST, GraphWriter
from fastconv.ops.registry import wide

__all__ = ["EXPORTERS"]


class _Formula:
    """Writes the operators of one activation, one after another."""

    def __init__(self, writer: GraphWriter, x: Value, kind: str) -> None:
        self.writer, self.x, self.kind = writer, x, kind

    def __call__(self, kind: str, *inputs: str | float, **attributes: Any) -> str:
        names = [i if isinstance(i, str) else self.writer.scalar(i, self.x) for i in inputs]
        is_all = kind.lower() == self.kind.replace("_", "")
        return self.writer.emit(kind, names, self.kind if is_all else f"{self.kind}/{kind.lower()}", **attributes)


def _gelu(f: _Formula, x: str) -> str:
    if f.writer.opset >= 20:
        return f("Gelu", x)
    return f("Mul", f("Mul", x, f("Add", f("Erf", f("Div", x, math.sqrt(2))), 1.0)), 0.5)


def _gelu_tanh(f: _Formula, x: str) -> str:
    if f.writer.opset >= 20:
        return f("Gelu", x, approximate="tanh")
    cube = f("Mul", f("Mul", f("Mul", x, x), x), 0.044715)
    inner = f("Tanh", f("Mul", f("Add", x, cube), math.sqrt(2 / math.pi)))
    return f("Mul", f("Mul", x, f("Add", inner, 1.0)), 0.5)


def _hard_sigmoid(f: _Formula, x: str) -> str:
    return f("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _hard_swish(f: _Formula, x: str) -> str:
    return f("HardSwish", x) if f.writer.opset >= 14 else f("Mul", x, _hard_sigmoid(f, x))


def _threshold(f: _Formula, x: str, value: float) -> str:
    return f("Cast", f("Greater", x, value), to=f.writer.element_type(f.x))


def _linear(f: _Formula, x: str, factor: float, offset: float) -> str:
    if factor != 1:
        x = f("Mul", x, factor)
    return f("Add", x, offset) if offset else x


def _mish(f: _Formula, x: str) -> str:
    return f("Mish", x) if f.writer.opset >= 18 else f("Mul", x, f("Tanh", f("Softplus", x)))


def _sparse_plus(f: _Formula, x: str) -> str:
    root = f("Clip", f("Add", f("Mul", x, 0.5), 0.5), 0.0, 1.0)
    return f("Max", x, f("Mul", root, root))  # ((x + 1) / 2)^2 is x or more


_FORMULAS: dict[str, Callable[[_Formula, str, float, float], str]] = {
    "linear": _linear,
    "relu": lambda f, x, _a, _b: f("Relu", x),
    "relu6": lambda f, x, _a, _b: f("Clip", x, 0.0, 6.0),
    "leaky_relu": lambda f, x, slope, _b: f("LeakyRelu", x, alpha=slope),
    "elu": lambda f, x, alpha, _b: f("Elu", x, alpha=alpha),
    "selu": lambda f, x, _a, _b: f("Selu", x),
    "gelu": lambda f, x, _a, _b: _gelu(f, x),
    "gelu_tanh": lambda f, x, _a, _b: _gelu_tanh(f, x),
    "silu": lambda f, x, _a, _b: f("Mul", x, f("Sigmoid", x)),
    "hard_sigmoid": lambda f, x, _a, _b: _hard_sigmoid(f, x),
    "hard_swish": lambda f, x, _a, _b: _hard_swish(f, x),
    "sigmoid": lambda f, x, _a, _b: f("Sigmoid", x),
    "tanh": lambda f, x, _a, _b: f("Tanh", x),
    "softplus": lambda f, x, _a, _b: f("Softplus", x),
    "threshold": lambda f, x, value, _b: _threshold(f, x, value),
    "clip": lambda f, x, low, high: f("Clip", x, low, high),
    "exponential": lambda f, x, _a, _b: f("Exp", x),
    "mish": lambda f, x, _a, _b: _mish(f, x),
    "softsign": lambda f, x, _a, _b: f("Softsign", x),
    "squareplus": lambda f, x, b, _b: f("Mul", f("Add", x, f("Sqrt", f("Add", f("Mul", x, x), b))), 0.5),
    "shrink": lambda f, x, at, bias: f("Shrink", x, lambd=at, bias=bias),
    "sparse_plus": lambda f, x, _a, _b: _sparse_plus(f, x),
}


def _activation(writer: GraphWriter, node: Node) -> None:
    (x,) = node.inputs
    kind, alpha, beta = node.attrs["activation"]
    assert x is not None
    if kind not in _FORMULAS:
        raise ValueError(f"the activation is not known: expected one of {', '.join(_FORMULAS)}, got {kind!r}")
    layout = writer.layout(x)
    name = _FORMULAS[kind](_Formula(writer, x, kind), writer.get(x, layout), alpha, beta)
    writer.bind(node.outputs[0], name, layout)


def _prelu(writer: GraphWriter, node: Node) -> None:
    x, alpha = node.inputs
    assert x is not None and alpha is not None
    layout = writer.layout(x)
    inputs = [writer.get(x, layout), writer.operand(alpha, x.ndim, layout)]
    writer.bind(node.outputs[0], writer.emit("PRelu", inputs, writer.owner(node)), layout)


def _over_channels(kind: str) -> Callable[[GraphWriter, Node], None]:
    def write(writer: GraphWriter, node: Node) -> None:
        (x,) = node.inputs
        assert x is not None
        layout = writer.layout(x)
        axis = 1 if layout == FIRST and x.ndim > 2 else -1
        writer.bind(node.outputs[0], writer.emit(kind, [writer.get(x, layout)], axis=axis), layout)

    return write


def _sparsemax(writer: GraphWriter, node: Node) -> None:
    """``max(x - t, 0)``, where t makes the sum of a row 1: of its largest cells, k with ``1 + k x_k > x_1 + ... + x_k``
    (Martins, Astudillo 2016)."""
    (x,) = node.inputs
    assert x is not None
    layout, count = writer.layout(x), x.shape[-1]
    is_first = layout == FIRST and x.ndim > 2
    axis, source = 1 if is_first else -1, writer.get(x, layout)
    ranks = np.arange(1, count + 1, dtype=wide(x.dtype)).reshape(-1, *(1,) * (x.ndim - 2 if is_first else 0))
    one, f = writer.scalar(1.0, x), _Formula(writer, x, "sparsemax")
    (largest, _) = writer.emit_several("TopK", [source, writer.integers([count])], 2, "sparsemax/topk", axis=axis)
    sums = f("CumSum", largest, writer.store("sparsemax/axis", np.asarray(axis, np.int64)))
    reached = f("Add", f("Mul", largest, writer.store("sparsemax/ranks", ranks)), one)
    support = f("Cast", f("Greater", reached, sums), to=writer.element_type(x))
    axes = writer.integers([axis])
    total = f("ReduceSum", f("Mul", largest, support), axes, keepdims=1)
    level = f("Div", f("Sub", total, one), f("ReduceSum", support, axes, keepdims=1))
    writer.bind(node.outputs[0], f("Relu", f("Sub", source, level)), layout)


EXPORTERS: dict[str, Callable[[GraphWriter, Node], None]] = {
    "activation": _activation,
    "prelu": _prelu,
    "sparsemax": _sparsemax,
    "softmax": _over_channels("Softmax"),
    "log_softmax": _over_channels("LogSoftmax"),
}
