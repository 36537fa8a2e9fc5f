"""SIGKILL at random moments: of saves, and of ``fastconv train``, which ``--resume`` takes up again.

50 kills of processes that save one version of a file over another: afterwards the file is one of the two.

50 kills of trainings of the handwritten digits, at any moment from the import of fastconv to the last picture, each followed by
``fastconv train --resume`` with another number of threads: the training ends with the model and the history of one that nobody
killed, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fastconv.errors import CheckpointError
from fastconv.saving import load_archive
from fastconv.testing.kills import kill_while_saving

_KILLS = 50
_KILLS_EACH = 7  # of one training, at most
_TRAIN = [sys.executable, "-m", "fastconv", "train", "--quiet"]
_MODELS = ("mlp", "cnn")
_EPOCHS = 12
_PATIENCE = 300.0  # seconds for a training that is not killed


class KilledTrainings:
    """Trainings by the command line, and what was found."""

    def __init__(self, folder: Path, kills: int) -> None:
        self._folder, self._left = folder, kills
        self._random = random.Random(5)
        self.kills = self.within = self.trainings = 0
        self.faults: list[str] = []

    def run(self) -> None:
        whole: dict[str, tuple[list[str], float]] = {}
        while self._left:
            model = _MODELS[self.trainings % len(_MODELS)]
            if model not in whole:
                start = time.monotonic()
                folder = self._folder / model
                self._process(folder, model, threads=2).wait(_PATIENCE)
                whole[model] = _digests(folder), time.monotonic() - start
            self.trainings += 1
            self._killed(model, *whole[model])

    def _process(self, folder: Path, model: str, threads: int) -> subprocess.Popen[bytes]:
        begun = (folder / "run.json").exists()
        options = ["--resume"] if begun else ["--model", model, "--epochs", str(_EPOCHS)]
        return subprocess.Popen([*_TRAIN, *options, "--output", str(folder), "--threads", str(threads)])

    def _killed(self, model: str, digests: list[str], seconds: float) -> None:
        """One training, killed several times, and then left alone until it ends."""
        folder = self._folder / f"{model}-{self.trainings}"
        for life in range(_KILLS_EACH + 1):
            process = self._process(folder, model, threads=1 + life % 3)
            if self._left and life < _KILLS_EACH:
                self._wait(process, folder, seconds)
                process.kill()
            if process.wait(_PATIENCE) not in (0, -signal.SIGKILL):
                self.faults.append(f"{folder.name}: --resume ended with status {process.returncode}")
                return
            if _finished(folder):
                break
            self._left -= 1
            self._look(folder)
        if not _finished(folder) or _digests(folder) != digests:
            self.faults.append(f"{folder.name}: other files after {life} kills than without")

    def _wait(self, process: subprocess.Popen[bytes], folder: Path, seconds: float) -> None:
        """Until a random moment of the process, or shortly after the next epoch or the one after it."""
        start, anywhere = time.monotonic(), self._random.random() < 0.3
        epochs = _epochs(folder) + self._random.randrange(1, 3)
        limit = self._random.uniform(0, seconds if anywhere else 0.1)
        while process.poll() is None and time.monotonic() - start < limit:
            if not anywhere and _epochs(folder) < epochs:
                start = time.monotonic()
            time.sleep(0.002)

    def _look(self, folder: Path) -> None:
        """The model that a kill left, if there is one by then."""
        self.kills += 1
        self.within += 0 < _epochs(folder) < _EPOCHS
        if (folder / "model.safetensors").exists():
            try:
                load_archive(folder / "model.safetensors")
            except CheckpointError as error:
                self.faults.append(f"{folder.name}: {error}")


def _epochs(folder: Path) -> int:
    """How many are in the history."""
    table = folder / "history.csv"
    return max(0, table.read_bytes().count(b"\n") - 1) if table.exists() else 0


def _finished(folder: Path) -> bool:
    settings = folder / "run.json"
    return settings.exists() and "finished" in json.loads(settings.read_bytes())


def _digests(folder: Path) -> list[str]:
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("model.safetensors", "history.csv")]


def run(scale: float) -> dict[str, Any]:
    """The part of ``python bench/nightly``."""
    count = max(1, round(_KILLS * scale))
    with tempfile.TemporaryDirectory(prefix="fastconv-kills-") as name:
        saves = Path(name, "saves")
        saves.mkdir()
        writing, faults = kill_while_saving(saves, count, seed=2)
        trainings = KilledTrainings(Path(name), count)
        trainings.run()
    return {
        "kills_of_saves": count,
        "while_writing": writing,
        "kills_of_trainings": trainings.kills,
        "between_two_epochs": trainings.within,
        "trainings": trainings.trainings,
        "found": faults + trainings.faults,
    }
