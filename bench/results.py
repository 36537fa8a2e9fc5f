"""A results file: what the machine was and can do, and one row per thing measured; runs of parts add up to one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

Row = dict[str, Any]

_UNNOTICED_CPUS = 0.1


def merge(name: str, rows: Sequence[Row], ceilings: dict[str, float] | None) -> Path:
    """Adds rows to bench/results/NAME.json; a row that was there before is replaced.

    Raises:
        RuntimeError: if the file is of another machine, instruction set, version or number of threads.
    """
    import environment  # of fastconv, which a reader of results need not have

    path = RESULTS / f"{name}.json"
    now = environment.describe()
    known: dict[str, Any] = {"commands": [], "ceilings": {}, "rows": []}
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        if _comparable(known["environment"]) != _comparable(now):
            raise RuntimeError(
                f"[bench] {path} was measured elsewhere: expected the same environment. Use another --record."
            )
    by_key = {(row["group"], row["name"]): row for row in [*known["rows"], *rows]}
    command = now.pop("command")
    best = {k: max(v, known["ceilings"].get(k, 0)) for k, v in (ceilings or {}).items()}
    content = {
        "commands": sorted({*known["commands"], command}),
        "ceilings": best or known["ceilings"],
        "rows": list(by_key.values()),
    }
    return environment.write(name, content)


def load(name: str) -> dict[str, Any]:
    """The content of bench/results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def ours(row: Row) -> list[str]:
    """Names of fastconv's contestants in a row."""
    return [name for name in row["measured"] if name.startswith("fastconv")]


def best_peer(row: Row, statistic: str = "min", prefix: str = "") -> str:
    """The best of the peer's modes, or of those whose name begins with ``prefix``."""
    peers = [name for name in row["measured"] if name not in ours(row) and name.startswith(prefix)]
    return min(peers, key=lambda name: row["measured"][name][statistic])


def ratio(row: Row, mine: str = "fastconv", statistic: str = "min", prefix: str = "") -> float:
    """How many times better (faster, smaller) fastconv is than the best of the peer's modes."""
    peer = row["measured"][best_peer(row, statistic, prefix)][statistic]
    return peer / row["measured"][mine][statistic]


def disturbed(row: Row) -> bool:
    """Whether other processes took a noticeable part of the machine while a row was measured, unasked."""
    return "busy" not in row["group"] and row.get("others_cpus", 0) > _UNNOTICED_CPUS


def _comparable(environment: dict[str, Any]) -> Any:
    config = environment["config"]
    return environment["cpu"], config["isa"], config["threads"]
