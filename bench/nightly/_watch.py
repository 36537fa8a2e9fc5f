"""Work in a child process that may crash or hang: where it stood is known, and the rest is done by another child.

The child says ``at 7`` before item 7 and one line of JSON behind it, on a pipe of its own, so that what it prints is no matter.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from _watched import seconds_in_queue

HANG_SECONDS = 20.0
_TURN = 1.0  # seconds of silence after which one asks what the child waits for


def watch(
    command: list[str], items: range, hang: float = HANG_SECONDS, environment: dict[str, str] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every item and what the child found; ``{"died": why}`` or ``{"hung": seconds}`` of an item that ended its child.

    ``command`` is a Python file and its arguments; the pipe, the first item and the end are added.
    """
    first = items.start
    while first < items.stop:
        for item, found in _one_child(command, range(first, items.stop), hang, environment or {}):
            yield item, found
            first = item + 1


def main(work: Callable[[int], dict[str, Any]], again: Callable[[int], None]) -> None:
    """The child's side: ``pipe=3 0 100`` on the command line does these items and tells the parent; other numbers are items
    that a person wants to see ``again``."""
    first, *rest = sys.argv[1:]
    if not first.startswith("pipe="):
        for number in (first, *rest):
            again(int(number))
        return
    pipe = int(first.removeprefix("pipe="))
    for item in range(*map(int, rest)):
        os.write(pipe, b"at %d\n" % item)
        os.write(pipe, json.dumps(work(item)).encode() + b"\n")


def _one_child(
    command: list[str], items: range, hang: float, environment: dict[str, str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, *command, f"pipe={writing}", str(items.start), str(items.stop)]
        child = subprocess.Popen(
            arguments,
            pass_fds=[writing],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), **environment},
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
        os.close(writing)
        at, hung = None, False
        for line in _lines(reading, child.pid, hang):
            if line is None:
                hung = True
                os.kill(child.pid, signal.SIGKILL)
            elif line.startswith(b"at "):
                at = int(line[3:])
            else:
                yield at, json.loads(line)
        os.close(reading)
        status = child.wait()
        errors.seek(0)
        said = errors.read()[-2000:].decode(errors="replace").strip()
        if at is None:
            raise RuntimeError(
                f"[nightly] a child must start: expected its first item, got exit status {status}: {said}"
            )
        if hung:
            yield at, {"hung": hang}
        elif status != 0:
            yield at, {"died": f"exit status {status}: {said}"}


def _lines(pipe: int, pid: int, hang: float) -> Iterator[bytes | None]:
    """The lines of a pipe; None, once, if nothing comes for ``hang`` seconds in which the child did not wait for a core."""
    rest, alive, waited = b"", time.monotonic(), -1.0
    while True:
        ready, _, _ = select.select([pipe], [], [], _TURN)
        if not ready:
            waited = seconds_in_queue(pid) if waited < 0 else waited
            if time.monotonic() - alive - (seconds_in_queue(pid) - waited) < hang:
                continue
            yield None
            return
        alive, waited = time.monotonic(), -1.0
        data = os.read(pipe, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
