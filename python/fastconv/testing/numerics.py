"""The precision and the convolution algorithm for the length of a ``with`` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import _cpu

__all__ = ["numerics"]


@contextmanager
def numerics(precision: str = "fast", conv2d: str = "automatic") -> Iterator[None]:
    """Inside, operations are lowered with this precision; convolutions use ``conv2d`` wherever it can compute them."""
    before = _cpu.numerics()
    try:
        _cpu.set_precision(precision)
        _cpu.prefer_conv2d(conv2d)
        yield
    finally:
        _cpu.set_precision(before[0])
        _cpu.prefer_conv2d(before[1])
