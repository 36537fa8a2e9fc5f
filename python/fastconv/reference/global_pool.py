"""Global pooling: one number per channel of every image."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = [
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
]


@_check.quiet
def global_max_pool2d(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, C): the largest value of every channel. NaN wins."""
    dtype = _arrays("global_max_pool2d", x)
    return _check.cast(x.astype(np.float64).max(axis=(1, 2)), dtype)


@_check.quiet
def global_max_pool2d_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy goes to the first largest cell of its channel, or to its first NaN."""
    op = "global_max_pool2d_backward"
    dtype = _arrays(op, x, dy)
    if not _check.needs(op, needs, (True,))[0]:
        return (None,)
    n, h, w, c = x.shape
    dx = np.zeros((n, h * w, c), dtype)
    first = x.astype(dtype).reshape(n, h * w, c).argmax(axis=1)  # the first of equals, and the first NaN of all
    np.put_along_axis(dx, first[:, None], dy.astype(dtype)[:, None], axis=1)
    return (dx.reshape(x.shape),)


@_check.quiet
def global_avg_pool2d(x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, C): the mean of every channel."""
    dtype = _arrays("global_avg_pool2d", x)
    return _check.cast(x.astype(np.float64).mean(axis=(1, 2)), dtype)


@_check.quiet
def global_avg_pool2d_backward(dy: np.ndarray, x: np.ndarray, *, needs: Any = None) -> tuple[np.ndarray | None]:
    """``(dx,)``: every cell gets ``dy / (H·W)``."""
    op = "global_avg_pool2d_backward"
    dtype = _arrays(op, x, dy)
    (want,) = _check.needs(op, needs, (True,))
    share = dy.astype(np.float64)[:, None, None] / (x.shape[1] * x.shape[2])
    return (_check.cast(np.broadcast_to(share, x.shape), dtype) if want else None,)


def _arrays(op: str, x: Any, dy: Any = None) -> np.dtype:
    named: dict[str, Any] = {"x": (x, ("batch", "height", "width", "channels"))}
    if op.endswith("_backward"):
        named["dy"] = (dy, ("batch", "channels"))
    dtype = _check.arrays(op, **named)
    if "dy" in named:
        _check.shape(op, "dy", dy, (x.shape[0], x.shape[3]), "the forward's result (batch, channels)")
    refuse_too_large(op, x.shape, x.shape)
    return dtype
