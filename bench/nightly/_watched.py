"""A process that prints lines of JSON, watched for signs of life."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["Hang", "Watched", "seconds_in_queue"]

_SILENCE = 20.0  # seconds
_TURN = 0.05  # how long to wait for a line


class Hang(Exception):
    """A process has given no sign of life although it had a core to itself."""


class Watched:
    """A process and what it prints.

    Args:
        command: what to run.

    Attributes:
        killed: whether :meth:`kill` ended it.
    """

    def __init__(self, command: list[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # for as long as the process is watched
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors)
        self._rest = b""
        self.killed = False
        self._alive, self._waited = time.monotonic(), 0.0

    def running(self) -> bool:
        return self._process.poll() is None

    def lines(self, wait: float = _TURN) -> list[dict[str, Any]]:
        """What it has printed since; waits a moment for it."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], wait)[0]:
            return []
        return self._parsed(os.read(self._process.stdout.fileno(), 1 << 16))

    def _parsed(self, data: bytes) -> list[dict[str, Any]]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._alive, self._waited = time.monotonic(), seconds_in_queue(self._process.pid)
        return [json.loads(line) for line in lines]

    def check(self) -> None:
        """Hang if it has been silent for too long, not counting what a thread of it waited for a core."""
        silent = time.monotonic() - self._alive
        if silent > _SILENCE and self.running():
            own = silent - (seconds_in_queue(self._process.pid) - self._waited)
            if own > _SILENCE:
                raise Hang(f"silent for {silent:.0f} s, {own:.0f} of them not waiting for a core")

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.running():
            self.killed = True
            self._process.kill()
            self._process.wait()

    def end(self) -> list[dict[str, Any]]:
        """Kills it if it still runs; its last whole lines."""
        self.kill()
        assert self._process.stdout is not None
        with self._process.stdout as output:
            return self._parsed(output.read())

    def failure(self) -> str:
        """How it ended, where that is not as it should: exit status and last words."""
        status = self._process.wait()
        if status == 0 or (self.killed and status == -signal.SIGKILL):
            return ""
        self._errors.seek(0)
        return f"status {status}: {self._errors.read().decode(errors='replace')[-2000:]}"


def seconds_in_queue(pid: int) -> float:
    """How long the thread of a process that waited longest has waited for a core; Linux only."""
    waited = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            waited = max(waited, int(path.read_text().split()[1]))
        except (OSError, IndexError):  # the thread has ended
            continue
    return waited / 1e9
