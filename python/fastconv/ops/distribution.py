"""What makes a distribution of a row: softmax, its logarithm, and sparsemax."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops.activation import LINEAR
from fastconv.ops.registry import Call, Lowered, OpDef, Shape, all_needs, apply, backward, expect_shape, register

__all__ = [
    "log_softmax",
    "log_softmax_backward",
    "softmax",
    "softmax_backward",
    "sparsemax",
    "sparsemax_backward",
]


def _spec(op: str, dtype: str, x: Shape | None) -> Any:
    return _cpu.NormSpec.make(dtype, op, x, 1.0, 0.0, LINEAR, True)


def _softmax_op(name: str) -> OpDef:
    def lower(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
        spec = _spec(name, dtype, shapes[0])
        return Lowered(((spec.shape("y"), dtype),), (Call(f"{name}_forward", spec, (0, 1)),))

    def lower_backward(dtype: str, shapes: tuple[Shape | None, ...]) -> Lowered:
        spec = _spec(name, dtype, shapes[1])
        expect_shape(name, "dy", shapes[0], spec.shape("y"))
        return Lowered(((spec.shape("x"), dtype),), (Call(f"{name}_backward", spec, (0, 1, 2)),))

    gradient_op = register(OpDef(f"{name}_backward", ("dy", "y"), lower_backward))
    return register(OpDef(name, ("x",), lower, lambda g: (apply(gradient_op, g.dys[0], g.outputs()[0]),)))


SOFTMAX = _softmax_op("softmax")
LOG_SOFTMAX = _softmax_op("log_softmax")
SPARSEMAX = _softmax_op("sparsemax")


def softmax(x: Any, *, out: Any = None) -> Any:
    """``exp(x) / Σ exp(x)`` over the last axis.

    Args:
        x: (..., D), float32 or float64.
        out: optional preallocated result.

    Returns:
        y of x's shape and dtype; each row sums to 1.

    Numerics: the row's maximum is subtracted first, so nothing overflows; a row of -inf gives NaN.
    """
    return apply(SOFTMAX, x, out=out)


def softmax_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`softmax`: ``(dx,)``."""
    return backward(SOFTMAX, dy, (x,), {}, all_needs("softmax", needs, ("x",), (True,)))


def log_softmax(x: Any, *, out: Any = None) -> Any:
    """``x - log Σ exp(x)`` over the last axis; see :func:`softmax`."""
    return apply(LOG_SOFTMAX, x, out=out)


def log_softmax_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`log_softmax`: ``(dx,)``."""
    return backward(LOG_SOFTMAX, dy, (x,), {}, all_needs("log_softmax", needs, ("x",), (True,)))


def sparsemax(x: Any, *, out: Any = None) -> Any:
    """The distribution that is next to x, over the last axis: ``max(x - tau, 0)`` with the tau that makes rows sum to 1.

    Other than :func:`softmax` it gives exact zeros (Martins, Astudillo 2016).

    Args:
        x: (..., D), float32 or float64.
        out: optional preallocated result.

    Returns:
        y of x's shape and dtype; each row sums to 1.

    Numerics: tau is exact up to rounding, found without sorting; a row with NaN, with +inf or of -inf alone gives NaN.
    """
    return apply(SPARSEMAX, x, out=out)


def sparsemax_backward(dy: Any, x: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`sparsemax`: ``(dx,)``, dy less its mean where y > 0, else 0."""
    return backward(SPARSEMAX, dy, (x,), {}, all_needs("sparsemax", needs, ("x",), (True,)))
