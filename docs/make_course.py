"""Writes docs/course.md: every row of the course, the tests that show it, and the examples they run.

    python docs/make_course.py          tests/test_course_*.py are read, nothing is run

The course is five introductory slide decks on deep learning, 000 to 004; a row is a technique, a name, a worked number or a system
that one of them teaches. A test belongs to the rows that its name begins with (``test_002_26_...``, ``test_n7_n8_...``), and the
first line of its docstring says what the row asks for. ``tests/test_course_table.py`` keeps the page equal to the tests, and
sees to it that no row is without one.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/course.md"

DECKS = {"000": 20, "001": 36, "002": 29, "003": 58, "004": 50}  # deck: number of its last row
NUMBERS = [*range(1, 29), "1b", "1c", "1d", "1e", "1f"]  # worked numbers

OUT_OF_SCOPE = {
    "001-35": "Self-driving cars, finance, retail and robotics are fields of use. Their image classifiers are what the other rows "
    "show; detection of objects with their places, and the other fields, are out of scope.",
    "001-36": "Capsule networks and echo-state networks are named on a slide, and out of scope: neither is trained by the "
    "gradients of layers in common use. The third named there, recurrent networks, are 003-35.",
}

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
        is_example = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "example"
        if is_example and isinstance(call.args[0], ast.Constant) and call.args[0].value not in row.examples:
            row.examples.append(call.args[0].value)


def _words(test: str) -> str:
    """A sentence from the name of a test that has no docstring."""
    words = test.removeprefix("test_").split("_")
    while words and re.fullmatch(r"n?\d+[a-f]?", words[0]):
        words.pop(0)
    return " ".join(words).capitalize() + "."


def _table(names: list[str], rows: dict[str, Row]) -> list[str]:
    lines = ["| row | what | shown by |", "|---|---|---|"]
    for name in names:
        row = rows.get(name, Row())
        says = OUT_OF_SCOPE.get(name) or row.says
        parts = [f"`{test}`" for test in row.tests]
        parts += [f"`examples/{example}.py`" for example in row.examples]
        shown = "out of scope" if name in OUT_OF_SCOPE else "<br>".join(parts)
        lines.append(f"| {name} | {says.replace('|', chr(92) + '|')} | {shown} |")
    return lines


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
    rows = read_tests(ROOT / "tests")
    names = every_row()
    tested = sum(bool(rows.get(name)) for name in names if name not in OUT_OF_SCOPE)
    lines = [
        "# What the course asks for, and where it is shown",
        "",
        "<!-- Written by docs/make_course.py: change the tests, not this page. -->",
        "",
        "fastconv does what five introductory slide decks on deep learning teach. Each row of them has a test in "
        "`tests/test_course_*.py`, named after it; systems are scripts in `examples/`, which the tests "
        f"run in a short form. Of {len(names)} rows {tested} have tests, {len(OUT_OF_SCOPE)} are out of scope, "
        f"{len(names) - tested - len(OUT_OF_SCOPE)} have none.",
        "",
        "## Worked numbers",
        "",
        *_table([name for name in names if name.startswith("N")], rows),
    ]
    for deck in DECKS:
        lines += ["", f"## Deck {deck}", "", *_table([name for name in names if name.startswith(deck)], rows)]
    lines += [
        "",
        "## Whole runs of the examples",
        "",
        "Machines were busy with other work: the seconds are no measurement.",
        "",
    ]
    return "\n".join([*lines, *_records()]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
