"""Every op on every case against the reference: on each instruction set, in float32 and float64, results poisoned with
NaN, inputs and results at the edge of a forbidden page."""

import numpy as np
import pytest

from fastconv import ops
from fastconv import reference as ref
from fastconv.testing.agreement import assert_agrees, assert_agrees_everywhere, exact_answer, real_answer
from fastconv.testing.cases import case_id, cases, random_cases, square_cases
from fastconv.testing.compare import is_exact
from fastconv.testing.volume_cases import COMPOSED

ALL = [case.small() for case in cases()]
CASES = [case for case in ALL if case.op not in COMPOSED]
DTYPES = (np.float32, np.float64)
GEOMETRIES = ("conv2d", "conv2d_transpose", "max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d", "dense")


def test_every_reference_function_has_its_op():
    functions = {name for name in ref.__all__ if not name.endswith("_step")}
    assert functions <= set(ops.__all__)


@pytest.mark.parametrize("case", [c for c in CASES if is_exact(c)], ids=case_id)
def test_integers_give_the_reference_exactly(case, isa, strict, guarded_results):
    for dtype in DTYPES:
        assert_agrees(exact_answer(case, dtype), exact=True)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_reals_stay_within_the_bound(case, isa, guarded_results):
    for dtype in DTYPES:
        assert_agrees(real_answer(case, dtype), exact=False)


@pytest.mark.parametrize("case", [c for c in ALL if c.op in COMPOSED], ids=case_id)
def test_compositions_of_other_operations(case, strict, guarded_results):
    for dtype in DTYPES:
        if is_exact(case):
            assert_agrees(exact_answer(case, dtype), exact=True)
        assert_agrees(real_answer(case, dtype), exact=False)


@pytest.mark.parametrize("op", [op for op in GEOMETRIES if op != "avg_pool2d"])
def test_random_geometry_in_integers(op, guarded_results):
    """2,004 geometries in all, each on every instruction set."""
    for case in random_cases(op, 334, seed=20261121):
        assert is_exact(case)
        assert_agrees_everywhere(case)


@pytest.mark.parametrize("op", GEOMETRIES)
def test_random_geometry(op, isa, strict, guarded_results):
    for case in random_cases(op, 100, seed=20261121):
        assert_agrees(real_answer(case, np.float32), exact=False)


@pytest.mark.parametrize("algorithm", ("automatic", "winograd"))
def test_random_geometry_in_fast_precision(algorithm, isa, prefer, guarded_results):
    prefer(algorithm)
    for case in random_cases("conv2d", 100, seed=20261122) + square_cases(100, seed=20261122):
        assert_agrees(real_answer(case, np.float32), exact=False)
