"""A process that saves without end, and is killed at random moments."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from fastconv.errors import CheckpointError
from fastconv.saving import Archive, load_archive, save_archive

__all__ = ["kill_while_saving", "numbered_archive"]

_SAVE_FOREVER = """
import sys
from fastconv.saving import save_archive
from fastconv.testing.kills import numbered_archive
archives = [numbered_archive(version) for version in (1, 2)]
print("ready", flush=True)
while True:
    for archive in archives:
        save_archive(sys.argv[1], archive)
"""


def numbered_archive(version: int) -> Archive:
    """400 kB, all of them the version."""
    return Archive({"version": version}, {"w": np.full(100_000, version, np.float32)})


def kill_while_saving(folder: Path, count: int, seed: int) -> tuple[int, list[str]]:
    """Kills as many processes, each up to 30 ms after it has begun to save one of two versions over the other.

    Returns:
        How many of them left a temporary file, so were writing; and what was wrong with the file, a text each.
    """
    versions = []
    for version in (1, 2):
        save_archive(folder / "one", numbered_archive(version))
        versions.append((folder / "one").read_bytes())
    path = folder / "target"
    path.write_bytes(versions[0])
    delays, writing, faults = random.Random(seed), 0, []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for number in range(count):
        command = [sys.executable, "-c", _SAVE_FOREVER, str(path)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(delays.uniform(0, 0.03))
            process.kill()
        writing += len(list(folder.glob(".fastconv-*"))) > 0
        if path.read_bytes() not in versions:
            faults.append(f"kill {number} while saving: the file is neither the old nor the new one")
        try:
            load_archive(path)
        except CheckpointError as error:
            faults.append(f"kill {number} while saving: {error}")
    save_archive(path, numbered_archive(1))
    left = sorted(file.name for file in folder.iterdir())
    if left != ["one", "target"]:
        faults.append(f"a save must remove what killed ones have left: got {left}")
    return writing, faults
