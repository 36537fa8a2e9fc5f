"""Writes the tables of docs/onnx.md: runs the onnx package's backend tests, and reads what export and import know.

The counts go to bench/results/onnx_backend.json, too, with the machine and the versions.

Usage: python docs/make_onnx.py [--check]        needs fastconv[onnx]; --check writes nothing and fails where it would.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

import fastconv
from fastconv.onnx import backend
from fastconv.onnx.export_model import EXPORTERS
from fastconv.onnx.load_model import OPERATORS
from fastconv.onnx.patterns import OPERATORS as PATTERNS
from fastconv.onnx.run_node import KERNELS, PLUMBING
from fastconv.testing import onnx_suite

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import environment

PAGE = Path(__file__).with_name("onnx.md")


class Row:
    """Counts of the tests in one row of the table."""

    def __init__(self) -> None:
        self.passed, self.failed, self.excluded = 0, [], Counter()

    def add(self, case: onnx_suite.Case) -> None:
        if case.excluded is not None:
            self.excluded[case.excluded] += 1
            return
        try:
            onnx_suite.run(case)
            self.passed += 1
        except Exception as error:
            self.failed.append(f"{case.name}: {error}")

    def text(self, *names: str) -> str:
        scope = self.passed + len(self.failed)
        return f"| {' | '.join(names)} | {self.passed} | {scope} | {sum(self.excluded.values())} |"


def row_of(case: onnx_suite.Case) -> str:
    """The operator of a test of one node; what is made of several is an expanded function."""
    if case.kind != "node":
        return case.kind
    if len(case.operators) > 1 or "expanded" in case.name:
        return "functions, expanded"
    return case.operators[0]


def measured() -> tuple[dict[str, Row], list[str]]:
    fastconv.set_precision("strict")
    rows: dict[str, Row] = defaultdict(Row)
    for kind in onnx_suite.KINDS:
        for case in onnx_suite.cases(kind):
            rows[row_of(case)].add(case)
    light = []
    for name, model, x, expected in onnx_suite.light_models():
        (y,) = backend.run_model(model, [x])
        light.append(f"{name} {'yes' if np.allclose(y, expected, rtol=1e-3, atol=1e-7) else 'NO'}")
    return rows, light


def record(rows: dict[str, Row], light: list[str]) -> dict[str, object]:
    """What the run has found, for bench/results."""
    counts = {
        name: {"passed": row.passed, "failed": row.failed, "excluded": dict(row.excluded)}
        for name, row in sorted(rows.items())
    }
    return {"precision": "strict", "backend": counts, "light_models": light}


def backend_table(rows: dict[str, Row], light: list[str]) -> str:
    lines = ["| tier | operator | computed by | passed | in scope | excluded |", "|---|---|---|---|---|---|"]
    seen = set()
    for tier, operators in onnx_suite.TIERS.items():
        for op in operators:
            seen.add(op)
            by = "kernels" if op in KERNELS else "NumPy" if op in PLUMBING else "nothing yet"
            lines.append(rows[op].text(tier, op, by))
    for title, table, by in (("sums", KERNELS, "kernels"), ("plumbing", PLUMBING, "NumPy")):
        rest = Row()
        for op in sorted(set(table) - seen):
            rest.passed += rows[op].passed
            rest.failed += rows[op].failed
            rest.excluded += rows[op].excluded
            seen.add(op)
        lines.append(rest.text(title, "all other operators", by))
    for name in ("functions, expanded", "simple", "pytorch-converted", "pytorch-operator"):
        lines.append(rows[name].text("models", name, "both"))
        seen.add(name)
    outside = Row()
    for name in set(rows) - seen:
        outside.excluded += rows[name].excluded
    lines.append(outside.text("outside", "operators that are not known", "nothing"))
    whole = Row()
    for row in rows.values():
        whole.passed += row.passed
        whole.failed += row.failed
        whole.excluded += row.excluded
    lines.append(whole.text("**all**", "", ""))
    reasons: Counter = Counter()
    operators = []
    for why, count in whole.excluded.most_common():
        if why.startswith("operator "):
            operators.append(f"{why.removeprefix('operator ')} {count}")
            reasons["an operator that is not known"] += count
        else:
            reasons[why] += count
    lines += ["", "Why tests are excluded:", "", "| reason | tests |", "|---|---|"]
    lines += [f"| {why} | {count} |" for why, count in reasons.most_common()]
    lines += ["", f"The first operator not known, and tests: {', '.join(sorted(operators))}."]
    lines += ["", f"Light models, expected outputs met: {', '.join(light)}."]
    failed = [name for row in rows.values() for name in row.failed]
    lines += ["", f"Failed in scope: {'; '.join(failed) or 'none'}."]
    return "\n".join(lines)


def names(table: object) -> str:
    return ", ".join(f"`{name}`" for name in sorted(table))


def main() -> int:
    warnings.simplefilter("ignore")
    import onnx

    found = measured()
    parts = {
        "version": f"onnx {onnx.__version__}, strict precision.",
        "backend": backend_table(*found),
        "kernels": names(KERNELS),
        "plumbing": names(PLUMBING),
        "export": names(EXPORTERS),
        "import": names(OPERATORS & {schema.name for schema in onnx.defs.get_all_schemas()}),
        "patterns": names(PATTERNS),
    }
    before = PAGE.read_text("utf-8")
    after = before
    for name, text in parts.items():
        after, count = re.subn(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m, t=text: m[1] + t + m[2], after, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"docs/onnx.md must have one place for {name}: got {count}")
    if "--check" in sys.argv[1:]:
        return int(before != after)
    PAGE.write_text(after, "utf-8")
    environment.write("onnx_backend", record(*found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
