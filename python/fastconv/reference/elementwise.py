"""Arithmetic with broadcasting, and the ops that only move data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = [
    "add",
    "add_backward",
    "concatenate",
    "concatenate_backward",
    "divide",
    "divide_backward",
    "flatten",
    "flatten_backward",
    "maximum",
    "maximum_backward",
    "minimum",
    "minimum_backward",
    "multiply",
    "multiply_backward",
    "reshape",
    "reshape_backward",
    "subtract",
    "subtract_backward",
]


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum ``g`` over the axes along which an array of ``shape`` was repeated to reach ``g.shape``."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=repeated, keepdims=True)


def add(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a + b`` with NumPy broadcasting."""
    return _binary("add", a, b, np.add)


def add_backward(dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None, ...]:
    """``(dy, dy)``, each summed to the shape of its array."""
    return _binary_backward("add_backward", dy, a, b, needs, lambda dy, a, b: (dy, dy))


def subtract(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a − b`` with NumPy broadcasting."""
    return _binary("subtract", a, b, np.subtract)


def subtract_backward(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(dy, −dy)``, each summed to the shape of its array."""
    return _binary_backward("subtract_backward", dy, a, b, needs, lambda dy, a, b: (dy, -dy))


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The larger of a and b, element by element, with NumPy broadcasting; NaN where either is."""
    return _binary("maximum", a, b, np.maximum)


def maximum_backward(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """dy goes to the larger one, of equal ones to a; summed to the shape of its array."""
    return _binary_backward("maximum_backward", dy, a, b, needs, lambda dy, a, b: _share(dy, b > a))


def minimum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smaller of a and b, element by element, with NumPy broadcasting; NaN where either is."""
    return _binary("minimum", a, b, np.minimum)


def minimum_backward(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """dy goes to the smaller one, of equal ones to a; summed to the shape of its array."""
    return _binary_backward("minimum_backward", dy, a, b, needs, lambda dy, a, b: _share(dy, b < a))


def _share(dy: np.ndarray, to_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(to_b, 0.0, dy), np.where(to_b, dy, 0.0)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a · b``, element by element, with NumPy broadcasting."""
    return _binary("multiply", a, b, np.multiply)


def multiply_backward(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(dy · b, dy · a)``, each summed to the shape of its array."""
    return _binary_backward("multiply_backward", dy, a, b, needs, lambda dy, a, b: (dy * b, dy * a))


def divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, element by element, with NumPy broadcasting."""
    return _binary("divide", a, b, np.divide)


def divide_backward(
    dy: np.ndarray, a: np.ndarray, b: np.ndarray, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """``(dy / b, −dy · a / b²)``, each summed to the shape of its array."""
    return _binary_backward("divide_backward", dy, a, b, needs, lambda dy, a, b: (dy / b, -dy * a / b / b))


@_check.quiet
def _binary(op: str, a: np.ndarray, b: np.ndarray, f: Callable[..., np.ndarray]) -> np.ndarray:
    dtype, _ = _broadcast(op, a, b)
    return _check.cast(f(a.astype(np.float64), b.astype(np.float64)), dtype)


@_check.quiet
def _binary_backward(
    op: str, dy: np.ndarray, a: np.ndarray, b: np.ndarray, needs: Any, f: Callable[..., tuple]
) -> tuple[np.ndarray | None, ...]:
    dtype, shape = _broadcast(op, a, b, dy=(dy, None))
    _check.shape(op, "dy", dy, shape, "the broadcast shape of a and b")
    want = _check.needs(op, needs, (True, True))
    gradients = f(*(v.astype(np.float64) for v in (dy, a, b)))
    return tuple(
        _check.cast(unbroadcast(g, v.shape), dtype) if wanted else None
        for g, v, wanted in zip(gradients, (a, b), want, strict=True)
    )


def _broadcast(op: str, a: np.ndarray, b: np.ndarray, **more: Any) -> tuple[np.dtype, tuple[int, ...]]:
    dtype = _check.maybe_empty(op, a=(a, None), b=(b, None), **more)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        got = f"a.shape={a.shape}, b.shape={b.shape}"
        _check.fail(ValueError, op, "a and b must broadcast", "extents equal or 1", got, "Reshape one of them.")
    refuse_too_large(op, shape, a.shape, b.shape)
    return dtype, shape


@_check.quiet
def concatenate(arrays: Sequence[np.ndarray], axis: int = -1) -> np.ndarray:
    """Join arrays along ``axis``; all other extents are equal."""
    dtype, axis, shape = _concatenate("concatenate", arrays, axis)
    refuse_too_large("concatenate", shape)
    return _check.cast(np.concatenate([x.astype(dtype) for x in arrays], axis=axis), dtype)


@_check.quiet
def concatenate_backward(
    dy: np.ndarray, arrays: Sequence[np.ndarray], axis: int = -1, *, needs: Any = None
) -> tuple[np.ndarray | None, ...]:
    """One gradient per array: its own slice of ``dy``."""
    op = "concatenate_backward"
    dtype, axis, shape = _concatenate(op, arrays, axis, dy=(dy, None))
    _check.shape(op, "dy", dy, shape, "the joined shape")
    want = _check.needs(op, needs, (True,) * len(arrays))
    ends = np.cumsum([x.shape[axis] for x in arrays])[:-1]
    parts = np.split(dy, ends, axis=axis)
    return tuple(_check.cast(part, dtype) if wanted else None for part, wanted in zip(parts, want, strict=True))


def _concatenate(op: str, arrays: Any, axis: Any, **more: Any) -> tuple[np.dtype, int, tuple[int, ...]]:
    if not isinstance(arrays, (tuple, list)):
        kind = type(arrays).__name__
        _check.fail(
            TypeError,
            op,
            "arrays must be a sequence",
            "tuple or list",
            f"arrays of type {kind}",
            "Pass a list.",
        )
    if not arrays:
        _check.fail(ValueError, op, "arrays must not be empty", "1 or more arrays", "0", "Pass at least one array.")
    dtype = _check.arrays(op, **{f"arrays[{i}]": (x, None) for i, x in enumerate(arrays)}, **more)
    axis = _check.integer(op, "axis", axis, low=None)
    first = arrays[0].shape
    if not -len(first) <= axis < len(first):
        got = f"axis={axis}, arrays[0].shape={first}"
        _check.fail(
            ValueError,
            op,
            "axis must exist",
            f"{-len(first)} <= axis < {len(first)}",
            got,
            "Use another axis.",
        )
    axis %= len(first)
    for i, x in enumerate(arrays):
        if x.ndim != len(first) or x.shape[:axis] + x.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            got = f"arrays[0].shape={first}, arrays[{i}].shape={x.shape}"
            rule = "arrays may differ in the joined axis only"
            _check.fail(ValueError, op, rule, f"equal extents but for axis {axis}", got, "Pad or crop them first.")
    return dtype, axis, (*first[:axis], sum(x.shape[axis] for x in arrays), *first[axis + 1 :])


@_check.quiet
def flatten(x: np.ndarray) -> np.ndarray:
    """(N, …) -> (N, product of the rest), row-major."""
    dtype = _flatten("flatten", x=(x, None))
    refuse_too_large("flatten", x.shape)
    return _check.cast(x, dtype).reshape(x.shape[0], math.prod(x.shape[1:]))


@_check.quiet
def flatten_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``dy`` in the shape of ``x``."""
    op = "flatten_backward"
    dtype = _flatten(op, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, (x.shape[0], math.prod(x.shape[1:])), "the flattened shape")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(dy, dtype).reshape(x.shape) if want else None,)


def _flatten(op: str, **named: Any) -> np.dtype:
    dtype = _check.arrays(op, **named)
    if named["x"][0].ndim == 0:
        _check.fail(ValueError, op, "x must have a batch axis", "1 or more dims", "0 dims", "Reshape x.")
    return dtype


@_check.quiet
def reshape(x: np.ndarray, shape: int | Sequence[int]) -> np.ndarray:
    """``x`` in another shape of as many elements, row-major; one extent may be -1 and is then inferred. An int is one extent."""
    dtype, extents = _reshape("reshape", shape, x=(x, None))
    return _check.cast(x, dtype).reshape(extents)


@_check.quiet
def reshape_backward(
    dy: np.ndarray, x: np.ndarray, shape: int | Sequence[int], *, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``dy`` in the shape of ``x``."""
    op = "reshape_backward"
    dtype, extents = _reshape(op, shape, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, extents, "the new shape")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(dy, dtype).reshape(x.shape) if want else None,)


def _reshape(op: str, shape: Any, **named: Any) -> tuple[np.dtype, tuple[int, ...]]:
    dtype = _check.arrays(op, **named)
    x = named["x"][0]
    items = shape if isinstance(shape, (tuple, list)) else (shape,)
    extents = [_check.integer(op, "shape", item, low=-1, given=shape) for item in items]
    known = math.prod(n for n in extents if n != -1)
    if extents.count(-1) == 1 and known > 0 and x.size % known == 0:
        extents[extents.index(-1)] = x.size // known
    if -1 in extents or math.prod(extents) != x.size:
        got = f"shape={shape}, x.shape={x.shape}"
        rule = "shape must hold every element of x"
        _check.fail(ValueError, op, rule, f"a product of {x.size} with at most one -1", got, "Change the extents.")
    return dtype, tuple(extents)
