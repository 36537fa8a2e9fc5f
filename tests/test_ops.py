"""Every op on every case against the reference: on each instruction set, in float32 and float64, results poisoned with
NaN, inputs and results at the edge of a forbidden page."""

import numpy as np
import pytest

from fastconv import ops
from fastconv import reference as ref
from fastconv.testing.bounds import backward_bounds, forward_bounds
from fastconv.testing.cases import case_id, cases, random_cases, square_cases
from fastconv.testing.compare import (
    assert_bounded,
    assert_exact,
    backward,
    cotangent,
    exact_inputs,
    forward,
    is_exact,
    random_inputs,
)
from fastconv.testing.memory import guarded
from fastconv.testing.volume_cases import COMPOSED

ALL = [case.small() for case in cases()]
CASES = [case for case in ALL if case.op not in COMPOSED]
DTYPES = (np.float32, np.float64)
GEOMETRIES = ("conv2d", "conv2d_transpose", "max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d", "dense")


def _results(result):
    return result if isinstance(result, tuple) else (result,)


def _guarded(inputs):
    return {
        name: [guarded(a) for a in value] if isinstance(value, list) else guarded(value)
        for name, value in inputs.items()
    }


def _rng(case):
    return np.random.default_rng(list(str(case).encode()))


def _check_exact(case, dtype):
    rng = _rng(case)
    inputs = exact_inputs(case, rng, dtype)
    expected = forward(ref, case, inputs)
    for actual, wanted in zip(_results(forward(ops, case, _guarded(inputs))), _results(expected), strict=True):
        assert_exact(actual, wanted, f"{case} forward")
    dy = cotangent(expected, rng, exact=True)
    gradients = zip(backward(ops, case, guarded(dy), _guarded(inputs)), backward(ref, case, dy, inputs), strict=True)
    for i, (actual, wanted) in enumerate(gradients):
        assert (actual is None) == (wanted is None)
        if wanted is not None:
            assert_exact(actual, wanted, f"{case} gradient {i}")


def _check_bounded(case, dtype):
    rng = _rng(case)
    inputs = random_inputs(case, rng, dtype)
    expected = forward(ref, case, inputs)
    actual = forward(ops, case, _guarded(inputs))
    for a, wanted, bound in zip(_results(actual), _results(expected), forward_bounds(case, inputs), strict=True):
        assert_bounded(a, wanted, bound, f"{case} forward")
    dy = cotangent(expected, rng)
    gradients = zip(
        backward(ops, case, guarded(dy), _guarded(inputs)),
        backward(ref, case, dy, inputs),
        backward_bounds(case, dy, inputs),
        strict=True,
    )
    for i, (a, wanted, bound) in enumerate(gradients):
        assert (a is None) == (wanted is None)
        if wanted is not None:
            assert_bounded(a, wanted, bound, f"{case} gradient {i}")


def test_every_reference_function_has_its_op():
    functions = {name for name in ref.__all__ if not name.endswith("_step")}
    assert functions <= set(ops.__all__)


@pytest.mark.parametrize("case", [c for c in CASES if is_exact(c)], ids=case_id)
def test_integers_give_the_reference_exactly(case, isa, strict, guarded_results):
    for dtype in DTYPES:
        _check_exact(case, dtype)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_reals_stay_within_the_bound(case, isa, guarded_results):
    for dtype in DTYPES:
        _check_bounded(case, dtype)


@pytest.mark.parametrize("case", [c for c in ALL if c.op in COMPOSED], ids=case_id)
def test_compositions_of_other_operations(case, strict, guarded_results):
    for dtype in DTYPES:
        if is_exact(case):
            _check_exact(case, dtype)
        _check_bounded(case, dtype)


@pytest.mark.parametrize("op", GEOMETRIES)
def test_random_geometry(op, isa, strict, guarded_results):
    for case in random_cases(op, 100, seed=20261121):
        if is_exact(case):
            _check_exact(case, np.float32)
        _check_bounded(case, np.float32)


@pytest.mark.parametrize("algorithm", ("automatic", "winograd"))
def test_random_geometry_in_fast_precision(algorithm, isa, prefer, guarded_results):
    prefer(algorithm)
    for case in random_cases("conv2d", 100, seed=20261122) + square_cases(100, seed=20261122):
        _check_bounded(case, np.float32)


@pytest.mark.nightly
@pytest.mark.parametrize("op", GEOMETRIES)
def test_much_random_geometry(op, isa):
    for case in random_cases(op, 5000, seed=1):
        _check_bounded(case, np.float32)
