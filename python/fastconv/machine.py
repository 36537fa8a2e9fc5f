"""What this machine can do at best, measured: the two limits of a roofline (Williams, Waterman, Patterson 2009)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fastconv import _cpu
from fastconv._locks import ProcessLock

__all__ = ["Machine", "measured_machine"]

_SIZES = (1 << 14, 1 << 17, 1 << 20, 1 << 23, 1 << 27)  # bytes read and written: L1, L2, L2 of two cores, L3, memory
_SECONDS = 0.02  # for each measurement, about


@dataclass(frozen=True)
class Machine:
    """Limits of the threads in use.

    Attributes:
        flops: multiply-adds per second from registers, times two.
        split_flops: the same of float32 products by matrix tiles (AMX) in fast precision; 0 where there are none.
        bandwidth: ``(bytes, bytes per second)`` of copies that read and write that many bytes in all.
        call: seconds of a kernel call with next to no work.
    """

    flops: float
    split_flops: float
    bandwidth: tuple[tuple[float, float], ...]
    call: float

    def bytes_per_second(self, nbytes: float) -> float:
        """The bandwidth of a call that moves ``nbytes``: small ones find their data in a cache."""
        sizes = [math.log2(size) for size, _ in self.bandwidth]
        return float(np.interp(math.log2(max(nbytes, 1.0)), sizes, [rate for _, rate in self.bandwidth]))

    def arithmetic(self, flops: float, algorithm: str = "") -> float:
        """Seconds of so many operations on the units that an algorithm uses."""
        return flops / (self.split_flops if algorithm == "amx" else self.flops)

    def predicted(self, flops: float, nbytes: float, algorithm: str = "") -> float:
        """Seconds of a call that waits for the slower of arithmetic and memory."""
        return self.call + max(self.arithmetic(flops, algorithm), nbytes / self.bytes_per_second(nbytes))


_measuring = ProcessLock()  # two at a time would measure each other


def measured_machine(dtype: str) -> Machine:
    """This process's machine with its threads and instruction set as they are now; measured once for each, in 0.2 s."""
    with _measuring.lock:
        return _measure(dtype, _cpu.get_num_threads(), _cpu.current_isa())


@lru_cache(maxsize=16)
def _measure(dtype: str, threads: int, isa: str) -> Machine:
    flops = _cpu.peak_flops(dtype == "float64", _SECONDS)
    split_flops = _cpu.peak_split_flops(_SECONDS) if dtype == "float32" else 0.0
    bandwidth = tuple((float(size), size / _copy_seconds(size)) for size in _SIZES)
    return Machine(flops, split_flops, bandwidth, _copy_seconds(8, calls=100))


def _copy_seconds(nbytes: int, calls: int = 1) -> float:
    """The shortest time of one call that reads half of ``nbytes`` and writes the other half."""
    x = np.zeros(nbytes // 8, np.float32)
    y = np.ones_like(x)
    start = (0,) * x.ndim
    spec = _cpu.BoxSpec.make("float32", "assign", x.shape, y.shape, start, start, x.shape)
    program = _cpu.Program()
    for _ in range(calls):
        program.add("box_copy", spec, [x, y])
    best, end = math.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < end or best == math.inf:
        begin = time.perf_counter()
        program.run()
        best = min(best, time.perf_counter() - begin)
    return best / calls
