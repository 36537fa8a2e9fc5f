"""Kernels and reference on one problem: equal in integers, within the bound in reals.

The reference answers once (:func:`exact_answer`, :func:`real_answer`); the kernels may be asked on every instruction set and
in every precision. What they read ends at a forbidden page.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _cpu, ops, reference
from .bounds import backward_bounds, forward_bounds
from .case import Case
from .compare import (
    Inputs,
    assert_bounded,
    assert_exact,
    backward,
    cotangent,
    exact_inputs,
    forward,
    is_exact,
    random_inputs,
)
from .memory import guarded
from .numerics import instruction_set, numerics

__all__ = ["Answer", "assert_agrees", "assert_agrees_everywhere", "exact_answer", "real_answer"]


@dataclass
class Answer:
    """A problem with numbers, and what the reference makes of it: forward, then backward."""

    case: Case
    inputs: Inputs
    dy: np.ndarray
    results: tuple[np.ndarray, ...]
    gradients: tuple[np.ndarray | None, ...]


def exact_answer(case: Case, dtype: Any) -> Answer:
    """The reference's on small integers."""
    rng = _rng(case)
    return _answer(case, exact_inputs(case, rng, dtype), rng, exact=True)


def real_answer(case: Case, dtype: Any) -> Answer:
    """The reference's on reals."""
    rng = _rng(case)
    return _answer(case, random_inputs(case, rng, dtype), rng, exact=False)


def assert_agrees(answer: Answer, *, exact: bool) -> None:
    """The kernels' results are the reference's, or within the bound of the present precision and instruction set."""
    _assert_agrees(answer, None if exact else _bounds(answer))


def assert_agrees_everywhere(case: Case, conv2d: str = "automatic") -> None:
    """float32 on every instruction set of the machine: integers exactly in strict precision, else within the bound.

    Convolutions and dense, which have two precisions, in fast precision too, with the algorithm ``conv2d`` where it can be.
    """
    answer = exact_answer(case, np.float32) if is_exact(case) else real_answer(case, np.float32)
    precisions = ("strict", "fast") if case.op.startswith(("conv", "dense")) else ("strict",)
    bounds: dict[tuple[str, bool], _Bounds] = {}  # which tell no other instruction sets apart than matrix tiles
    try:
        for isa, precision in itertools.product(_cpu.available_isas(), precisions):
            with instruction_set(isa), numerics(precision, conv2d if precision == "fast" else "automatic"):
                if precision == "strict" and is_exact(case):
                    _assert_agrees(answer, None)
                    continue
                key = precision, isa == "amx"
                if key not in bounds:
                    bounds[key] = _bounds(answer)
                _assert_agrees(answer, bounds[key])
    except AssertionError as error:
        raise AssertionError(f"{isa}, {precision} precision: {error}") from error


_Bounds = tuple[tuple[Any, ...], tuple[Any, ...]]  # forward, backward


def _bounds(answer: Answer) -> _Bounds:
    return forward_bounds(answer.case, answer.inputs), backward_bounds(answer.case, answer.dy, answer.inputs)


def _assert_agrees(answer: Answer, bounds: _Bounds | None) -> None:
    case, inputs = answer.case, _guarded(answer.inputs)
    results = _tuple(forward(ops, case, inputs))
    gradients = backward(ops, case, guarded(answer.dy), inputs)
    _compare(case, "forward", results, answer.results, bounds and bounds[0])
    _compare(case, "gradient", gradients, answer.gradients, bounds and bounds[1])


def _rng(case: Case) -> np.random.Generator:
    return np.random.default_rng(list(str(case).encode()))


def _answer(case: Case, inputs: Inputs, rng: np.random.Generator, exact: bool) -> Answer:
    y = forward(reference, case, inputs)
    dy = cotangent(y, rng, exact)
    return Answer(case, inputs, dy, _tuple(y), backward(reference, case, dy, inputs))


def _compare(case: Case, what: str, actual: tuple, wanted: tuple, bounds: tuple | None) -> None:
    """``bounds`` None: equality."""
    for i, (a, w, bound) in enumerate(zip(actual, wanted, bounds or (None,) * len(wanted), strict=True)):
        assert (a is None) == (w is None), f"{case} {what} {i}"
        if w is None:
            continue
        if bounds is None:
            assert_exact(a, w, f"{case} {what} {i}")
        else:
            assert_bounded(a, w, bound, f"{case} {what} {i}")


def _tuple(result: Any) -> tuple:
    return result if isinstance(result, tuple) else (result,)


def _guarded(inputs: Inputs) -> Inputs:
    return {
        name: [guarded(a) for a in value] if isinstance(value, list) else guarded(value)
        for name, value in inputs.items()
    }
