"""The fully connected layer: one matrix product."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from .by_name import activate, activate_backward, check_name

__all__ = ["dense", "dense_backward"]


@_check.quiet
def dense(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, *, activation: str | None = None) -> np.ndarray:
    """``y = act(x @ w + bias)`` over the last axis of x.

    Args:
        x: (…, D), float32 or float64.
        w: (D, U): row d holds the weights of feature d. A square w is not transposed.
        bias: (U,) or None.
        activation: name of an activation applied to the result, or None.

    Returns:
        (…, U).

    Raises:
        TypeError, ValueError, MemoryError: for arguments of the wrong kind, value or size.

    Example:
        >>> dense(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 10.0]]), np.array([0.5, 0.5]))
        array([[ 1.5, 20.5]])
    """
    dtype = _dense("dense", x, w, bias, activation)
    return _check.cast(activate(_affine(x, w, bias), activation), dtype)


@_check.quiet
def dense_backward(
    dy: np.ndarray,
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    activation: str | None = None,
    needs: Any = None,
) -> tuple[np.ndarray | None, ...]:
    """Gradients ``(dx, dw, dbias)`` = ``(dz @ wᵀ, xᵀ @ dz, Σ dz)`` with dz = dy through the activation."""
    op = "dense_backward"
    dtype = _dense(op, x, w, bias, activation, dy=(dy, None))
    _check.shape(op, "dy", dy, (*x.shape[:-1], w.shape[1]), f"the units of w, w.shape={w.shape}")
    want = _check.needs(op, needs, (True, True, bias is not None))
    dz = activate_backward(dy.astype(np.float64), _affine(x, w, bias), activation)
    rows = math.prod(x.shape[:-1])
    return (
        _check.cast(dz @ w.astype(np.float64).T, dtype) if want[0] else None,
        _check.cast(_matrix(x, rows).T @ _matrix(dz, rows), dtype) if want[1] else None,
        _check.cast(_matrix(dz, rows).sum(axis=0), dtype) if want[2] else None,
    )


def _affine(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    z = x.astype(np.float64) @ w.astype(np.float64)
    return z if bias is None else z + bias.astype(np.float64)


def _matrix(x: np.ndarray, rows: int) -> np.ndarray:
    return x.astype(np.float64).reshape(rows, x.shape[-1])


def _dense(op: str, x: Any, w: Any, bias: Any, activation: Any, **more: Any) -> np.dtype:
    given = {} if bias is None else {"bias": (bias, ("units",))}
    dtype = _check.arrays(op, x=(x, None), w=(w, ("features", "units")), **given, **more)
    if x.ndim == 0 or x.shape[-1] == 0:
        rule = "x must have features on its last axis"
        _check.fail(ValueError, op, rule, "x (…, D), D >= 1", f"x.shape={x.shape}", "Reshape x.")
    check_name(op, activation)
    if x.shape[-1] != w.shape[0]:
        rule = f"x has {x.shape[-1]} features, w expects {w.shape[0]}"
        got = f"x.shape={x.shape}, w.shape={w.shape}"
        _check.fail(ValueError, op, rule, "x.shape[-1] == w.shape[0]", got, "w is (features, units).")
    if bias is not None:
        _check.shape(op, "bias", bias, (w.shape[1],), f"the units of w, w.shape={w.shape}")
    refuse_too_large(op, (*x.shape[:-1], w.shape[1]), x.shape, w.shape)
    return dtype
