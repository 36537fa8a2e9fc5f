"""The kernels on emulated x86 processors of 2008 (without AVX) and 2013 (without AVX-512), chosen as everywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from _suite import outcome

OLD_CPU = Path(__file__).parents[2] / "tests/native/old_cpu"
EXPECTED = {"Nehalem": "baseline", "Haswell": "avx2"}


def run(scale: float) -> dict[str, Any]:
    """What passed on each, and on which kernels; below a whole run the matrix products alone."""
    arguments = [] if scale >= 1 else ["test_ops.py", "-k", "dense and integers"]
    result: dict[str, Any] = {"found": []}
    for cpu, isa in EXPECTED.items():
        name = f"old_cpus: {cpu}"
        result[cpu], printed, faults = outcome(name, [OLD_CPU, *arguments], {"CPU": cpu, "PYTHON": sys.executable})
        result["found"] += faults
        if f"kernels for {isa}\n" not in printed:
            result["found"].append(f"{name}: expected kernels for {isa}, got {printed[:200]}")
    return result
