"""Two hours of random trainings beside a busy process: killed and resumed, and one process that lives all the time.

Two processes at once, at a lower priority than the command's (nice 10), and a third that wants a core for itself:

- trainings by seed (``_trainings.py``), each first undisturbed, then killed with SIGKILL at random moments and started again,
  with another number of threads, until it ends. After every kill the backup is, byte for byte, the last one that was announced
  or the one after it, and it loads. At the end: the SHA-256 of weights, optimizer state and history is the undisturbed one's;
- one process in which models of random shapes come, train, are saved, loaded, compared, and go.

Of the figures, "resumes" are kills that a training was taken up again after; "kills" has those too that came when it had just
ended.

A process hangs if it gives no sign of life for 20 s in which none of its threads waited for a core.

Memory is flat if, after the first quarter of the time and of the models, the resident bytes grow by no more than 1 MiB an hour, and
the bytes in use of malloc by no more than 100 for each model. Two things that are not fastconv's would hide what dead models
leave, and the process that lives puts them out of the way when it begins (``fastconv.testing.memory``):

- NumPy keeps freed blocks of each size, up to 3.5 MiB in all. Random shapes go on finding new sizes: it fills this cache;
- glibc puts ever larger arrays into the heap, as large as the largest that has died, and keeps the room. So resident memory follows
  the largest model that there was, in steps that become rarer. It keeps glibc's first limit, 128 KiB, and larger arrays go back.

fastconv's own caches are full after 50 models: 4096 problems of ops, 6.3 MiB.

Scale 1 is two hours. A part of the result is written to ``FASTCONV_ENDURANCE`` (a path) each minute, if that is set.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _watched import Hang, Watched

import busy
from fastconv.errors import CheckpointError
from fastconv.saving import load_archive

_SECONDS = 7200.0
_WARM = 0.25  # of the time and of the models, before memory has to be flat: they find new sizes for long
_GROWTH_PER_HOUR = 1 << 20
_KEPT_PER_MODEL = 100  # bytes
_SAMPLES = 40  # of memory, at least, before anything is said of it
_LIFE, _LIVES = 1.0, 20  # seconds that a training has at most before it is killed, and how often it is
_TRAININGS = str(Path(__file__).parent / "_trainings.py")


class Endurance:
    """The two processes, what was counted, and what was found."""

    def __init__(self, seconds: float, folder: Path) -> None:
        self.seconds, self.folder = seconds, folder
        self.start = time.monotonic()
        self.counts: Counter[str] = Counter(
            dict.fromkeys(
                ("kills", "resumes", "trainings", "models", "steps", "saves", "lost", "differing", "hangs"), 0
            )
        )
        self.found: list[str] = []
        self.memory: list[tuple[float, int, int]] = []  # seconds, resident bytes, bytes of the heap
        self.random = random.Random(6)
        self.live = self._started("live", seconds, folder)
        self._reported = self.start

    def _started(self, *arguments: object) -> Watched:
        return Watched(["nice", "-n", "10", sys.executable, _TRAININGS, *map(str, arguments)])

    def passed(self) -> float:
        return time.monotonic() - self.start

    def run(self) -> None:
        seed = 0
        while self.passed() < self.seconds and self.live.running():
            try:
                self._training(seed)
            except Hang as hang:
                self._fault("hangs", f"training {seed}: {hang}")
            shutil.rmtree(self.folder / str(seed), ignore_errors=True)
            seed += 1
        self._finish_live()

    def _training(self, seed: int) -> None:
        """One training without and with kills."""
        folder = self.folder / str(seed)
        backups: list[str] = []
        digest = self._one_life(seed, folder, threads=2, backups=backups, kill_after=None)
        if digest is None:
            return
        known = {"": 0, **{sums: 1 + i for i, sums in enumerate(backups)}}
        self.counts["trainings"] += 1
        life, resumed, seconds = 0, None, self.last_seconds
        while resumed is None and self.passed() < self.seconds + 60:
            announced: list[str] = []
            kill_after = self.random.uniform(0, min(seconds, _LIFE)) if life < _LIVES else None
            at = _place(folder, known)
            resumed = self._one_life(seed, folder, 1 + life % 3, announced, kill_after)
            self.counts["resumes"] += life > 0
            life += 1
            if self.failed:
                return
            if resumed is None:
                self._after_a_kill(seed, folder, known, announced, at)
        if resumed is not None and resumed != digest:
            self._fault("differing", f"training {seed}: another SHA-256 after {life - 1} kills: {resumed} for {digest}")

    def _one_life(
        self, seed: int, folder: Path, threads: int, backups: list[str], kill_after: float | None
    ) -> str | None:
        """The digest that a training ends with; None if it was killed, or failed."""
        process = self._started("train", seed, folder, threads)
        begun, ready, steps, digest = time.monotonic(), None, 0, None
        self.failed = False
        try:
            while process.running():
                for line in process.lines():
                    ready = time.monotonic() if "ready" in line else ready
                    steps = line.get("steps", steps)
                    digest = line.get("digest", digest)
                    backups += [line["saved"]] if line.get("saved") else []
                self._look_after_live()
                # Before it is ready it is killed too, now and then: the clock starts with the process in one life of four.
                since = begun if kill_after is not None and kill_after % 1 < 0.25 else ready
                if kill_after is not None and since is not None and time.monotonic() - since > kill_after:
                    process.kill()
                    self.counts["kills"] += 1
                    break
                process.check()
        finally:
            rest = process.end()
        for line in rest:
            steps, digest = line.get("steps", steps), line.get("digest", digest)
            backups += [line["saved"]] if line.get("saved") else []
        self.counts["steps"] += steps
        self.counts["saves"] += len(backups)
        self.last_seconds = time.monotonic() - (ready or begun)
        if digest is None and not process.killed:
            self.failed = True
            self.found.append(f"training {seed}: {process.failure()}")
        return digest

    def _after_a_kill(self, seed: int, folder: Path, known: dict[str, int], announced: list[str], at: int) -> None:
        place = _place(folder, known)
        last = known.get(announced[-1], -1) if announced else at
        if place not in (last, last + 1):
            self._fault("lost", f"training {seed}: backup {place} of {len(known) - 1} after a kill, announced {last}")
        if place > 0:
            try:
                load_archive(folder / "latest.safetensors")
            except (CheckpointError, OSError) as error:
                self._fault("lost", f"training {seed}: {error}")

    def _look_after_live(self) -> None:
        for line in self.live.lines():
            self._count_live(line)
        try:
            self.live.check()
        except Hang as hang:
            self._fault("hangs", f"the process that lives: {hang}")
            self.live.kill()
        if time.monotonic() - self._reported > 60:
            self._reported = time.monotonic()
            self.report()

    def _count_live(self, line: dict[str, Any]) -> None:
        if "resident" in line:
            self.memory.append((self.passed(), line["resident"], line["heap"] or 0))
        elif "model" in line:
            self.counts.update(models=1, steps=line["steps"], saves=line["saves"])

    def _finish_live(self) -> None:
        while self.live.running() and self.passed() < self.seconds + 120:
            self._look_after_live()
        for line in self.live.end():
            self._count_live(line)
        if self.live.failure():
            self.found.append(f"the process that lives: {self.live.failure()}")

    def _fault(self, kind: str, text: str) -> None:
        self.counts[kind] += 1
        self.found.append(text)
        print(f"endurance: {text}", flush=True)

    def figures(self) -> dict[str, Any]:
        """Everything so far, under names for docs/promises.toml."""
        result: dict[str, Any] = {"hours": round(self.passed() / 3600, 3), **self.counts}
        warm = [m for m in self.memory[int(_WARM * len(self.memory)) :] if m[0] > _WARM * self.seconds]
        found = list(self.found)
        if len(warm) >= _SAMPLES:
            hours, resident, heap = np.array(warm, np.float64).T
            hours /= 3600
            tenth = max(1, len(warm) // 10)
            growth = np.median(resident[-tenth:]) - np.median(resident[:tenth])
            kept = np.polyfit(np.arange(len(heap)), heap, 1)[0]  # there is a sample after each model
            result |= {
                "resident_mib": round(float(resident.max()) / 2**20, 2),
                "growth_kib": round(float(growth) / 1024, 1),
                "growth_of_maximum_kib": round(float(resident.max() - resident[:tenth].max()) / 1024, 1),
                "slope_kib_an_hour": round(float(np.polyfit(hours, resident, 1)[0]) / 1024, 1),
                "heap_slope_kib_an_hour": round(float(np.polyfit(hours, heap, 1)[0]) / 1024, 1),
                "heap_bytes_a_model": round(float(kept), 1),
            }
            if self.seconds >= 1800 and growth > _GROWTH_PER_HOUR * (hours[-1] - hours[0]):
                found.append(f"resident memory grew by {growth / 2**20:.2f} MiB in {hours[-1] - hours[0]:.2f} hours")
            if self.seconds >= 1800 and kept > _KEPT_PER_MODEL:
                found.append(f"each of {len(heap)} models left {kept:.0f} bytes in the heap")
        return {**result, "found": found}

    def report(self) -> None:
        figures = self.figures()
        print(json.dumps(figures), flush=True)
        path = os.environ.get("FASTCONV_ENDURANCE")
        if path:
            Path(path).write_text(json.dumps(figures, indent=1) + "\n")


def _place(folder: Path, known: dict[str, int]) -> int:
    """Which backup there is: 0 for none, -1 for one that no undisturbed training has written."""
    file = folder / "latest.safetensors"
    return known.get(hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "", -1)


def run(scale: float) -> dict[str, Any]:
    """The part of ``python bench/nightly``."""
    with tempfile.TemporaryDirectory(prefix="fastconv-endurance-") as folder, busy.busy_process():
        endurance = Endurance(_SECONDS * scale, Path(folder))
        try:
            endurance.run()
        finally:
            endurance.live.kill()
    return endurance.figures()
