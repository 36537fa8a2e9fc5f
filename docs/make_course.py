"""Writes docs/course.md: every row of the course, the tests that show it, and the examples they run.

    python docs/make_course.py          tests/test_course_*.py are read, nothing is run
    python docs/make_course.py --run    they are run first, and what came out goes to docs/course.json

The course is five introductory slide decks on deep learning, 000 to 004; a row is a technique, a name, a worked number or a system
that one of them teaches. A test belongs to the rows that its name begins with (``test_002_26_...``, ``test_n7_n8_...``), and the
first line of its docstring says what the row asks for. ``tests/test_course_table.py`` keeps the page equal to the tests, and
sees to it that no row is without one, and none with a test that failed in the recorded run.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/course.md"
RUN = ROOT / "docs/course.json"

DECKS = {"000": 20, "001": 36, "002": 29, "003": 58, "004": 50}  # deck: number of its last row
NUMBERS = [*range(1, 29), "1b", "1c", "1d", "1e", "1f"]  # worked numbers

_ROW = re.compile(r"(?:(?P<deck>00\d)_)?(?P<number>n?\d+[a-f]?)(?:_|$)")


@dataclass
class Row:
    """What is known of a row."""

    says: str = ""
    tests: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


def every_row() -> list[str]:
    """The rows' names: N1 … N28, 000-1 … 004-50."""
    numbered = sorted(NUMBERS, key=lambda n: (int(re.sub(r"\D", "", str(n))), str(n)))
    return [f"N{n}" for n in numbered] + [f"{deck}-{i}" for deck, last in DECKS.items() for i in range(1, last + 1)]


def rows_of(test: str) -> list[str]:
    """The rows that a test's name begins with."""
    found, rest = [], test.removeprefix("test_")
    while match := _ROW.match(rest):
        number, deck = match["number"], match["deck"]
        if not (deck or number.startswith("n")):
            break
        found.append(f"{deck}-{number}" if deck else number.replace("n", "N", 1))
        rest = rest[match.end() :]
    return found


def read_tests(folder: Path) -> dict[str, Row]:
    """Row: what its tests say."""
    rows: dict[str, Row] = {}
    for path in sorted(folder.glob("test_course_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for name in rows_of(node.name):
                    _add(rows.setdefault(name, Row()), path.name, node)
    return rows


def _add(row: Row, file: str, node: ast.FunctionDef) -> None:
    says = (ast.get_docstring(node) or _words(node.name)).split("\n\n")[0].replace("\n", " ")
    row.says = row.says or says
    row.tests.append(f"{file}::{node.name}")
    for call in ast.walk(node):
        is_example = (
            isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("example", "examples")
        )
        if is_example and isinstance(call.args[0], ast.Constant) and call.args[0].value not in row.examples:
            row.examples.append(call.args[0].value)


def _words(test: str) -> str:
    """A sentence from the name of a test that has no docstring."""
    words = test.removeprefix("test_").split("_")
    while words and re.fullmatch(r"n?\d+[a-f]?", words[0]):
        words.pop(0)
    return " ".join(words).capitalize() + "."


def _table(names: list[str], rows: dict[str, Row], outcomes: dict[str, str]) -> list[str]:
    lines = ["| row | what | shown by | result |", "|---|---|---|---|"]
    for name in names:
        row = rows.get(name, Row())
        parts = [f"`{test}`" for test in row.tests] + [f"`examples/{example}.py`" for example in row.examples]
        results = [outcomes.get(test, "not in the run") for test in row.tests]
        lines.append(
            f"| {name} | {row.says.replace('|', chr(92) + '|')} | {'<br>'.join(parts)} | {'<br>'.join(results)} |"
        )
    return lines


class Recorder:
    """A plugin of pytest's: what came out of every test, over its parameters."""

    def __init__(self) -> None:
        self.seen: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":  # set up and torn down tells something only if it fails
            test = report.nodeid.partition("[")[0].removeprefix("tests/")
            self.seen.setdefault(test, Counter())[report.outcome] += 1

    def told(self) -> dict[str, str]:
        """``passed``, or ``passed 3, skipped 1``."""
        return {
            test: next(iter(found)) if len(found) == 1 else ", ".join(f"{k} {n}" for k, n in sorted(found.items()))
            for test, found in sorted(self.seen.items())
        }


def run_tests() -> None:
    """Runs the course's tests, and writes RUN."""
    import pytest

    sys.path.insert(0, str(ROOT / "examples"))
    from _example import machine

    os.chdir(ROOT)
    recorder = Recorder()
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/test_course_[0-9mn]*.py"))
    pytest.main(["-q", "-p", "no:cacheprovider", *files], plugins=[recorder])
    record = {"command": "python docs/make_course.py --run", **machine(), "outcomes": recorder.told()}
    RUN.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _flat(results: dict, prefix: str = "") -> list[str]:
    lines = []
    for name, value in results.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name.replace('_', ' ')}: ")
        else:
            lines.append(f"{prefix}{name.replace('_', ' ')} {value}")
    return lines


def _records() -> list[str]:
    lines = ["| example | results of a whole run | command | machine, seconds |", "|---|---|---|---|"]
    for path in sorted((ROOT / "examples/results").glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        if {"results", "command", "cpu"} <= set(record):
            where = f"{record['cpu']}, {record['threads']} threads, {record['seconds']:.0f} s"
            found = "; ".join(_flat(record["results"]))
            lines.append(f"| `{path.stem}.py` | {found} | `{record['command']}` | {where} |")
    return lines


def page() -> str:
    """docs/course.md."""
    rows, record = read_tests(ROOT / "tests"), json.loads(RUN.read_text("utf-8"))
    names, outcomes = every_row(), record["outcomes"]
    tested = sum(bool(rows.get(name)) for name in names)
    counts = Counter(outcomes.values())
    by_outcome = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    lines = [
        "# What the course asks for, and where it is shown",
        "",
        "<!-- Written by docs/make_course.py: change the tests, not this page. -->",
        "",
        "fastconv does what five introductory slide decks on deep learning teach. Each row of them has a test in "
        "`tests/test_course_*.py`, named after it; systems are scripts in `examples/`, which the tests "
        f"run in a short form. Of {len(names)} rows {tested} have tests, {len(names) - tested} have none.",
        "",
        f"Results are those of `{record['command']}` with the real data sets, on {record['cpu']} ({record['isa']}), fastconv "
        f"{record['fastconv']}, NumPy {record['numpy']}, Python {record['python']}; of {len(outcomes)} tests: {by_outcome}.",
        "",
        "## Worked numbers",
        "",
        *_table([name for name in names if name.startswith("N")], rows, outcomes),
    ]
    for deck in DECKS:
        lines += ["", f"## Deck {deck}", "", *_table([name for name in names if name.startswith(deck)], rows, outcomes)]
    lines += [
        "",
        "## Whole runs of the examples",
        "",
        "Machines were busy with other work: the seconds are no measurement.",
        "",
    ]
    return "\n".join([*lines, *_records()]) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", action="store_true", help="run the tests first")
    if parser.parse_args().run:
        run_tests()
    PAGE.write_text(page(), "utf-8")
