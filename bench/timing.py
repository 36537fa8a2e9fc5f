"""Times contestants in turn: peer, peer, ours, peer, peer, ours ... so that a slow moment of the machine slows all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[], Any]

_WARM_SECONDS = 0.005  # caches, clock and sleeping threads recover from the contestant before
_SAMPLE_SECONDS = 0.001  # shorter calls are repeated this long and their mean is one sample
_ROUNDS = (3, 40)


def in_turn(benchmark: Any, runs: Mapping[str, Run], budget: float) -> dict[str, list[float]]:
    """Seconds per call, one sample of every contestant per round.

    Args:
        benchmark: pytest-benchmark's fixture; it times the first contestant, ours.
        runs: name -> what to time.
        budget: about how many seconds all rounds may take.
    """
    loops = {name: max(1, math.ceil(_SAMPLE_SECONDS / _seconds(run))) for name, run in runs.items()}
    calls = {name: _repeated(run, loops[name]) for name, run in runs.items()}
    (ours, our_call), *peers = calls.items()
    seconds: dict[str, list[float]] = {name: [] for name in runs}

    def peers_first() -> None:
        for name, call in peers:
            _warm(call)
            seconds[name].append(_seconds(call) / loops[name])
        _warm(our_call)

    started = time.perf_counter()
    peers_first()
    round_seconds = time.perf_counter() - started
    rounds = min(max(round(budget / round_seconds), _ROUNDS[0]), _ROUNDS[1])
    benchmark.pedantic(our_call, setup=peers_first, rounds=rounds)
    seconds[ours] = [sample / loops[ours] for sample in benchmark.stats.stats.data]
    return seconds


def _seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _warm(run: Run) -> None:
    spent = _seconds(run)
    while spent < _WARM_SECONDS:
        spent += _seconds(run)


def _repeated(run: Run, times: int) -> Run:
    if times == 1:
        return run

    def loop() -> None:
        for _ in range(times):
            run()

    return loop
