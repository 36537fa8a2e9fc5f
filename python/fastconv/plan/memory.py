"""Plans an arena: values that are never alive together share memory.

Greedy by size (Pisarchyk, Lee 2020, "Efficient Memory Management for Deep Neural Net Inference"): the largest blocks are
placed first, each at the lowest offset where it overlaps no block that lives at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ALIGNMENT", "Block", "plan_offsets"]

ALIGNMENT = 64


@dataclass(frozen=True)
class Block:
    """Memory that is needed from step ``first`` to step ``last``, both included."""

    size: int
    first: int
    last: int


def plan_offsets(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """The offset of each block and the size of the whole arena, in bytes; offsets are multiples of ``ALIGNMENT``."""
    offsets = [0] * len(blocks)
    placed: list[int] = []  # indices of placed blocks, by offset
    end = 0
    for i in sorted(range(len(blocks)), key=lambda i: (-blocks[i].size, blocks[i].first)):
        block = blocks[i]
        offset = 0
        for j in placed:
            other = blocks[j]
            if other.last < block.first or block.last < other.first:
                continue
            if offsets[j] - offset >= block.size:
                break
            offset = max(offset, _align(offsets[j] + other.size))
        offsets[i] = offset
        placed.append(i)
        placed.sort(key=offsets.__getitem__)
        end = max(end, offset + block.size)
    return offsets, _align(end)


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
