"""Times contestants in turn: peer, peer, ours, peer, peer, ours ... so that a slow moment of the machine slows all alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[], Any]

_WARM_SECONDS = 0.03  # caches and clock recover, and the threads of the contestant before stop spinning
_SAMPLE_SECONDS = 0.001  # shorter calls are repeated this long and their mean is one sample
_LONG_SECONDS = 0.1  # a call that long warms itself up
_ROUNDS = (3, 40)


def in_turn(benchmark: Any, runs: Mapping[str, Run], budget: float) -> dict[str, list[float]]:
    """Seconds per call, one sample of every contestant per round.

    Args:
        benchmark: pytest-benchmark's fixture; it times the first contestant, ours.
        runs: name -> what to time.
        budget: about how many seconds all rounds may take.
    """
    estimates = {name: _seconds(run) for name, run in runs.items()}
    loops = {name: math.ceil(_SAMPLE_SECONDS / estimate) for name, estimate in estimates.items()}
    calls = {name: _repeated(run, loops[name]) for name, run in runs.items()}
    round_seconds = sum(estimate + max(estimate, _WARM_SECONDS) for estimate in estimates.values())
    rounds = min(max(round(budget / round_seconds), _ROUNDS[0]), _ROUNDS[1])
    (ours, our_call), *peers = calls.items()
    seconds: dict[str, list[float]] = {name: [] for name in runs}

    def peers_first() -> None:
        for name, call in peers:
            _warm(call, estimates[name])
            seconds[name].append(_seconds(call) / loops[name])
        _warm(our_call, estimates[ours])

    benchmark.pedantic(our_call, setup=peers_first, rounds=rounds)
    seconds[ours] = [sample / loops[ours] for sample in benchmark.stats.stats.data]
    return seconds


def _seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _warm(run: Run, estimate: float) -> None:
    spent = 0.0
    while spent < _WARM_SECONDS and estimate < _LONG_SECONDS:
        spent += _seconds(run)


def _repeated(run: Run, times: int) -> Run:
    if times == 1:
        return run

    def loop() -> None:
        for _ in range(times):
            run()

    return loop
