"""Finds layers in nodes: what an exporter spells out by formula becomes one node again, named by what it computes.

A pattern is a tree of tuples ``(op, operand, …)`` with these leaves: ``"x"`` any tensor, the same wherever the name stands;
``"=c"`` any constant; a number, a constant of that value. Sums and products match in either order. Nodes that nothing
needs any more are dropped, others stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv.onnx.reading import OnnxNode

__all__ = ["OPERATORS", "rewritten"]

_COMMUTATIVE = {"Add", "Mul"}
Bound = dict[str, Any]


class _Matcher:
    def __init__(self, nodes: list[OnnxNode], constants: Mapping[str, np.ndarray]) -> None:
        self._makers = {name: node for node in nodes for name in node.outputs[:1]}
        self._constants = constants

    def match(self, name: str, pattern: Any, bound: Bound) -> Bound | None:
        """``bound`` and what the leaves and nodes of ``pattern`` stand for at the tensor ``name``, or None."""
        constant = self._constants.get(name)
        if isinstance(pattern, (int, float)):
            is_it = constant is not None and constant.size == 1 and math.isclose(constant.item(), pattern, rel_tol=1e-5)
            return bound if is_it else None
        if isinstance(pattern, str):
            if pattern.startswith("=") != (constant is not None) or bound.get(pattern, name) != name:
                return None
            return {**bound, pattern: name}
        node = self._makers.get(name)
        return None if node is None else self.match_node(node, pattern, bound)

    def match_node(self, node: OnnxNode, pattern: tuple[Any, ...], bound: Bound) -> Bound | None:
        op, *operands = pattern
        if node.op != op or len(node.inputs) != len(operands):
            return None
        orders = [operands, operands[::-1]] if op in _COMMUTATIVE else [operands]
        for order in orders:
            found: Bound | None = {**bound, op: node}
            for name, operand in zip(node.inputs, order, strict=True):
                found = self.match(name, operand, found) if found is not None else None
            if found is not None:
                return found
        return None


def _is_hard_sigmoid(bound: Bound) -> bool:
    attrs = bound["HardSigmoid"].attrs
    return math.isclose(attrs.get("alpha", 0.2), 1 / 6, rel_tol=1e-5) and attrs.get("beta", 0.5) == 0.5


def _same_axis(bound: Bound) -> bool:
    """Both means of a normalisation must be over one and the same axis; the pattern has kept the one of the centre."""
    return len(bound["ReduceMean"].attrs.get("axes", ())) == 1 and bound["ReduceMean"].attrs.get("keepdims", 1) == 1


def _whole_sum(bound: Bound) -> bool:
    attrs = bound["AveragePool"].attrs
    return bool(attrs.get("count_include_pad", 0)) and not attrs.get("ceil_mode", 0)


def _anything(bound: Bound) -> bool:
    return True


def _gelu(erf: Any) -> list[Any]:
    return [
        ("Mul", ("Mul", "x", ("Add", erf, 1.0)), 0.5),
        ("Mul", ("Mul", "x", 0.5), ("Add", erf, 1.0)),
        ("Mul", "x", ("Mul", ("Add", erf, 1.0), 0.5)),
    ]


def _layer_norm(square: Callable[[Any], Any]) -> list[Any]:
    centred = ("Sub", "x", ("ReduceMean", "x"))
    normal = ("Div", centred, ("Sqrt", ("Add", ("ReduceMean", square(centred)), "=epsilon")))
    scaled = ("Mul", normal, "=scale")
    return [("Add", scaled, "=shift"), ("Add", normal, "=shift"), scaled, normal]


def _rms_norm() -> list[Any]:
    square = ("Mul", "x", "x")
    means = [("ReduceMean", square), ("ReduceMean", square, "=axes")]
    normal = [("Div", "x", ("Sqrt", ("Add", mean, "=epsilon"))) for mean in means]
    return [*(("Mul", each, "=scale") for each in normal), *normal]


def _group_norm() -> list[Any]:
    rows = ("Reshape", "x", "=rows")
    normal = ("Reshape", ("InstanceNormalization", rows, "=one", "=zero"), "=whole")
    scaled = ("Mul", normal, "=scale")
    return [("Add", scaled, "=shift"), ("Add", normal, "=shift"), scaled, normal]


_CUBE = [("Mul", ("Mul", "x", "x"), "x"), ("Pow", "x", 3.0)]
_TANH = [("Tanh", ("Mul", ("Add", "x", ("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))) for cube in _CUBE]

_LARGEST = ("TopK", "x", "=count")
_SUPPORT = ("Cast", ("Greater", ("Add", ("Mul", _LARGEST, "=ranks"), 1.0), ("CumSum", _LARGEST, "=axis")))
_LEVEL = (
    "Div",
    ("Sub", ("ReduceSum", ("Mul", _LARGEST, _SUPPORT), "=axes"), 1.0),
    ("ReduceSum", _SUPPORT, "=axes"),
)

# New operator -> patterns, a further condition, and which leaves are its inputs; the longest patterns come first.
_RULES: list[tuple[str, list[Any], Callable[[Bound], bool], list[str]]] = [
    (
        "ChannelNorm",
        [pattern for square in (lambda d: ("Mul", d, d), lambda d: ("Pow", d, 2.0)) for pattern in _layer_norm(square)],
        _same_axis,
        ["x", "=epsilon", "=scale", "=shift"],
    ),
    ("RmsNorm", _rms_norm(), _anything, ["x", "=epsilon", "=scale", "=axes"]),
    (
        "GroupNormFormula",
        _group_norm(),
        _anything,
        ["x", "=rows", "=one", "=zero", "=whole", "=scale", "=shift"],
    ),
    ("Sparsemax", [("Relu", ("Sub", "x", _LEVEL))], _anything, ["x"]),
    (
        "Squareplus",
        [("Mul", ("Add", "x", ("Sqrt", ("Add", ("Mul", "x", "x"), 4.0))), 0.5)],
        _anything,
        ["x"],
    ),
    (
        "Gelu",
        [p for e in (("Div", "x", math.sqrt(2)), ("Mul", "x", math.sqrt(0.5))) for p in _gelu(("Erf", e))],
        _anything,
        ["x"],
    ),
    ("GeluTanh", [pattern for tanh in _TANH for pattern in _gelu(tanh)], _anything, ["x"]),
    ("HardSwish", [("Mul", "x", ("HardSigmoid", "x"))], _is_hard_sigmoid, ["x"]),
    (
        "HardSwish",
        [
            ("Div", ("Mul", "x", ("Clip", ("Add", "x", 3.0), 0.0, 6.0)), 6.0),
            ("Mul", "x", ("Div", ("Clip", ("Add", "x", 3.0), 0.0, 6.0), 6.0)),
        ],
        _anything,
        ["x"],
    ),
    ("Silu", [("Mul", "x", ("Sigmoid", "x"))], _anything, ["x"]),
    ("LogSigmoid", [("Log", ("Sigmoid", "x"))], _anything, ["x"]),
    ("Softsign", [("Div", "x", ("Add", ("Abs", "x"), 1.0))], _anything, ["x"]),
    ("Softplus", [("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x"))], _anything, ["x"]),
    ("Threshold", [("Cast", ("Greater", "x", "=value"))], _anything, ["x", "=value"]),
    ("MinPool", [("Neg", ("MaxPool", ("Neg", "x")))], _anything, ["x"]),
    ("SumPool", [("Mul", ("AveragePool", "x"), "=cells")], _whole_sum, ["x", "=cells"]),
    ("ResizeByMatrices", [("MatMul", ("MatMul", "=rows", "x"), "=columns")], _anything, ["=rows", "x", "=columns"]),
    ("Dense", [("Add", ("MatMul", "x", "=kernel"), "=bias")], _anything, ["x", "=kernel", "=bias"]),
    ("Affine", [("Add", ("Mul", "x", "=scale"), "=shift")], _anything, ["x", "=scale", "=shift"]),
]
OPERATORS = frozenset(op for op, *_ in _RULES)
_ATTRIBUTES_OF = {
    "ChannelNorm": "ReduceMean",
    "GroupNormFormula": "InstanceNormalization",
    "MinPool": "MaxPool",
    "RmsNorm": "ReduceMean",
    "Sparsemax": "TopK",
    "SumPool": "AveragePool",
    "Threshold": "Cast",
}


def rewritten(nodes: list[OnnxNode], constants: Mapping[str, np.ndarray], outputs: list[str]) -> list[OnnxNode]:
    """``nodes`` with the formulas replaced by what they compute, and without what ``outputs`` do not need."""
    matcher = _Matcher(nodes, constants)
    replaced = [_replaced(matcher, node) for node in nodes]
    needed = set(outputs)
    kept: list[OnnxNode] = []
    for node in reversed(replaced):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _replaced(matcher: _Matcher, node: OnnxNode) -> OnnxNode:
    for op, patterns, condition, leaves in _RULES:
        for pattern in patterns:
            bound = matcher.match_node(node, pattern, {})
            if bound is not None and condition(bound):
                attrs = bound[_ATTRIBUTES_OF[op]].attrs if op in _ATTRIBUTES_OF else {}
                inputs = [bound.get(leaf, "") for leaf in leaves]
                return OnnxNode(op, node.name, inputs, node.outputs, attrs, node.opset, node.index)
    return node
