"""Tensors of more than 2^31 elements: every kernel's results where numbers of elements or bytes pass 2^31 and 2^32.

Memory that no check looks at is virtual (fastconv.testing.virtual); what kernels need for themselves is not.

    python bench/nightly large
    python bench/nightly/large.py 12     problem 12 alone
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from typing import Any

import _large_problems
import _watch

import fastconv

HANG_SECONDS = 300.0
MEMORY = 12 << 30  # of a child: its heap, and pages that it may write


def run(scale: float) -> dict[str, Any]:
    """Every problem in a child process; what differed, crashed or hung, and what did not fit into memory."""
    problems = _large_problems.problems()
    count = max(1, round(len(problems) * scale))
    found, skipped, kinds = [], [], Counter[str]()
    for item, outcome in _watch.watch([__file__], range(count), hang=HANG_SECONDS):
        kinds[problems[item].case.op] += 1
        for kind, text in outcome.items():
            line = f"{problems[item]}: {kind}: {text} (python bench/nightly/large.py {item})"
            (skipped if kind == "skipped" else found).append(line)
            print(line, flush=True)
    return {"problems": count, "of each": dict(kinds), "skipped": skipped, "found": found}


def _check(item: int) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    fastconv.set_num_threads(2)
    try:
        _large_problems.problems()[item].check()
    except AssertionError as error:
        return {"differs": str(error)}
    except MemoryError as error:
        return {"skipped": f"no memory: {error}"}
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}
    return {}


def _again(item: int) -> None:
    start = time.monotonic()
    print(_large_problems.problems()[item], _check(item) or "right", f"{time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    _watch.main(_check, _again)
