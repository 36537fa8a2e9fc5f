"""What regularizers add to the loss: sums of magnitudes and squares."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.registry import (
    Call,
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

__all__ = ["penalty", "penalty_backward"]


def _lower_forward(dtype: str, shapes: tuple[Shape | None, ...], *, l1: float, l2: float) -> Lowered:
    spec = _cpu.PenaltySpec.make(dtype, shapes[0], l1, l2)
    return Lowered(((spec.shape("total"), wide(dtype)),), (Call("penalty_forward", spec, (0, 1)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, l1: float, l2: float) -> Lowered:
    spec = _cpu.PenaltySpec.make(dtype, shapes[1], l1, l2)
    expect_shape("penalty_backward", "dy", shapes[0], spec.shape("total"))
    addend = None if shapes[2] is None else 2
    return Lowered(((spec.shape("x"), dtype),), (Call("penalty_backward", spec, (0, 1, addend, 3)),))


BACKWARD = register(
    OpDef("penalty_backward", ("dy", "x", "addend?"), _lower_backward, wide=("dy",), title="penalty_backward")
)
FORWARD = register(
    OpDef("penalty", ("x",), _lower_forward, lambda g: (apply(BACKWARD, g.dys[0], g.inputs[0], None, **g.attrs),))
)


def penalty(x: Any, *, l1: float = 0.0, l2: float = 0.0, out: Any = None) -> Any:
    """``Σ l1 |x| + l2 x²`` over all cells.

    Args:
        x: float32 or float64 array of any shape.
        l1, l2: factors, finite and >= 0.
        out: optional preallocated result.

    Returns:
        Array of shape (1,) and x's dtype; summed in float64, in an order that depends on the shape alone.

    Raises:
        ValueError: for a factor that is negative or not finite. TypeError: for kinds and dtypes.
    """
    return apply(FORWARD, x, out=out, **_factors("penalty", l1, l2))


def penalty_backward(dy: Any, x: Any, *, l1: float = 0.0, l2: float = 0.0, needs: Any = None) -> tuple:
    """Gradient of :func:`penalty`: ``(dy * (l1 sign(x) + 2 l2 x),)``; sign(0) is 0."""
    wanted = all_needs("penalty", needs, ("x",), (True,))
    return backward(FORWARD, dy, (x,), _factors("penalty", l1, l2), wanted) if any(wanted) else (None,)


def _factors(op: str, l1: Any, l2: Any) -> dict[str, float]:
    return {"l1": _numbers.as_float(op, "l1", l1), "l2": _numbers.as_float(op, "l2", l2)}
