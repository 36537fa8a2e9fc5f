"""The nearest matrix with singular values about 1, as kernel calls behind a training step."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.graph import Update, Value
from fastconv.ops.activation import LINEAR
from fastconv.optimizers.averaging import numbers

__all__ = ["newton_schulz"]


def newton_schulz(x: Value, steps: int, a: float, b: float, c: float) -> list[Update]:
    """Moves every singular value s of a matrix, in place, to about 1, by a quintic instead of a decomposition.

    ::

        x /= norm(x) + 1e-7
        x = a * x + (b * s + c * s @ s) @ x,   s = x @ x.T        so many times

    Of a tall matrix s is ``x.T @ x`` and stands on the right: the same numbers from the smaller products, and nothing is
    transposed, since the kernels of a dense layer and of its gradients have all three products.

    Args:
        x: (rows, columns), memory of its own: see :class:`~fastconv.graph.Update`.
        steps: of the iteration.
        a, b, c: of the quintic; b is not 0.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks.
    """
    rows, columns = x.shape
    least, wide = min(rows, columns), rows <= columns
    square, fourth = (Value((least, least), x.dtype, name=name) for name in ("square", "fourth"))
    moved = Value(x.shape, x.dtype, name="moved")
    unit = _cpu.NormConstraintSpec.make(x.dtype, x.shape, [0, 1], 1.0, 1.0, 1.0)  # UnitNorm, over all cells
    calls = [Update("norm_constraint", unit, [x])]
    for _ in range(steps):
        if wide:
            calls.append(_product("dense_backward_input", square.shape, x.shape, [x, x, None, square]))
        else:
            calls.append(_product("dense_backward_weight", x.shape, square.shape, [x, x, square, None]))
        calls.append(_product("dense_forward", square.shape, square.shape, [square, square, None, fourth]))
        calls.append(_combined(c, fourth, b, square))
        left, right = (fourth, x) if wide else (x, fourth)
        calls.append(_product("dense_forward", left.shape, right.shape, [left, right, None, moved]))
        calls.append(_combined(a, x, 1.0, moved))
    return calls


def _product(kernel: str, x: tuple[int, ...], w: tuple[int, ...], tensors: list[Any]) -> Update:
    """A call of a dense layer's, whose input and weights have these shapes."""
    return Update(kernel, _cpu.GemmSpec.make_dense(tensors[0].dtype, x, w, LINEAR), tensors)


def _combined(p: float, x: Value, q: float, y: Value) -> Update:
    """``x = p * x + q * y``: a step of gradient descent at rate -q, with a decay of (p - 1) / q."""
    spec = _cpu.VectorSpec.make(x.dtype, "sgd_update", x.shape)
    return Update("sgd_update", spec, [y, numbers(-q, 0.0, 0.0, (p - 1) / q), x, None])
