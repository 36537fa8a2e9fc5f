"""Memory that very many calls keep: of every op, of every refused call, of whole lives of a model.

The process's memory in RAM (RSS) is looked at before and after 10,000 calls, 1,000 refused ones, 200 lives; 1 MiB is allowed.
What NumPy and glibc keep for later is put out of the way first, see ``fastconv.testing.memory``.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastconv.testing.many_calls import good_calls, life, refused_calls
from fastconv.testing.memory import fill_numpy_cache, resident_bytes, return_large_blocks

CALLS, REFUSED, LIVES = 10_000, 1_000, 200
MOST = 1 << 20


def run(scale: float) -> dict[str, Any]:
    """What each kind of call has kept at most, in MiB."""
    return_large_blocks()
    fill_numpy_cache()
    good = _all_grown(((what, call) for what, _, call in good_calls()), round(CALLS * scale))
    refused = _all_grown(((what, call) for what, _, call in refused_calls()), round(REFUSED * scale))
    with tempfile.TemporaryDirectory() as folder:
        # As many before: dead models wait for the garbage collector, some hundreds at most.
        lives = {"a life of a model": _grown(lambda: life(Path(folder)), round(LIVES * scale), warm=LIVES)}
    return {
        "calls": len(good),
        "calls each": round(CALLS * scale),
        "calls MiB": _mib(max(good.values())),
        "refused": len(refused),
        "refused each": round(REFUSED * scale),
        "refused MiB": _mib(max(refused.values())),
        "lives": round(LIVES * scale),
        "lives MiB": _mib(max(lives.values())),
        "found": [
            f"{what}: {_mib(size)} MiB" for each in (good, refused, lives) for what, size in each.items() if size > MOST
        ],
    }


def _all_grown(calls: Iterable[tuple[str, Callable[[], Any]]], count: int) -> dict[str, int]:
    return {f"{what} ({i})": _grown(call, count, warm=200) for i, (what, call) in enumerate(calls)}


def _grown(call: Callable[[], Any], count: int, warm: int) -> int:
    """Bytes that ``count`` calls have kept, after the first ``warm``."""
    for _ in range(warm):
        call()
    gc.collect()
    before = resident_bytes()
    for _ in range(count):
        call()
    gc.collect()
    return resident_bytes() - before


def _mib(size: int) -> float:
    return round(size / (1 << 20), 2)
