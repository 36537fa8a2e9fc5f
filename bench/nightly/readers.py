"""Every reader of files, fuzzed for ten minutes each: inputs that reach new branches are kept and changed again.

    python bench/nightly readers              all; needs atheris, pillow, onnx and h5py: pip install atheris 'fastconv[images,onnx,keras]'
    python bench/nightly/readers.py csv arrays   these again, after a fix: their rows of the record are replaced

The readers are listed in bench/nightly/fuzzing; what they found stays in build/fuzzing/READER, with the inputs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["READERS", "run"]

READERS = ("model", "keras", "onnx", "arrays", "cifar", "csv", "picture", "command")
_SECONDS = 600
_AT_ONCE = 2
_STARTS = 40  # of one reader's process: each crash or hang ends one
_FOLDER = Path(__file__).parent
_OUTPUT = _FOLDER.parents[1] / "build" / "fuzzing"
_NEEDED = {"atheris": "atheris", "PIL": "pillow", "onnx": "onnx", "h5py": "h5py"}
_STATUS = re.compile(r"^#(\d+)\s.*\bcov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)


def run(scale: float) -> dict[str, Any]:
    """Fuzzes all readers, two at a time."""
    return _summary(_fuzz(READERS, max(1, round(_SECONDS * scale))))


def _fuzz(names: tuple[str, ...], seconds: int) -> dict[str, dict[str, Any]]:
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f"[readers] fuzzing needs packages that are not installed: pip install {' '.join(missing)}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(names, pool.map(lambda name: _fuzz_one(name, seconds), names), strict=True))


def _fuzz_one(name: str, seconds: int) -> dict[str, Any]:
    """Figures of one reader: its process runs for so long, and is started again where an input ended it."""
    folder = _OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    figures = {
        "executions": 0,
        "seconds": 0,
        "branches": 0,
        "features": 0,
        "corpus": 0,
        "loaded": 0,
        "refused": 0,
        "slowest_ms": 0,
        "most_mib": 0,
    }
    found: list[str] = []
    commit = _commit()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files without a disk
    for number in range(_STARTS):
        left = seconds - figures["seconds"]
        if left <= 0:
            break
        with tempfile.TemporaryDirectory(dir=memory) as scratch:
            command = [
                sys.executable,
                _FOLDER / "fuzzing",
                name,
                "--seconds",
                left,
                "--folder",
                folder,
                "--scratch",
                scratch,
            ]
            start, log_path = time.monotonic(), folder / f"log-{number}"
            with open(log_path, "w", encoding="utf-8") as log:
                # Killed where libFuzzer's own alarm cannot: in C code that is not interrupted.
                ended = subprocess.run(
                    ["nice", "-n", "15", *map(str, command)], stdout=log, stderr=log, timeout=left + 600
                )
        log_text = log_path.read_text("utf-8", "replace")
        if not _STATUS.search(log_text):
            raise RuntimeError(f"[readers] the search for {name} did not begin: see {log_path}.")
        figures["seconds"] += round(_search_seconds(log_text, time.monotonic() - start))
        _add(figures, log_text, folder)
        if ended.returncode:
            inputs = sorted(p.name for p in folder.iterdir() if p.name.startswith(("crash-", "timeout-", "oom-")))
            found.append(f"{name}: the process ended with {ended.returncode}: {inputs} {log_text[-300:]!r}")
    faults = folder / "faults.jsonl"
    known = [json.loads(line) for line in faults.read_text("utf-8").splitlines()] if faults.exists() else []
    told = {fault["fault"]: fault["input"] for fault in known}  # each process of this reader finds them anew
    found += [f"{name}: {fault} ({path})" for fault, path in told.items()]
    return {**figures, "commit": commit, "found": found}


def _search_seconds(log: str, wall: float) -> float:
    """Without the time before the first input: what libFuzzer says, or the clock where it was cut off."""
    done = re.search(r"^Done \d+ runs in (\d+) second", log, re.MULTILINE)
    return max(1.0, float(done[1]) if done else wall)


def _add(figures: dict[str, Any], log: str, folder: Path) -> None:
    """What one process did, on top of those before."""
    lines = _STATUS.findall(log)
    done = re.search(r"number_of_executed_units: (\d+)", log)
    if lines:
        executions, *reached = map(int, lines[-1])
        figures["executions"] += int(done[1]) if done else executions
        for key, value in zip(("branches", "features", "corpus"), reached, strict=True):
            figures[key] = max(figures[key], value)
    if (folder / "tally.json").exists():
        tally = json.loads((folder / "tally.json").read_text("utf-8"))
        figures["loaded"] += tally["loaded"]
        figures["refused"] += tally["refused"]
        figures["slowest_ms"] = max(figures["slowest_ms"], round(1000 * tally["slowest"]))
        figures["most_mib"] = max(figures["most_mib"], round(tally["hungriest"] / 2**20, 1))


def _commit() -> str:
    command = ["git", "-C", str(_FOLDER), "describe", "--always", "--dirty=+", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _summary(readers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = [fault for row in readers.values() for fault in row["found"]]
    return {
        "count": len(readers),
        "executions": sum(row["executions"] for row in readers.values()),
        "minutes_each": min(row["seconds"] for row in readers.values()) // 60,
        "most_mib": max(row["most_mib"] for name, row in readers.items() if name != "picture"),
        "slowest_ms": max(row["slowest_ms"] for row in readers.values()),
        "readers": readers,
        "found": found,
    }


def _again(names: list[str]) -> int:
    """Some readers once more; the others' rows stay."""
    sys.path[:0] = [str(_FOLDER.parent)]
    import environment

    unknown = sorted(set(names) - set(READERS))
    if unknown or not names:
        raise SystemExit(f"[readers] expected some of {', '.join(READERS)}, got {unknown or 'none'}")
    record = environment.RESULTS / "nightly_readers.json"
    start = time.monotonic()
    fresh = _fuzz(tuple(names), _SECONDS)
    kept = (
        json.loads(record.read_text("utf-8"))["readers"] if record.exists() else {}
    )  # as it is now: others may run too
    rows = {**kept, **fresh}
    result = _summary({name: rows[name] for name in READERS if name in rows})
    environment.write("nightly_readers", {"commit": _commit(), "seconds": round(time.monotonic() - start), **result})
    print(json.dumps(fresh, indent=1))
    return int(any(row["found"] for row in fresh.values()))


if __name__ == "__main__":
    sys.exit(_again(sys.argv[1:]))
