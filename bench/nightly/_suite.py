"""Test suites in processes of their own: how many tests passed, and what a run that failed has to say."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence

_FINDING = re.compile(r"^(?:E   |.*(?:runtime error|SUMMARY: |Fatal |FAILED |ERROR )).*$", re.MULTILINE)


def outcome(name: str, command: Sequence[object], environment: dict[str, str]) -> tuple[int, str, list[str]]:
    """What passed (tests, or kernel calls of programs without Python), all that was printed, and what was found.

    Args:
        name: of the run, for its first line.
        environment: what the command finds beside this process's.
    """
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    passed = sum(int(n) for n in re.findall(r"(\d+) (?:kernel calls )?passed", done.stdout))
    print(f"{name}: {passed} passed, exit status {done.returncode}", flush=True)
    if done.returncode == 0:
        return passed, done.stdout, []
    lines = dict.fromkeys(_FINDING.findall(done.stdout))  # of a report of thousands of lines, each once
    found = "\n".join([f"{name}:", *lines, done.stdout[-3000:]])
    print(found, flush=True)
    return passed, done.stdout, [found]
