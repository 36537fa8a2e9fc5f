"""Memory: how much is left, an error before it runs out, and arrays that live as long as a model."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from typing import Any

import numpy as np

CACHE_LINE = 64

# Asking the system for its free memory costs more than a small allocation; below this size nobody asks.
_ASK_FROM_BYTES = 1 << 26

# Smaller arrays than the first are not worth a system call; from the second on NumPy asks for huge pages, too.
_OWN_PAGES_FROM_BYTES = 1 << 17
_HUGE_PAGES_FROM_BYTES = 1 << 22


def lasting(op: str, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that live as long as a model, beginning on a cache line; MemoryError where they do not fit.

    Large ones get pages of their own, which go back to the system when the array dies. The C library would keep them:
    gathering the weights of a small network left holes of a quarter of its memory.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _OWN_PAGES_FROM_BYTES:
        raw = np.zeros(size + CACHE_LINE, np.uint8)
        start = -raw.ctypes.data % CACHE_LINE
        return raw[start : start + size].view(dtype).reshape(shape)
    check_free(op, name, shape, size)
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, ValueError, OverflowError) as error:
        raise refused(op, name, shape, size) from error
    if size >= _HUGE_PAGES_FROM_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(shape)


def take_rows(array: np.ndarray, which: Any) -> Any:
    """``array[which]`` along its first axis: a view for a slice, a copy for indices.

    Where memory runs out, indexing with an array raises SystemError (NumPy 2.4 sets no error); ``take`` a MemoryError. But
    ``take`` copies the whole of an array whose rows are not in one piece.
    """
    takes = isinstance(which, np.ndarray) and array.flags.c_contiguous
    return array.take(which, 0) if takes else array[which]


def check_free(op: str, name: str, shape: tuple[int, ...], size: int) -> None:
    """MemoryError unless ``size`` bytes leave room for others."""
    if size < _ASK_FROM_BYTES:
        return
    free = free_bytes()
    if size > 0.8 * free:
        raise MemoryError(
            f"[{op}] {name} must fit into memory: expected at most 80 % of {free} free bytes, got {size} bytes for "
            f"{name}.shape={tuple(shape)}. Use a smaller batch."
        )


def refused(op: str, name: str, shape: tuple[int, ...], size: int) -> MemoryError:
    """The error to raise where the system gave no memory."""
    return MemoryError(
        f"[{op}] {name} must fit into memory: expected room for {name}.shape={tuple(shape)}, got a refusal of {size} "
        "bytes by the system. Use a smaller batch, or raise the limit of the process."
    )


def free_bytes() -> int:
    """Memory this process may still take: the smaller of the system's and the cgroup's."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # not Linux: free pages alone are a lower bound
        pass
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as limit_file:
            limit = limit_file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as used_file:
            used = int(used_file.read())
        if limit != "max":
            free = min(free, max(int(limit) - used, 0))
    except OSError:  # no cgroup v2
        pass
    return free
