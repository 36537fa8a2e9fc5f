"""Writes the tables of docs/onnx.md: runs the onnx package's backend tests, and reads what export and import know.

The counts go to bench/results/onnx_backend.json, too, with the machine and the versions.

Usage: python docs/make_onnx.py [--check]        needs fastconv[onnx], onnxruntime; --check writes nothing and fails where it would.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

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

    def __iadd__(self, other: Row) -> Row:
        self.passed += other.passed
        self.failed += other.failed
        self.excluded += other.excluded
        return self

    @property
    def counts(self) -> dict[str, object]:
        return {"passed": self.passed, "failed": self.failed, "excluded": dict(self.excluded)}

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


class Measured(NamedTuple):
    """What the runs have found: rows of the long table, rows of the groups (alone, written out), and the light models."""

    rows: dict[str, Row]
    groups: dict[str, tuple[Row, Row]]
    light: dict[str, tuple[bool, float]]


def measured() -> Measured:
    fastconv.set_precision("strict")
    rows: dict[str, Row] = defaultdict(Row)
    single: dict[str, Row] = {}
    nodes = []
    for kind in onnx_suite.KINDS:
        for case in onnx_suite.cases(kind):
            single[case.name] = Row()
            single[case.name].add(case)
            rows[row_of(case)] += single[case.name]
            nodes += [case] if kind == "node" else []
    operators = onnx_suite.by_operator(nodes)
    groups = {name: (Row(), Row()) for name in onnx_suite.GROUPS}
    for name, (_, ops) in onnx_suite.GROUPS.items():
        for op in ops:
            for row, cases in zip(groups[name], operators[op], strict=True):
                for case in cases:
                    row += single[case.name]
    return Measured(rows, groups, light_models())


def light_models() -> dict[str, tuple[bool, float]]:
    """Of each: whether it meets the expected output; how far its twin of random weights is from onnxruntime, as a share of
    the largest output."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    rng, found = np.random.default_rng(0), {}
    for name, model, x, expected in onnx_suite.light_models():
        met = np.allclose(backend.run_model(model, [x])[0], expected, rtol=1e-3, atol=1e-7)
        twin = onnx_suite.with_random_weights(model, rng)
        x = rng.normal(size=x.shape).astype(np.float32)
        session = onnxruntime.InferenceSession(twin.SerializeToString(), providers=["CPUExecutionProvider"])
        theirs = session.run(None, {session.get_inputs()[0].name: x})[0]
        (ours,) = backend.run_model(twin, [x])
        found[name] = bool(met), float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    return found


def record(found: Measured) -> dict[str, object]:
    """What the run has found, for bench/results."""
    return {
        "precision": "strict",
        "groups": {
            name: {"promised": onnx_suite.GROUPS[name][0], "alone": alone.counts, "written_out": written_out.counts}
            for name, (alone, written_out) in found.groups.items()
        },
        "backend": {name: row.counts for name, row in sorted(found.rows.items())},
        "light_models": {
            name: {"expected_output_met": met, "twin_from_onnxruntime": float(f"{far:.2g}")}
            for name, (met, far) in found.light.items()
        },
    }


def groups_table(found: Measured) -> str:
    """What was promised, and what the installed package has of it."""
    lines = [
        "| group | promised | in the package | passed | written out as functions | passed | excluded |",
        "|---|---|---|---|---|---|---|",
    ]

    def cells(row: Row) -> str:
        return f"{row.passed + len(row.failed) + sum(row.excluded.values())} | {row.passed}"

    for name, (alone, written_out) in found.groups.items():
        excluded = "; ".join(alone.excluded + written_out.excluded) or "none"
        promised, _ = onnx_suite.GROUPS[name]
        lines.append(f"| {name} | {promised} | {cells(alone)} | {cells(written_out)} | {excluded} |")
    for name in ("pytorch-converted", "pytorch-operator"):
        row = found.rows[name]
        lines.append(f"| {name} | all | {cells(row)} | | | {'; '.join(row.excluded) or 'none'} |")
    met, far = zip(*found.light.values(), strict=True)
    lines.append(f"| light models | 9 | {len(met)} | {sum(met)} | | | none |")
    close = sum(difference < 1e-5 for difference in far)
    lines.append(f"| their twins of random weights | 9 | {len(far)} | {close} | | | none |")
    return "\n".join(lines)


def backend_table(found: Measured) -> str:
    rows = found.rows
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
            rest += rows[op]
            seen.add(op)
        lines.append(rest.text(title, "all other operators", by))
    for name in ("functions, expanded", "simple", "pytorch-converted", "pytorch-operator"):
        lines.append(rows[name].text("models", name, "both"))
        seen.add(name)
    outside = Row()
    for name in set(rows) - seen:
        outside += rows[name]
    lines.append(outside.text("outside", "operators that are not known", "nothing"))
    whole = Row()
    for row in rows.values():
        whole += row
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
    light = [f"{name} {'yes' if met else 'NO'}, {far:.0e}" for name, (met, far) in found.light.items()]
    lines += ["", "Light models: whether the expected output is met, and how far the twin of random weights is from"]
    lines += [f"onnxruntime as a share of its largest output: {'; '.join(light)}."]
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
        "groups": groups_table(found),
        "backend": backend_table(found),
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
    environment.write("onnx_backend", record(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
