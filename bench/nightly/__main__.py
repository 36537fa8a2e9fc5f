"""The runs that are too long for every commit: each searches for one kind of fault, and writes down how far it looked.

    python bench/nightly                       every part in turn: hours
    python bench/nightly calls geometries      these
    python bench/nightly calls --scale 0.01    a hundredth of one, which is not recorded

A part is a module of this folder with ``run(scale) -> dict``: figures by name, and under ``"found"`` the faults, one text each.
What a whole part gives is written to bench/results/nightly_PART.json, where docs/make_reliability.py takes its figures from.
Exit status: 0, or 1 if anything was found.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

from _parts import parts

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]  # the parts, and what they share with the benches


def main() -> int:
    known = parts()
    table = "\n".join(f"  {name:16} {says}" for name, says in known.items())
    parser = argparse.ArgumentParser(
        prog="python bench/nightly", epilog=f"parts:\n{table}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*known, []], metavar="part", help="all, if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of it to run; only a whole one is recorded")
    arguments = parser.parse_args()
    faults = [_run(name, arguments.scale) for name in arguments.part or known]
    return int(any(faults))


def _run(name: str, scale: float) -> int:
    """Runs one part and records it; how many faults it found."""
    import environment

    start = time.monotonic()
    result = importlib.import_module(name).run(scale)
    result = {"commit": _commit(), "seconds": round(time.monotonic() - start), **result}
    for key, value in result.items():
        print(f"{name}: {key}: {value}", flush=True)
    if scale >= 1:
        print(f"written: {environment.write(f'nightly_{name}', result)}")
    return len(result["found"])


def _commit() -> str:
    """What was tested, with ``+`` if files differ from that commit."""
    command = ["git", "-C", str(FOLDER), "describe", "--always", "--dirty=+", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
