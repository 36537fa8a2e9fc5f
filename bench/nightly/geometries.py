"""Random geometries against the reference, on every instruction set, in strict and in fast precision.

    python bench/nightly geometries
    python bench/nightly/geometries.py 12345     geometry 12345 alone, what differs

Strict precision: small integers, equality (average pooling: reals, within the bound). Fast precision: within the bound of
docs/numerics.md. Results begin as NaN and end, as inputs do, at a page that nobody may touch.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import _watch

from fastconv import _cpu
from fastconv.testing.agreement import assert_agrees_everywhere
from fastconv.testing.cases import Case, random_cases, square_cases
from fastconv.testing.compare import is_exact
from fastconv.testing.memory import guarded_results
from fastconv.testing.random_cases import HAZARDS

COUNT = 112_000
# Of 20 geometries in a row: 3x3 and 5x5 windows for minimal filtering, by choice and by force; any convolution; the others.
_TURNS = (
    *("square", "square", "conv2d", "conv2d", "conv2d", "conv2d", "conv2d"),
    *("conv2d_transpose", "conv2d_transpose", "conv2d_transpose", "dense"),
    *("max_pool2d", "max_pool2d", "min_pool2d", "min_pool2d", "sum_pool2d", "sum_pool2d", "sum_pool2d"),
    *("avg_pool2d", "avg_pool2d"),
)


def run(scale: float) -> dict[str, Any]:
    """Every geometry in a child process; what differed, crashed or hung."""
    count = max(len(_TURNS), round(COUNT * scale))
    found, kinds, hazards, exact = [], Counter[str](), Counter[str](), 0
    for item, outcome in _watch.watch([__file__], range(count)):
        case, _ = _problem(item)
        kinds[case.op] += 1
        exact += is_exact(case)
        if case.op == "conv2d" and "groups" in case.kwargs:
            hazards.update(name for name, is_one in HAZARDS.items() if is_one(case))
        if outcome:
            fault = " ".join(f"{kind}: {text}" for kind, text in outcome.items())
            found.append(f"{fault} (python bench/nightly/geometries.py {item})")
            print(found[-1], flush=True)
    return {
        "geometries": count,
        "exact": exact,
        "of each": dict(kinds),
        "hazards": dict(hazards),
        "instruction sets": list(_cpu.available_isas()),
        "found": found,
    }


def _problem(item: int) -> tuple[Case, str]:
    """A geometry and the algorithm that its convolution prefers in fast precision."""
    kind = _TURNS[item % len(_TURNS)]
    if kind == "square":
        return square_cases(1, seed=item)[0], "winograd" if item % 2 else "automatic"
    return random_cases(kind, 1, seed=item)[0], "automatic"


def _check(item: int) -> dict[str, Any]:
    case, conv2d = _problem(item)
    try:
        with guarded_results():
            assert_agrees_everywhere(case, conv2d)
    except AssertionError as error:
        return {"differs": f"{case.shapes} {case.kwargs}: {error}"}
    except Exception as error:
        return {"raised": f"{case.shapes} {case.kwargs}: {type(error).__name__}: {error}"}
    return {}


def _again(item: int) -> None:
    print(_problem(item)[0], _check(item) or "agrees")


if __name__ == "__main__":
    _watch.main(_check, _again)
