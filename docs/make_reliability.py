"""Writes docs/reliability.md: every promise, the tests that prove it, and what is not proved yet.

    python docs/make_reliability.py     docs/promises.toml, docs/nights.toml, the names of tests and what nights found are read,
                                        nothing is run

A figure may take numbers from a recorded run of ``python bench/nightly``: ``{calls[calls]:,}`` is ``"calls"`` of
bench/results/nightly_calls.json. ``tests/test_reliability_page.py`` keeps the page equal to all of them, and sees to it that every
test that is named exists.
"""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reliability.md"
TABLE = ROOT / "docs/promises.toml"


@dataclass
class Promise:
    """One row: what is promised, by what it is proved, and what is left."""

    says: str
    tests: list[str] = field(default_factory=list)  # "test_file.py::test_name"
    figure: str = ""  # what these tests ask for, or what one of them has measured
    missing: str = ""  # what no test shows yet
    cannot: str = ""  # what cannot be promised, and why

    @property
    def state(self) -> str:
        """In one word or two."""
        if not self.tests:
            return "no test yet"
        return "in part" if self.missing else "proved"


def read_promises(path: Path = TABLE) -> dict[str, Promise]:
    """P1, P2, … in order."""
    return {name: Promise(**row) for name, row in tomllib.loads(path.read_text("utf-8")).items()}


def read_nights(folder: Path = ROOT / "bench/results") -> dict[str, dict[str, Any]]:
    """What each part of ``python bench/nightly`` found, by the part's name."""
    prefix = "nightly_"
    return {
        p.stem.removeprefix(prefix): json.loads(p.read_text("utf-8")) for p in sorted(folder.glob(f"{prefix}*.json"))
    }


def read_tests(folder: Path) -> dict[str, bool]:
    """``test_file.py::test_name`` of every test: whether it runs at night only."""
    found = {}
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = [ast.unparse(decorator) for decorator in node.decorator_list]
                found[f"{path.name}::{node.name}"] = "pytest.mark.nightly" in marks
    return found


def _runs(nights: dict[str, dict[str, Any]]) -> list[str]:
    """A row for each part of ``python bench/nightly``."""
    sys.path.insert(0, str(ROOT / "bench/nightly"))
    try:
        from _parts import parts
    finally:
        sys.path.pop(0)

    mended = tomllib.loads((ROOT / "docs/nights.toml").read_text("utf-8"))
    rows = []
    for name, looks_for in parts().items():
        run = nights.get(name)
        recorded = "none yet" if run is None else f"{run['commit']}, {max(1, run['seconds'] // 60)} min"
        faults = "" if run is None else len(run["found"])
        rows.append(f"| `{name}` | {looks_for} | {recorded} | {faults} | {mended.get(name, '')} |")
    return rows


def _cell(promise: Promise, nightly: dict[str, bool]) -> str:
    parts = [f"`{test}`{' (nightly)' if nightly[test] else ''}" for test in promise.tests]
    if promise.missing:
        parts.append(f"**{'Missing' if promise.tests else 'No test yet'}:** {promise.missing}")
    if promise.cannot:
        parts.append(f"**Cannot be promised:** {promise.cannot}")
    return "<br>".join(parts)


def page() -> str:
    """docs/reliability.md."""
    promises = read_promises()
    nightly = read_tests(ROOT / "tests")
    nights = read_nights()
    states = [promise.state for promise in promises.values()]
    lines = [
        "# What is promised, and what proves it",
        "",
        "<!-- Written by docs/make_reliability.py from docs/promises.toml and docs/nights.toml: change these, not this page. -->",
        "",
        f"Of {len(promises)} promises {states.count('proved')} are proved by tests that run with every change (those marked "
        f"nightly: with `pytest -m nightly`), {states.count('in part')} in part, {states.count('no test yet')} not yet. "
        "Where a part is missing, the row says which.",
        "",
        "A figure is what the tests ask for; one that was measured says so. How to report a broken promise: SECURITY.md, beside the README.",
        "",
        "| | promise | figure | state | proof |",
        "|---|---|---|---|---|",
    ]
    for name, promise in promises.items():
        figure = promise.figure.format_map(nights)
        lines.append(f"| {name} | {promise.says} | {figure} | {promise.state} | {_cell(promise, nightly)} |")
    lines += [
        "",
        "## What long runs look for, and what they have found",
        "",
        "`python bench/nightly PART...` on a development machine; the last recorded run of each, and what was found and mended "
        "before it.",
        "",
        "| part | looks at | recorded run | faults in it | found and mended before |",
        "|---|---|---|---|---|",
        *_runs(nights),
        "",
        "## What is not promised",
        "",
        "- The values of a result whose inputs another thread changes during the call; only that nothing crashes.",
        "- A life after SIGBUS, when a mapped file is cut while it is read, or after the system's killer of processes.",
        "- Equal bits on CPU and GPU, on two instruction sets, or in two versions, for numbers that are not small integers: "
        "[the bounds](numerics.md) hold there.",
        "- That Python code of yours (callbacks, metrics, layers) is deterministic, or safe.",
        "- Secrecy of weights, or calls that take the same time for all values.",
        "- Reading pickle files: Python's pickle is never used.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
