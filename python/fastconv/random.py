"""One seed for everything random: weights, shuffles, dropout masks.

A *stream* is a pair ``(seed, counter)``; each draw hashes the pair and advances the counter, so the whole random
state of a program is two integers, is saved in checkpoints, and does not depend on the number of threads.
"""

from __future__ import annotations

import os

import numpy as np

from fastconv import _arguments
from fastconv._locks import ProcessLock

__all__ = ["generator", "get_state", "next_seed", "seed", "set_state"]

_MASK = (1 << 64) - 1


def _mix(z: int) -> int:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection whose output bits all depend on all input bits."""
    z = (z + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


_state = [int.from_bytes(os.urandom(8), "little"), 0]
_drawing = ProcessLock()


def seed(n: int) -> None:
    """Restart the global stream: the same ``n`` gives the same weights, shuffles and dropout masks.

    Args:
        n: any int; only its low 64 bits count.

    Raises:
        TypeError: if ``n`` is not an integer.

    Example:
        >>> import fastconv
        >>> fastconv.random.seed(7)
        >>> a = fastconv.random.next_seed()
        >>> fastconv.random.seed(7)
        >>> a == fastconv.random.next_seed()
        True
    """
    first = _arguments.integer("random.seed", "n", n) & _MASK
    with _drawing.lock:
        _state[:] = [first, 0]


def next_seed() -> int:
    """The next unsigned 64-bit seed of the global stream."""
    with _drawing.lock:
        _state[1] += 1
        first, counter = _state
    return _mix(_mix(first) ^ counter)


def seed_of(stream: int, number: int) -> int:
    """Seed ``number`` of a stream of its own, which draws of others do not change."""
    return _mix(_mix(stream & _MASK) ^ (number + 1))


def generator(from_seed: int | None = None) -> np.random.Generator:
    """A NumPy generator (Philox) seeded by ``from_seed``, or by the next seed of the global stream."""
    key = next_seed() if from_seed is None else _mix(_arguments.integer("generator", "from_seed", from_seed) & _MASK)
    return np.random.Generator(np.random.Philox(key=key))


def get_state() -> tuple[int, int]:
    """``(seed, counter)`` of the global stream, for a checkpoint."""
    with _drawing.lock:
        return _state[0], _state[1]


def set_state(state: tuple[int, int]) -> None:
    """Put the global stream back where :func:`get_state` found it."""
    parts = _arguments.items("set_state", "state", state)
    if len(parts) != 2:
        raise ValueError(
            f"[set_state] state must be a pair: expected (seed, counter), got {len(parts)} parts. Pass what get_state returned."
        )
    first, counter = (_arguments.integer("set_state", f"state[{i}]", part) for i, part in enumerate(parts))
    with _drawing.lock:
        _state[:] = [first & _MASK, counter & _MASK]
