"""The compilers' sanitizers over the C++ code: memory, undefined behaviour, races, leaks, integers (BASELINE_ONLY=ON: a quarter)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from _suite import outcome

SANITIZE = Path(__file__).parents[2] / "tests/native/sanitize"

# What each looks for is said there. The CUDA tests that are left out do the same on more numbers.
RUNS: dict[str, list[str]] = {
    "thread": [],
    "kernels": [],
    "leaks": [],
    "integers": ["-n", "2"],
    "address": ["-n", "2"],
    "cuda": ["-k", "not reversed and not half and not large and not network"],
}


def run(scale: float) -> dict[str, Any]:
    """So much of the list; what passed (tests, or kernel calls of the programs without Python), and what was found."""
    passed, found = {}, []
    python = os.environ.get("PYTHON", sys.executable)
    for name in list(RUNS)[: max(1, round(scale * len(RUNS)))]:
        passed[name], _, faults = outcome(f"sanitizers: {name}", [SANITIZE, name, *RUNS[name]], {"PYTHON": python})
        found += faults
    return {
        "baseline_only": os.environ.get("BASELINE_ONLY") == "ON",
        **passed,
        "tests": sum(passed.get(name, 0) for name in ("integers", "address", "cuda")),
        "findings": len(found),
        "found": found,
    }
