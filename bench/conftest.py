"""The ``measure`` fixture: agreement first, then times in turn, then a row for the table and the results file."""

from __future__ import annotations

import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import fastconv
import results
import timing
from contest import Contestant, check_agreement
from machine import ceiling, ceilings, others_seconds
from results import Row

_rows = pytest.StashKey[list[Row]]()
_SECONDS = {False: 1.5, True: 0.2}  # per row, quick or not


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.compile(torch.relu)(torch.ones(64))
    except Exception as error:  # any failure of the compiler's is a reason, not an error of ours
        return f"torch.compile does not work here: {type(error).__name__}"
    return ""


@pytest.fixture
def add_row(request: pytest.FixtureRequest) -> Callable[..., Row]:
    """``add_row(group, name, samples, unit)`` keeps the least and the median sample of every contestant."""

    def add(group: str, name: str, samples: Mapping[str, list[float]], unit: str = "s", **facts: Any) -> Row:
        measured = {n: {"min": min(s), "median": statistics.median(s), "samples": len(s)} for n, s in samples.items()}
        row = {"group": group, "name": name, "unit": unit, **facts, "measured": measured}
        request.config.stash.setdefault(_rows, []).append(row)
        if record := request.config.getoption("record"):  # at once: a run that is interrupted keeps what it has
            results.merge(record, [row], ceilings())
        return row

    return add


@pytest.fixture
def measure(benchmark: Any, add_row: Callable[..., Row], request: pytest.FixtureRequest) -> Callable[..., None]:
    """``measure(group, name, contestants, ...)``: the first contestant is ours."""
    budget = _SECONDS[request.config.getoption("quick")]

    def run(
        group: str, name: str, contestants: Mapping[str, Contestant], tolerance: float = 2e-5, **facts: Any
    ) -> None:
        check_agreement(contestants, tolerance)
        runs = {who: contestant.run for who, contestant in contestants.items()}
        most = ceiling(kind) if (kind := facts.get("place") or ("gflops" if "flops" in facts else None)) else None
        if benchmark.disabled:  # pytest --benchmark-disable: it ran, and the results agree
            benchmark(next(iter(runs.values())))
            return
        started, others = time.perf_counter(), others_seconds()
        turns = timing.in_turn(benchmark, runs | (most.runs if most else {}), budget)
        if most:
            facts["ceiling"] = _ceiling(most.amount, [turns[way] for way in most.runs], turns[next(iter(runs))])
        seconds = {who: list(itertools.chain(*turns[who])) for who in runs}
        facts["others_cpus"] = round((others_seconds() - others) / (time.perf_counter() - started), 2)
        benchmark.extra_info.update(add_row(group, name, seconds, **facts))

    return run


def _ceiling(amount: float, ways: list[list[list[float]]], ours: list[list[float]]) -> dict[str, float]:
    """What a row is measured against: seconds that the machine's fastest way to do as much took.

    The least ones are of the turn that holds our least: a virtual machine's bandwidth can double from one turn to the next.
    """
    least = [min(min(turn) for turn in same) for same in zip(*ways, strict=True)]
    typical = min(statistics.median(itertools.chain(*way)) for way in ways)
    best_turn = min(range(len(ours)), key=lambda i: min(ours[i]))
    return {"amount": amount, "min": least[best_turn], "median": typical}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash.get(_rows, [])
    if rows:
        terminalreporter.section("best mode of the peers / ours: by minimum, by median")
    for row in rows:
        ratios = "  ".join(
            f"{ours} {results.ratio(row, ours, 'min'):5.2f} {results.ratio(row, ours, 'median'):5.2f}"
            for ours in results.ours(row)
        )
        noise = f"   others took {row['others_cpus']} CPUs" if results.disturbed(row) else ""
        terminalreporter.write_line(f"{row['group'] + ': ' + row['name']:<60} {ratios}{noise}")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["fastconv"] = fastconv.show_config()
