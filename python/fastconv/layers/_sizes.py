"""How large weights may be: what memory holds, and what a file that describes them holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from fastconv import _memory

__all__ = ["check_size", "weights_within"]

_budget: ContextVar[list[int] | None] = ContextVar("fastconv_weight_budget", default=None)


@contextmanager
def weights_within(elements: int) -> Iterator[None]:
    """Inside the block layers may make weights of ``elements`` elements together: those that a file holds for them.

    A config that names a huge layer is refused before anything is allocated.
    """
    token = _budget.set([elements])
    try:
        yield
    finally:
        _budget.reset(token)


def check_size(layer: str, name: str, shape: tuple[int, ...], dtype: str) -> None:
    """MemoryError before a weight of absurd size is drawn."""
    count = math.prod(shape)
    budget = _budget.get()
    if budget is not None:
        budget[0] -= count
        if budget[0] < 0:
            raise ValueError(
                f"[{layer}] {name} must be one of the file's weights: expected at most {budget[0] + count} elements more, got "
                f"{count} for shape {shape}. The config and the weights do not belong together."
            )
    if count * np.dtype(dtype).itemsize * 4 > _memory.free_bytes() and count > 1 << 20:
        raise MemoryError(
            f"[{layer}] {name} must fit into memory with its gradient and optimizer state: expected 4 x "
            f"{count * np.dtype(dtype).itemsize} bytes, got {_memory.free_bytes()} free bytes for shape {shape}. "
            "Use fewer units, or a convolution."
        )
