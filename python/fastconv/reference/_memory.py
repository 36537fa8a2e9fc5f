"""How much memory a call may take: refuse hostile sizes before anything is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from . import _check

_MAX_BYTES = 2**63 - 1
_SMALL_BYTES = 2**26  # below this much memory it is not worth asking the system what is left


def refuse_too_large(op: str, result: Sequence[int], *work: Sequence[int]) -> None:
    """Refuse a call whose float64 result and work arrays do not fit, before anything is allocated."""
    total = 8 * sum(math.prod(extents) for extents in (result, *work))
    if total > _MAX_BYTES:
        got = f"{total} bytes, result shape {tuple(result)}"
        _check.fail(ValueError, op, "sizes are too large", f"at most {_MAX_BYTES} bytes", got, "Use smaller shapes.")
    if total > _SMALL_BYTES and total > (free := _free_bytes()):
        got = f"{total} bytes for result shape {tuple(result)}"
        _check.fail(
            MemoryError,
            op,
            "the result does not fit in memory",
            f"at most {free} bytes",
            got,
            "Use a smaller batch.",
        )


def _free_bytes() -> int:
    """Memory this process may still take: the least of free RAM, the cgroup's and the address-space limit."""
    limits = [_MAX_BYTES]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            limits.append(1024 * int(line.split()[1]))
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{part}") for part in ("max", "current"))
    if limit and used and limit[0].isdigit():
        limits.append(int(limit[0]) - int(used[0]))
    try:
        import resource  # not on Windows

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            pages = _lines("/proc/self/statm")
            limits.append(soft - (int(pages[0].split()[0]) * os.sysconf("SC_PAGE_SIZE") if pages else 0))
    except ImportError:
        pass
    return max(0, min(limits) * 4 // 5)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()
    except OSError:
        return []
