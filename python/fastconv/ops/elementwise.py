"""Sums, differences, products, quotients, maxima and minima with NumPy's broadcasting."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.graph import is_symbolic
from fastconv.ops.activation import threshold
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    wide,
)

__all__ = [
    "add",
    "add_backward",
    "divide",
    "divide_backward",
    "maximum",
    "maximum_backward",
    "minimum",
    "minimum_backward",
    "multiply",
    "multiply_backward",
    "subtract",
    "subtract_backward",
    "weighted_total",
]


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], *, kind: str) -> Lowered:
    spec = _cpu.BinarySpec.make(dtype, kind, *shapes)
    return Lowered(((spec.shape("y"), dtype),), (Call("binary_forward", spec, (0, 1, 2)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, kind: str, needs: tuple[bool, bool]) -> Lowered:
    dy, a, b = shapes
    spec = _cpu.BinarySpec.make(dtype, kind, a, b)
    expect_shape(kind, "dy", dy, spec.shape("y"))
    outputs = tuple((spec.shape(name), dtype) for name, need in zip("ab", needs, strict=True) if need)
    da, db = (3 if needs[0] else None), (3 + needs[0] if needs[1] else None)
    return Lowered(outputs, (Call("binary_backward", spec, (0, 1, 2, da, db)),))


def _gradient_of_choice(g: Gradient) -> tuple[Any, ...]:
    """Of maximum and minimum: dy where an operand was chosen, a of equal ones; then summed as the gradient of a sum."""
    (a, b), dy = g.inputs, g.dys[0]
    further = apply(FORWARD, *((b, a) if g.attrs["kind"] == "maximum" else (a, b)), kind="subtract")
    to_b = apply(FORWARD, dy, threshold(further), kind="multiply")
    both = (apply(FORWARD, dy, to_b, kind="subtract") if g.needs[0] else None, to_b)
    gradients: list[Any] = [None, None]
    for i, (gradient, need) in enumerate(zip(both, g.needs, strict=True)):
        if need:
            gradients[i] = apply(BACKWARD, gradient, a, b, kind="add", needs=(i == 0, i == 1))
    return tuple(gradients)


def _gradient_of_quotient(g: Gradient) -> tuple[Any, ...]:
    """``dy / b`` and ``-(dy / b) y``, then summed as the gradients of a difference."""
    (a, b), share = g.inputs, apply(FORWARD, g.dys[0], g.inputs[1], kind="divide")
    da = apply(BACKWARD, share, a, b, kind="subtract", needs=(True, False)) if g.needs[0] else None
    if not g.needs[1]:
        return da, None
    product = apply(FORWARD, share, g.outputs()[0], kind="multiply")
    return da, apply(BACKWARD, product, a, b, kind="subtract", needs=(False, True))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    needs = (bool(g.needs[0]), bool(g.needs[1]))
    if g.attrs["kind"] in ("maximum", "minimum", "divide"):
        spec = _cpu.BinarySpec.make("float32", g.attrs["kind"], tuple(g.inputs[0].shape), tuple(g.inputs[1].shape))
        expect_shape(g.attrs["kind"], "dy", tuple(g.dys[0].shape), spec.shape("y"))
        return _gradient_of_quotient(g) if g.attrs["kind"] == "divide" else _gradient_of_choice(g)
    if g.attrs["kind"] == "add" and is_symbolic(g.dys[0]) and g.inputs[0].shape == g.inputs[1].shape:
        return g.dys[0], g.dys[0]  # in a graph nothing is written twice, so both may be dy itself
    result = apply(BACKWARD, g.dys[0], *g.inputs, kind=g.attrs["kind"], needs=needs)
    if all(needs):
        return result
    return (result, None) if needs[0] else (None, result)


FORWARD = register(OpDef("binary", ("a", "b"), _lower_forward, _gradient, title="{kind}", takes_empty=True))
BACKWARD = register(OpDef("binary_backward", ("dy", "a", "b"), _lower_backward, takes_empty=True))


def _binary(kind: str, formula: str) -> tuple[Any, Any]:
    def forward(a: Any, b: Any, *, out: Any = None) -> Any:
        return apply(FORWARD, a, b, out=out, kind=kind)

    def gradient(dy: Any, a: Any, b: Any, *, needs: Any = None) -> tuple:
        wanted = all_needs(kind, needs, ("a", "b"), (True, True))
        return backward(FORWARD, dy, (a, b), {"kind": kind}, wanted) if any(wanted) else (None, None)

    forward.__name__ = forward.__qualname__ = kind
    forward.__doc__ = f"""``{formula}`` with NumPy's broadcasting.

    Args:
        a, b: float32 or float64 arrays of one dtype.
        out: optional preallocated result.

    Returns:
        Array of the broadcast shape.

    Raises:
        TypeError: for kinds and dtypes. ValueError: if the shapes do not broadcast.
    """
    gradient.__name__ = gradient.__qualname__ = f"{kind}_backward"
    gradient.__doc__ = f"Gradients of :func:`{kind}`: ``(da, db)``, summed over broadcast axes; None where not needed."
    return forward, gradient


add, add_backward = _binary("add", "a + b")
subtract, subtract_backward = _binary("subtract", "a - b")
multiply, multiply_backward = _binary("multiply", "a * b")
divide, divide_backward = _binary("divide", "a / b")
# NaN where either operand is; of equal ones the gradient goes to a (PyTorch halves it). Where both are the same infinity,
# it is NaN.
maximum, maximum_backward = _binary("maximum", "max(a, b)")
minimum, minimum_backward = _binary("minimum", "min(a, b)")


def _lower_total(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
    values, weights = shapes
    spec = _cpu.VectorSpec.make(dtype, "weighted_total", values)
    expect_shape("weighted_total", "weights", weights, spec.shape("a"))
    return Lowered(((spec.shape("total"), wide(dtype)),), (Call("dot", spec, (0, 1, 2)),))


TOTAL = register(OpDef("weighted_total", ("values", "weights"), _lower_total))


def weighted_total(values: Any, weights: Any) -> Any:
    """``Σ values * weights`` over all cells, (1,); accumulated in float64 in fixed blocks. float32 of 16 bits."""
    return apply(TOTAL, values, weights)
