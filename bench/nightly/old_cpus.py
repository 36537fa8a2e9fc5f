"""The kernels on emulated x86 processors of 2008 (without AVX) and 2013 (without AVX-512), chosen as everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

OLD_CPU = Path(__file__).parents[2] / "tests/native/old_cpu"
EXPECTED = {"Nehalem": "baseline", "Haswell": "avx2"}


def run(scale: float) -> dict[str, Any]:
    """What passed on each, and on which kernels; below a whole run the matrix products alone."""
    arguments = [] if scale >= 1 else ["test_ops.py", "-k", "dense and integers"]
    result: dict[str, Any] = {"found": []}
    for cpu, isa in EXPECTED.items():
        environment = {**os.environ, "CPU": cpu, "PYTHON": sys.executable}
        done = subprocess.run(
            [str(OLD_CPU), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        result[cpu] = sum(int(n) for n in re.findall(r"(\d+) passed", done.stdout))
        if done.returncode != 0 or f"kernels for {isa}\n" not in done.stdout:
            result["found"].append(f"{cpu}: {done.stdout[-3000:]}")
    return result
