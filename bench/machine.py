"""The machine's two ceilings, measured now by peak.cpp: fused multiply-adds and copied bytes per second."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import fastconv

# The unit that AMX is measured against is that of AVX-512: the peak of float32 without splitting.
_FLAGS = {"amx": ["-march=native"], "avx512": ["-march=native"], "avx2": ["-mavx2", "-mfma"]}
COPIED = {"inside": 2**19, "beyond": 2**26}  # bytes of an array inside the cores' own caches, and far beyond them


def others_seconds() -> float:
    """CPU seconds, since the machine started, that went to other processes or to other virtual machines."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK") - time.process_time()


@functools.cache
def ceilings() -> dict[str, float] | None:
    """ "gflops" of pure FMAs, "inside" and "beyond" GB/s of copies; None without a C++ compiler. On fastconv's threads."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    config = fastconv.show_config()
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "peak")
        source = str(Path(__file__).with_name("peak.cpp"))
        flags = ["-std=c++20", "-O3", "-fopenmp", *_FLAGS.get(config["isa"], [])]
        subprocess.run([compiler, *flags, source, "-o", program], check=True)

        def measured(*arguments: object) -> float:
            command = [program, str(config["threads"]), *map(str, arguments)]
            return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        return {"gflops": measured(), **{name: measured(size) for name, size in COPIED.items()}}
