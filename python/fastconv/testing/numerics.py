"""Settings of the process for the length of a ``with`` block. One thread at a time: others wait for their turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .. import _cpu
from .._locks import ProcessLock

__all__ = ["SETTINGS", "instruction_set", "numerics"]

SETTINGS = ProcessLock()  # held while settings are others than before


@contextmanager
def numerics(precision: str = "fast", conv2d: str = "automatic") -> Iterator[None]:
    """Inside, operations are lowered with this precision; convolutions use ``conv2d`` wherever it can compute them."""
    with SETTINGS.lock:
        before = _cpu.numerics()
        try:
            _cpu.set_precision(precision)
            _cpu.prefer_conv2d(conv2d)
            yield
        finally:
            _cpu.set_precision(before[0])
            _cpu.prefer_conv2d(before[1])


@contextmanager
def instruction_set(isa: str) -> Iterator[None]:
    """Inside, kernels of this instruction set run."""
    with SETTINGS.lock:
        before = _cpu.current_isa()
        try:
            _cpu.select_isa(isa)
            yield
        finally:
            _cpu.select_isa(before)
