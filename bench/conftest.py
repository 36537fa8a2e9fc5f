"""What every bench needs: this machine's peak, and a table of rates at the end."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastconv

_rows = pytest.StashKey[list[tuple[str, float, float | None]]]()


@pytest.fixture(scope="session")
def peak() -> float | None:
    """GFLOP/s of pure fused multiply-adds with fastconv's number of threads, now; None without a C++ compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    source = Path(__file__).with_name("peak.cpp")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        flags = ["-std=c++20", "-O3", "-march=native", "-fopenmp"]
        subprocess.run([compiler, *flags, str(source), "-o", str(program)], check=True)
        threads = str(fastconv.get_num_threads())
        return float(subprocess.run([str(program), threads], check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def report_rate(request: pytest.FixtureRequest, peak: float | None) -> Callable[[Any, float], None]:
    """``report_rate(benchmark, flops)`` notes GFLOP/s and per cent of the peak, in the JSON and in the table."""

    def report(benchmark: Any, flops: float) -> None:
        if benchmark.disabled:
            return
        rate = flops / benchmark.stats.stats.min / 1e9
        percent = None if peak is None else 100 * rate / peak
        benchmark.extra_info.update(gflops=rate, peak_gflops=peak, percent_of_peak=percent)
        request.config.stash.setdefault(_rows, []).append((request.node.callspec.id, rate, percent))

    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(_rows, [])
    if not rows:
        return
    terminalreporter.section("fastest round, and per cent of the peak that bench/peak.cpp reached")
    width = max(len(name) for name, _, _ in rows)
    for name, rate, percent in rows:
        share = "no compiler" if percent is None else f"{percent:5.1f} %"
        terminalreporter.write_line(f"{name:<{width}} {rate:9.1f} GFLOP/s   {share}")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastconv"] = fastconv.show_config()
