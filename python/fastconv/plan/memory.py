"""Plans an arena: values that are never alive together share memory.

Blocks are placed one by one, each at the lowest offset where it overlaps none that lives at the same time. The order decides:
those that are large for long come first, or those that only live for long (as in Pisarchyk, Lee 2020, "Efficient Memory
Management for Deep Neural Net Inference", which has orders by size). While the arena is larger than the fullest step needs, the
block that reached its end is placed before the others, and all is placed anew.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

__all__ = ["ALIGNMENT", "Block", "nbytes", "plan_offsets", "storage"]

ALIGNMENT = 64

# How much more than the fullest step an arena may take without another attempt, and how many attempts an order gets.
_GOOD_ENOUGH = 1.01
_ATTEMPTS = 12
# Placing n blocks looks at n²/2 pairs; this many are a tenth of a second.
_MOST_PAIRS = 1 << 17


def storage(dtype: str) -> np.dtype:
    """What an arena's bytes are seen as. NumPy knows no bfloat16: its bits are what a kernel takes."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


def nbytes(shape: Sequence[int], dtype: str) -> int:
    """The bytes of a tensor."""
    return math.prod(shape) * storage(dtype).itemsize


@dataclass(frozen=True)
class Block:
    """Memory that is needed from step ``first`` to step ``last``, both included."""

    size: int
    first: int
    last: int


_ORDERS: tuple[Callable[[Block], Any], ...] = (
    lambda b: (-b.size * (b.last - b.first + 1), b.first),
    lambda b: (b.first - b.last, -b.size),
)


def plan_offsets(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """The offset of each block and the size of the whole arena, in bytes; offsets are multiples of ``ALIGNMENT``."""
    enough = _GOOD_ENOUGH * _fullest(blocks)
    attempts = max(1, min(_ATTEMPTS, 2 * _MOST_PAIRS // (len(blocks) ** 2 + 1)))
    best, size = _place(blocks, range(len(blocks)))
    for key in _ORDERS:
        order = sorted(range(len(blocks)), key=lambda i: key(blocks[i]))
        for _ in range(attempts):
            if size <= enough:
                return best, size
            offsets, end = _place(blocks, order)
            if end < size:
                best, size = offsets, end
            highest = max(order, key=lambda i: offsets[i] + blocks[i].size)
            order.remove(highest)
            order.insert(0, highest)
    return best, size


def _fullest(blocks: Sequence[Block]) -> int:
    """What the step with the most needs: no arena can be smaller."""
    changes = sorted([(b.first, _align(b.size)) for b in blocks] + [(b.last + 1, -_align(b.size)) for b in blocks])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _place(blocks: Sequence[Block], order: Sequence[int]) -> tuple[list[int], int]:
    """Offsets and the arena's size, if blocks are placed in that order."""
    offsets = [0] * len(blocks)
    placed: list[tuple[int, Block]] = []  # by offset
    end = 0
    for i in order:
        offset = offsets[i] = _lowest(blocks[i], placed)
        insort(placed, (offset, blocks[i]), key=itemgetter(0))
        end = max(end, offset + blocks[i].size)
    return offsets, _align(end)


def _lowest(block: Block, placed: Sequence[tuple[int, Block]]) -> int:
    """The lowest offset at which ``block`` overlaps none of those, given by offset, that live at its time."""
    offset = 0
    for start, other in placed:
        if other.last < block.first or block.last < other.first:
            continue
        if start - offset >= block.size:
            break
        offset = max(offset, _align(start + other.size))
    return offset


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
