"""The test suite on a Python without the global interpreter lock, each test in four threads at once (pytest-run-parallel).

    FREE_THREADED_PYTHON=python3.13t python bench/nightly free_threading

That Python has fastconv, installed or built in place, what its tests need, as far as there are builds of it, and
pytest-run-parallel. Tests of what belongs to the whole process run in one thread: settings, the global random stream, signals,
warnings, standard output, and those marked thread_unsafe. Tests of the CUDA module are skipped: it does not claim to work there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from _suite import outcome

ROOT = Path(__file__).parents[2]
THREADS = 4
_SETTERS = ("set_device", "set_dtype_policy", "set_num_threads", "set_precision")
_OF_THE_PROCESS = {
    "fixtures": ("amx", "generator", "interruptible", "precision", "prefer", "strict", "threads"),
    "functions": (
        *("fastconv.random.seed", "fastconv.random.set_state", "numpy.random.seed"),
        *("fastconv.utils.set_random_seed", "fastconv.utils.seeds.set_random_seed"),
        *(f"{module}.{name}" for module in ("fastconv", "fastconv.config") for name in _SETTERS),
        *("fastconv.testing.networks.build", "fastconv.testing.numerics.numerics"),
        *("tracemalloc.*", "signal.*", "subprocess.*", "os.fork", "os.chdir"),
    ),
}


def run(scale: float) -> dict[str, Any]:
    """What passed; below a whole run the tests of pooling alone."""
    python = os.environ.get("FREE_THREADED_PYTHON", "python3.13t")
    lock = "import sys, fastconv; print(sys.version); sys.exit(sys._is_gil_enabled())"
    _, version, found = outcome("free_threading: import", [python, "-c", lock], {})
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", f"--parallel-threads={THREADS}"]
    for kind, names in _OF_THE_PROCESS.items():
        command += ["-o", f"thread_unsafe_{kind}=" + "\n".join(names)]
    tests = ROOT / "tests" if scale >= 1 else ROOT / "tests/test_pooling.py"
    passed, _, faults = outcome("free_threading: tests", [*command, tests], {"PYTHON_GIL": "0"})
    return {"python": version.strip(), "threads": THREADS, "passed": passed, "found": found + faults}
