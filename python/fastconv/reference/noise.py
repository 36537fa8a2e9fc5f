"""Normal noise by Box and Muller's formula from a counter-based generator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from .dropout import philox

__all__ = ["gaussian_noise", "gaussian_noise_backward"]


@_check.quiet
def gaussian_noise(x: np.ndarray, stddev: float, *, seed: int, multiply: bool = False) -> np.ndarray:
    """``x + stddev · z`` or ``x (1 + stddev · z)``.

    Words w, v at the places 2k and 2k + 1 of Philox4x32-10 make ``r = sqrt(-2 log u)``, ``u = (floor(w / 2^9) + 1/2) / 2^23``:
    z is ``r cos(2π v / 2^32)`` at cell 2k and ``r sin(2π v / 2^32)`` at cell 2k + 1.

    Args:
        x: any shape, float32 or float64.
        stddev: at least 0.
        seed: in [0, 2^64).
        multiply: factors instead of summands.
    """
    dtype, shares = _shares("gaussian_noise", stddev, seed, x=(x, None))
    multiply = _check.flag("gaussian_noise", "multiply", multiply)
    return _check.cast(x * (1 + shares) if multiply else x + shares, dtype)


@_check.quiet
def gaussian_noise_backward(
    dy: np.ndarray, x: np.ndarray, stddev: float, *, seed: int, multiply: bool = False, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy, or dy times the same factors."""
    op = "gaussian_noise_backward"
    dtype, shares = _shares(op, stddev, seed, x=(x, None), dy=(dy, None))
    multiply = _check.flag(op, "multiply", multiply)
    _check.shape(op, "dy", dy, x.shape, "x")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(dy * (1 + shares) if multiply else dy, dtype) if want else None,)


def _shares(op: str, stddev: Any, seed: Any, **named: Any) -> tuple[np.dtype, np.ndarray]:
    dtype = _check.arrays(op, **named)
    shape = named["x"][0].shape
    stddev = _check.real(op, "stddev", stddev, 0.0)
    seed = _check.integer(op, "seed", seed, high=2**64 - 1)
    refuse_too_large(op, shape, *[shape] * 8)
    n = math.prod(shape)
    w, v = philox(n + n % 2, seed).reshape(-1, 2).T
    radius = np.sqrt(-2 * np.log(((w >> np.uint64(9)) + 0.5) / 2**23))
    turn = 2 * np.pi * v / 2**32
    z = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).reshape(-1)[:n]
    return dtype, stddev * z.reshape(shape)
