"""Times contestants in turn: peer, peer, ours, peer, peer, ours ... so that a slow moment of the machine slows all alike."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[], Any]

_WARM_SECONDS = 0.03  # not timed: caches and clock recover, and the threads of the one before stop spinning
_LONG_SECONDS = 0.5  # a call that takes so long warms itself up
_SAMPLE_SECONDS = 0.001  # shorter calls are repeated for so long, and their mean is one sample
_SAMPLES = 5  # per turn, of short calls
_TURNS = (3, 40)


def in_turn(benchmark: Any, runs: Mapping[str, Run], budget: float) -> dict[str, list[list[float]]]:
    """Seconds per call: of every contestant many turns, a few samples each.

    Args:
        benchmark: pytest-benchmark's fixture; it times the first contestant, ours.
        runs: name -> what to time.
        budget: about how many seconds all turns may take.
    """
    estimates = {name: _estimate(run) for name, run in runs.items()}
    loops = {name: math.ceil(_SAMPLE_SECONDS / estimate) for name, estimate in estimates.items()}
    calls = {name: _repeated(run, loops[name]) for name, run in runs.items()}
    (ours, our_call), *peers = calls.items()
    samples = _between(1, _WARM_SECONDS / max(estimates.values()), _SAMPLES)
    turn_seconds = sum(max(e, _WARM_SECONDS) + samples * max(e, _SAMPLE_SECONDS) for e in estimates.values())
    turns = _between(_TURNS[0], budget / turn_seconds, _TURNS[1])
    seconds: dict[str, list[list[float]]] = {name: [] for name in runs}
    our_sample = itertools.count()

    def peers_first() -> None:
        """Runs before each of our samples; before the first of a turn, the peers have theirs."""
        if next(our_sample) % samples == 0:
            for name, call in peers:
                _warm(call, estimates[name])
                seconds[name].append([_seconds(call) / loops[name] for _ in range(samples)])
            _warm(our_call, estimates[ours])

    benchmark.pedantic(our_call, setup=peers_first, rounds=turns * samples)
    data = [sample / loops[ours] for sample in benchmark.stats.stats.data]
    seconds[ours] = [data[i : i + samples] for i in range(0, len(data), samples)]
    return seconds


def _between(least: int, value: float, most: int) -> int:
    return min(max(round(value), least), most)


def _estimate(run: Run) -> float:
    first = _seconds(run)
    return first if first >= _WARM_SECONDS else min(first, *(_seconds(run) for _ in range(3)))


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
