"""The whole test suite on each instruction set that this machine has, two processes at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from _suite import outcome

import fastconv

ROOT = Path(__file__).parents[2]


def run(scale: float) -> dict[str, Any]:
    """What passed on each; below a whole run the tests of ops alone."""
    result: dict[str, Any] = {"found": []}
    files = ["tests"] if scale >= 1 else ["tests/test_ops.py"]
    for isa in fastconv.show_config()["isa_available"]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--rootdir", ROOT]
        result[isa], _, faults = outcome(
            f"instruction_sets: {isa}", [*command, *(ROOT / file for file in files)], {"FASTCONV_ISA": isa}
        )
        result["found"] += faults
    return result
