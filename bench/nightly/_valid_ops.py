"""Right calls of ``fastconv.ops``: the named cases and random geometries, forward and backward, checked by the reference."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
from _valid import Call, Rng, pick

from fastconv import _cpu, ops, reference
from fastconv.testing.bounds import backward_bounds, forward_bounds
from fastconv.testing.case import Case
from fastconv.testing.cases import cases, random_cases
from fastconv.testing.compare import assert_bounded, cotangent, forward, random_inputs

_GEOMETRIES = ("conv2d", "conv2d_transpose", "max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d", "dense")
_MOST_NUMBERS = 5000  # in the arrays of a call: thousands of calls shall take a minute
_LARGEST = 1e4  # of finite numbers that are compared: sums of squares of larger ones overflow here or there
_MOST_CELLS = 1 << 22  # of arguments and results that are compared


@functools.cache
def _small_cases() -> dict[str, list[Case]]:
    by_op: dict[str, list[Case]] = {}
    for case in (case.small() for case in cases()):
        if _numbers(case) <= _MOST_NUMBERS:
            by_op.setdefault(case.op, []).append(case)
    return by_op


def _numbers(case: Case) -> int:
    shapes = [
        s for value in case.shapes.values() for s in (value if value and isinstance(value[0], tuple) else [value])
    ]
    return sum(int(np.prod(shape)) for shape in shapes)


def call(rng: Rng) -> Call:
    """Forward or backward, of any op, on any instruction set."""
    op = pick(rng, list(_small_cases()))
    case = pick(rng, _small_cases()[op])
    if op in _GEOMETRIES and rng.random() < 0.5:
        case = random_cases(op, 1, int(rng.integers(2**31)))[0]
    inputs = random_inputs(case, rng, pick(rng, (np.float32, np.float32, np.float64)))
    isa = pick(rng, _cpu.available_isas())
    arguments, name = list(inputs.values()), op
    if rng.random() < 0.5:
        arguments.insert(0, cotangent(forward(reference, case, inputs), rng))
        name = f"{op}_backward"

    def run(*positional: Any, **keywords: Any) -> Any:
        _cpu.select_isa(isa)
        _cpu.set_precision("strict")
        return getattr(ops, name)(*positional, **keywords)

    return Call(
        f"ops.{name}",
        run,
        arguments,
        dict(case.kwargs),
        functools.partial(_check, case, name),
        after=_restore,
        huge=True,
        twin=functools.partial(_reference, name),
    )


def _restore() -> None:
    _cpu.select_isa(_cpu.available_isas()[-1])
    _cpu.set_precision("fast")


def _reference(name: str, *arguments: Any, **keywords: Any) -> Any:
    keywords.pop("out", None)
    with np.errstate(all="ignore"):
        return getattr(reference, name)(*arguments, **keywords)


def _check(case: Case, name: str, result: Any, call: Call) -> bool:
    """Against the reference: same types and shapes always; the numbers where they are of ordinary size. Of more cells than
    the reference gets through in time, nothing."""
    if sum(np.size(a) for a in (*call.arguments, *_tuple(result)) if isinstance(a, np.ndarray)) > _MOST_CELLS:
        return False
    wanted = _reference(name, *call.arguments, **call.keywords)
    bounds = _bounds(case, name, call)
    compared = True
    for i, (a, w) in enumerate(zip(_tuple(result), _tuple(wanted), strict=True)):
        assert (a is None) == (w is None), f"result {i}: got {a!r}, the reference has {w!r}"
        if a is None:
            continue
        assert type(a) is np.ndarray and a.shape == w.shape and a.dtype == w.dtype, (
            f"result {i}: got {type(a).__name__} {a.shape} {a.dtype}, the reference has {w.shape} {w.dtype}"
        )
        if bounds is None or bounds[i] is None:
            compared = False
        else:
            assert_bounded(a, w, bounds[i], f"result {i}")
    return compared


def _bounds(case: Case, name: str, call: Call) -> tuple | None:
    """None if the numbers are too large to compare, or if no bound is known for such arguments."""
    given = list(call.arguments)
    if not all(_ordinary(value) for value in given) or (case.op == "divide" and not _ordinary(_inverse(given[-1]))):
        return None
    dy = np.array(given.pop(0)) if name.endswith("_backward") else None
    inputs = {key: _plain(value) for key, value in zip(case.shapes, given, strict=False) if value is not None}
    try:
        spoilt = replace(
            case,
            shapes={
                key: tuple(v.shape for v in value) if isinstance(value, list) else value.shape
                for key, value in inputs.items()
            },
            kwargs={key: value for key, value in call.keywords.items() if key not in ("out", "needs")},
        )
        with np.errstate(all="ignore"):
            return forward_bounds(spoilt, inputs) if dy is None else backward_bounds(spoilt, dy, inputs)
    except Exception:  # settings that the bounds are not written for
        return None


def _ordinary(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_ordinary, value))
    if not isinstance(value, np.ndarray):
        return value is None
    return value.dtype.kind in "fiu" and bool((np.abs(value) <= _LARGEST).all())


def _inverse(value: Any) -> Any:
    with np.errstate(all="ignore"):
        return 1 / value if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    return [np.array(v) for v in value] if isinstance(value, (list, tuple)) else np.array(value)


def _tuple(result: Any) -> tuple:
    return result if isinstance(result, tuple) else (result,)
