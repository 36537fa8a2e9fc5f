"""The machine's ceilings, by peak.cpp: fused multiply-adds and copied bytes per second, on fastconv's threads."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastconv

# The unit that AMX is measured against is that of AVX-512: the peak of float32 without splitting.
_FLAGS = {"amx": ["-march=native"], "avx512": ["-march=native"], "avx2": ["-mavx2", "-mfma"]}
COPIED = {"inside": 2**19, "beyond": 2**26}  # bytes of an array inside the cores' own caches, and far beyond them
_ROUND = 2**24  # bytes that a round copies at least
_SECONDS = 0.5
_LINE = 64


@dataclass(frozen=True)
class Ceiling:
    """Ways to do as much as the machine can: each does ``amount`` of FLOP or of bytes, and the fastest one counts."""

    amount: float
    runs: Mapping[str, Callable[[], object]]


def others_seconds() -> float:
    """CPU seconds, since the machine started, that went to other processes or to other virtual machines."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK") - time.process_time()


@functools.cache
def ceiling(kind: str) -> Ceiling | None:
    """Of "gflops", pure fused multiply-adds, or of copies "inside" or "beyond"; None without a C++ compiler."""
    peak = _library()
    if peak is None:
        return None
    threads = fastconv.show_config()["threads"]
    if kind == "gflops":
        return Ceiling(peak.multiply_add(threads), {"multiply-adds": lambda: peak.multiply_add(threads)})
    size = COPIED[kind]
    from_, to = _lines(size), _lines(size)
    given = (threads, from_.ctypes, to.ctypes, size)
    peak.prepare_copies(*given)
    times = max(1, _ROUND // size)

    def copies(past_caches: bool) -> Callable[[], object]:
        return lambda: peak.copy_bytes(*given, times, past_caches)

    return Ceiling(peak.copy_bytes(*given, times, False), {"stores": copies(False), "past the caches": copies(True)})


@functools.cache
def ceilings() -> dict[str, float] | None:
    """ "gflops" of pure FMAs, "inside" and "beyond" GB/s of copies, at best; None without a C++ compiler."""
    found = {kind: ceiling(kind) for kind in ("gflops", *COPIED)}
    return {kind: max(_best(c.amount, run) for run in c.runs.values()) for kind, c in found.items() if c} or None


def _best(amount: float, run: Callable[[], object]) -> float:
    least, end = float("inf"), time.perf_counter() + _SECONDS
    while (started := time.perf_counter()) < end:
        run()
        least = min(least, time.perf_counter() - started)
    return amount / least / 1e9


def _lines(size: int) -> np.ndarray:
    """Bytes that no thread has touched yet, from the start of a cache line on."""
    memory = np.empty(size + _LINE, np.uint8)
    return memory[-memory.ctypes.data % _LINE :][:size]


@functools.cache
def _library() -> ctypes.CDLL | None:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        library, source = str(Path(folder) / "peak.so"), str(Path(__file__).with_name("peak.cpp"))
        flags = ["-std=c++20", "-O3", "-fopenmp", "-shared", "-fPIC", *_FLAGS.get(fastconv.show_config()["isa"], [])]
        subprocess.run([compiler, *flags, source, "-o", library], check=True)
        peak = ctypes.CDLL(library)
    pointer, size = ctypes.c_void_p, ctypes.c_long
    peak.multiply_add.argtypes, peak.multiply_add.restype = [ctypes.c_int], ctypes.c_double
    peak.prepare_copies.argtypes, peak.prepare_copies.restype = [ctypes.c_int, pointer, pointer, size], None
    peak.copy_bytes.argtypes = [ctypes.c_int, pointer, pointer, size, ctypes.c_int, ctypes.c_bool]
    peak.copy_bytes.restype = ctypes.c_double
    return peak
