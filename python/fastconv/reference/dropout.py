"""Dropout with a counter-based generator: the mask depends on the seed and the element's index only.

So it is the same on every machine, for any number of threads, and the backward pass recomputes it instead of
storing it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large

__all__ = ["dropout", "dropout_backward"]

_WORD = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
# Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox4x32-10.
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


@_check.quiet
def dropout(x: np.ndarray, rate: float, *, seed: int, noise_shape: Any = None) -> np.ndarray:
    """Zero every element with probability ``rate`` and divide the others by ``1 − rate`` (inverted dropout).

    Args:
        x: any shape, float32 or float64.
        rate: in [0, 1]; at 1 everything is zero.
        seed: in [0, 2^64). Element i (row-major) is kept if 16-bit half ``i % 8`` (the lower half of a word first) of
            ``Philox4x32-10(counter=i // 8, key=seed)`` is at least ``rate · 2^16``, rounded to the nearest.
        noise_shape: of the mask that i counts in, x's by default; it repeats along axes of extent 1.

    Returns:
        An array of x's shape. A dropped NaN is 0 where the mask does not repeat.
    """
    dtype, kept, scale = _dropout("dropout", rate, seed, noise_shape, x=(x, None))
    return _check.cast(np.where(kept, x.astype(np.float64) * scale, 0.0), dtype)


@_check.quiet
def dropout_backward(
    dy: np.ndarray, x: np.ndarray, rate: float, *, seed: int, noise_shape: Any = None, needs: Any = None
) -> tuple[np.ndarray | None]:
    """``(dx,)``: dy through the same mask and scale."""
    op = "dropout_backward"
    dtype, kept, scale = _dropout(op, rate, seed, noise_shape, x=(x, None), dy=(dy, None))
    _check.shape(op, "dy", dy, x.shape, "x")
    (want,) = _check.needs(op, needs, (True,))
    return (_check.cast(np.where(kept, dy.astype(np.float64) * scale, 0.0), dtype) if want else None,)


def _dropout(op: str, rate: Any, seed: Any, noise_shape: Any, **named: Any) -> tuple[np.dtype, np.ndarray, float]:
    dtype = _check.arrays(op, **named)
    shape = named["x"][0].shape
    rate = _check.real(op, "rate", rate, 0.0, 1.0)
    seed = _check.integer(op, "seed", seed, high=2**64 - 1)
    refuse_too_large(op, shape, *[shape] * 8)  # the generator's words and their products
    mask = shape if noise_shape is None else _mask(op, noise_shape, shape)
    draws = np.broadcast_to(_halves(math.prod(mask), seed).reshape(mask), shape)
    return dtype, draws >= math.floor(rate * 2**16 + 0.5), 1 / (1 - rate) if rate < 1 else 0.0


def _halves(count: int, seed: int) -> np.ndarray:
    """The first ``count`` numbers of 16 bits, as uint64: two of a word, the lower half first."""
    words = philox((count + 1) // 2, seed)
    return np.stack([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=-1).reshape(-1)[:count]


def _mask(op: str, noise_shape: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Extents of the mask: 1 or x's each."""
    if isinstance(noise_shape, np.ndarray):
        got = f"noise_shape={noise_shape!r}"
        _check.fail(TypeError, op, "noise_shape must be extents", "a tuple of ints or None", got, "Pass a tuple.")
    given = _check.sequence(op, "noise_shape", noise_shape, len(shape), "extents")
    mask = tuple(
        n if m is None else _check.integer(op, "noise_shape", m, given=noise_shape)
        for m, n in zip(given, shape, strict=True)
    )
    if any(m not in (1, n) for m, n in zip(mask, shape, strict=True)):
        got = f"noise_shape={noise_shape}, x.shape={shape}"
        _check.fail(ValueError, op, "noise_shape must broadcast to x", "extents of 1 or of x", got, "Use 1 to repeat.")
    return mask


def philox(count: int, seed: int, first: int = 0) -> np.ndarray:
    """``count`` words (uint64 below 2^32) of Philox4x32-10, key ``seed``, counters ``first``, ``first + 1``, …"""
    counter = np.arange(first, first + (count + 3) // 4, dtype=np.uint64)
    c0, c1, c2, c3 = counter & _WORD, counter >> _SHIFT, np.zeros_like(counter), np.zeros_like(counter)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(key0), p1 & _WORD
        c2, c3 = (p0 >> _SHIFT) ^ c3 ^ np.uint64(key1), p0 & _WORD
        key0, key1 = (key0 + _WEYL[0]) & 0xFFFFFFFF, (key1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).reshape(-1)[:count]
