"""The compilers' sanitizers over the C++ code: memory, undefined behaviour, races, leaks, integers (BASELINE_ONLY=ON: a quarter)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def _findings(text: str) -> str:
    """The lines of a report that say what was found, each once."""
    return "".join(f"{line}\n" for line in dict.fromkeys(re.findall(r".*(?:runtime error|SUMMARY:).*", text)))


def run(scale: float) -> dict[str, Any]:
    """So much of the list; what passed (tests, or kernel calls of the programs without Python), and what was found."""
    chosen = list(RUNS)[: max(1, round(scale * len(RUNS)))]
    environment = {"PYTHON": sys.executable, **os.environ}
    passed, found = {}, []
    for name in chosen:
        command = [str(SANITIZE), name, *RUNS[name]]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        passed[name] = sum(int(n) for n in re.findall(r"(\d+) (?:kernel calls )?passed", done.stdout))
        print(f"sanitizers: {name}: {passed[name]} passed, exit status {done.returncode}", flush=True)
        if done.returncode != 0:
            found.append(f"{name}: {_findings(done.stdout)}{done.stdout[-3000:]}")
            print(found[-1], flush=True)
    tests = sum(passed[name] for name in ("integers", "address", "cuda") if name in passed)
    return {
        "baseline_only": environment.get("BASELINE_ONLY") == "ON",
        **passed,
        "tests": tests,
        "findings": len(found),
        "found": found,
    }
