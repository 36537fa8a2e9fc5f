"""What is measured: somebody's way to do one job, and the results that prove it was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Contestant:
    """``run()`` is timed; ``results()`` says what came of it, in fastconv's layouts, before any time is taken."""

    run: Callable[[], Any]
    results: Callable[[], Arrays]


def check_agreement(contestants: Mapping[str, Contestant], tolerance: float) -> None:
    """AssertionError unless all results are finite and as near to the first contestant's as float32 lets them be.

    ``tolerance`` bounds the Euclidean norm of the difference and, ten times it, the largest one, both relative to the
    results' own. Tests in tests/ check every element against the reference; here it is enough to see that all
    contestants did the same job.
    """
    (ours, first), *others = contestants.items()
    expected = [np.asarray(a, np.float64) for a in first.results()]
    assert all(np.isfinite(a).all() for a in expected), f"{ours}: a result is not finite"
    for name, contestant in others:
        actual = [np.asarray(a, np.float64) for a in contestant.results()]
        assert [a.shape for a in actual] == [a.shape for a in expected], f"{name}: other shapes than {ours}'s"
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            assert np.isfinite(a).all(), f"{name}: result {i} is not finite"
            difference, size = np.linalg.norm(a - b), np.linalg.norm(a)
            assert difference <= tolerance * size, f"{name}, result {i}: differs by {difference:.3g} of {size:.3g}"
            largest, most = abs(a - b).max(initial=0), abs(a).max(initial=0)
            assert largest <= 10 * tolerance * most, f"{name}, result {i}: one differs by {largest:.3g} of {most:.3g}"
