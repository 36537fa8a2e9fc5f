"""The ``measure`` fixture: agreement first, then times in turn, then a row for the table and the results file."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import fastconv
import results
import timing
from contest import Contestant, check_agreement
from machine import ceilings

_rows = pytest.StashKey[list[dict[str, Any]]]()
_SECONDS = {False: 2.0, True: 0.2}  # per row, quick or not


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastconv's benches")
    group.addoption("--record", metavar="NAME", help="merge the rows into bench/results/NAME.json")
    group.addoption("--quick", action="store_true", help="few rounds: to see that everything runs")


@pytest.fixture
def torch_ops() -> Any:
    """PyTorch's operations; a row that needs them is skipped where PyTorch is not installed."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from peers import torch_ops

    return torch_ops


@pytest.fixture
def torch_models(torch_ops: Any) -> Any:
    """PyTorch's networks."""
    from peers import torch_models

    return torch_models


@pytest.fixture(scope="session")
def compiler(request: pytest.FixtureRequest) -> str:
    """Why torch.compile cannot take part; "" if it can."""
    if request.config.getoption("quick"):
        return "compiling takes too long for --quick"
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.compile(torch.relu)(torch.ones(64))
    except Exception as error:  # any failure of the compiler's is a reason, not an error of ours
        return f"torch.compile does not work here: {type(error).__name__}"
    return ""


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Callable[..., None]:
    """``measure(group, name, contestants, ...)``: the first contestant is ours."""

    def run(
        group: str, name: str, contestants: Mapping[str, Contestant], tolerance: float = 2e-5, **facts: Any
    ) -> None:
        check_agreement(contestants, tolerance)
        if benchmark.disabled:
            return
        quick = request.config.getoption("quick")
        seconds = timing.in_turn(benchmark, {n: c.run for n, c in contestants.items()}, _SECONDS[quick])
        add_row(request.config, group, name, seconds, **facts)
        benchmark.extra_info.update(request.config.stash[_rows][-1])

    return run


def add_row(config: pytest.Config, group: str, name: str, seconds: dict[str, list[float]], **facts: Any) -> None:
    """Keeps the fastest and the median sample of every contestant."""
    times = {n: {"min": min(s), "median": statistics.median(s), "samples": len(s)} for n, s in seconds.items()}
    config.stash.setdefault(_rows, []).append({"group": group, "name": name, **facts, "seconds": times})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(_rows, [])
    if rows:
        terminalreporter.section("best mode of the peers / ours: by minimum, by median")
    for row in rows:
        ratios = "  ".join(
            f"{ours} {results.ratio(row, ours, 'min'):5.2f} {results.ratio(row, ours, 'median'):5.2f}"
            for ours in results.ours(row)
        )
        terminalreporter.write_line(f"{row['group']:<10} {row['name']:<40} {ratios}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    rows, name = session.config.stash.get(_rows, []), session.config.getoption("record")
    if rows and name:
        results.merge(name, rows, ceilings())


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastconv"] = fastconv.show_config()
