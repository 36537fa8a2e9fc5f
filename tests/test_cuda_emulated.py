"""Every op on every case through the CUDA kernels: against the reference, results poisoned with NaN, arrays at the edge of a
forbidden page; compiled for the host, in two orders of the CUDA threads, and on a GPU where there is one."""

from itertools import zip_longest

import ml_dtypes
import numpy as np
import pytest

from fastconv import ops
from fastconv import reference as ref
from fastconv.testing.bounds import backward_bounds, forward_bounds
from fastconv.testing.cases import case_id, cases, random_cases
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
from fastconv.testing.volume_cases import COMPOSED

_MOST_WEIGHTS = 1 << 16  # an emulated product takes some nanoseconds


def _fits(case):
    return int(np.prod(case.shapes.get("w", (1,)))) <= _MOST_WEIGHTS and case.op not in COMPOSED


CASES = [case.small() for case in cases() if _fits(case) and case.op != "cast"]  # to float64: not on a GPU
HALVES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
# The bounds are those of sums in float32; in these types, of sums in them, which is more than the kernels need.
ROUNDOFF = {"float16": 2.0**13, "bfloat16": 2.0**16}  # in units of float32's
# One number for many: kept in float32 beside types of 16 bits, and so are the gradients of weights.
PER_CHANNEL = {"bias", "gamma", "beta", "mean", "var", "alpha"}


def _rng(case):
    return np.random.default_rng(list(str(case).encode()))


def _each(convert, value):
    """Of an array, or of a list of them."""
    return [convert(a) for a in value] if isinstance(value, list) else convert(value)


def _widened(array):
    return array.astype(np.float32) if array.dtype in HALVES.values() else array


def _results(result):
    return result if isinstance(result, tuple) else (result,)


class _Problem:
    """A case with its inputs, rounded to ``dtype``, and what the reference makes of them."""

    def __init__(self, case, draw, dtype, exact):
        self.case, self.dtype, rng = case, np.dtype(dtype), _rng(case)
        drawn = draw(case, rng, np.float32)
        self.inputs = {name: _each(lambda a, n=name: self._stored(n, a), value) for name, value in drawn.items()}
        in_float32 = {name: _each(_widened, value) for name, value in self.inputs.items()}
        y = forward(ref, case, in_float32)
        self.dy = cotangent(y, rng, exact).astype(self._result_type("y"))
        gradients = backward(ref, case, _widened(self.dy), in_float32)
        bounds = [*forward_bounds(case, in_float32), *backward_bounds(case, _widened(self.dy), in_float32)]
        of_results = ("y", "mean", "var") if case.op == "batch_norm" else ("y", "h", "c")
        names = [*of_results[: len(_results(y))], *(f"d{name}" for name in case.shapes)]
        results = zip([*_results(y), *gradients], bounds, strict=True)
        self.expected = [(name, e, b) for name, (e, b) in zip_longest(names, results, fillvalue="dx") if e is not None]

    def _stored(self, name, array):
        return array if array.dtype != np.float32 or name in PER_CHANNEL else array.astype(self.dtype)

    def _result_type(self, name):
        summed = (
            name in ("dw", "dkernel", "drecurrent_kernel", "dtable", "mean", "var")
            or name[1:] in PER_CHANNEL
            or (name == "y" and ("y_true" in self.case.shapes or self.case.op == "penalty"))
        )
        return np.dtype(np.float32) if summed else self.dtype

    def _is_added(self, name):
        """Whether it is the sum behind the addition of a bias: rounded as the addition's gradient, then widened."""
        return (self.case.op, name) == ("conv2d_transpose", "dbias")

    def run(self, gpu):
        """(name, result, what the reference gives, its bound): the forward's, then the gradients that exist."""
        inputs = {name: _each(gpu.asarray, value) for name, value in self.inputs.items()}
        y = _results(forward(ops, self.case, inputs))
        gradients = backward(ops, self.case, gpu.asarray(self.dy), inputs)
        actual = [a.get() for a in (*y, *gradients) if a is not None]
        for a, (name, expected, bound) in zip(actual, self.expected, strict=True):
            assert a.dtype == (self._result_type(name) if expected.dtype == np.float32 else expected.dtype), name
            yield name, a, expected, np.asarray(bound)

    def check_exact(self, gpu):
        """Sums are exact in float32; they are rounded once, when they are stored."""
        for name, actual, expected, _ in self.run(gpu):
            stored = self.dtype if self._is_added(name) else actual.dtype
            assert_exact(actual, expected.astype(stored).astype(actual.dtype), f"{self.case} {name}")

    def check_bounded(self, gpu, scale):
        for name, actual, expected, bound in self.run(gpu):
            through_halves = self.case.kwargs.get("activation") or self._is_added(name)
            kept = actual.dtype == expected.dtype and not through_halves
            assert_bounded(_widened(actual), expected, bound * (1 if kept else scale), f"{self.case} {name}")


@pytest.mark.parametrize("case", [c for c in CASES if is_exact(c) and "network" not in c.tags], ids=case_id)
def test_integers_give_the_reference_exactly(case, gpu):
    _Problem(case, exact_inputs, np.float32, exact=True).check_exact(gpu)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_reals_stay_within_the_bound(case, gpu):
    _Problem(case, random_inputs, np.float32, exact=False).check_bounded(gpu, 1)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("gpu", ["forward"], indirect=True)
@pytest.mark.parametrize("case", [c for c in CASES if "network" not in c.tags], ids=case_id)
def test_half_precision(case, gpu, dtype):
    if is_exact(case):
        _Problem(case, exact_inputs, HALVES[dtype], exact=True).check_exact(gpu)
    _Problem(case, random_inputs, HALVES[dtype], exact=False).check_bounded(gpu, ROUNDOFF[dtype])


@pytest.mark.parametrize("op", ["conv2d", "conv2d_transpose", "max_pool2d", "avg_pool2d", "dense"])
def test_random_geometry(op, gpu):
    for case in random_cases(op, 25, seed=20261121):
        if is_exact(case):
            _Problem(case, exact_inputs, np.float32, exact=True).check_exact(gpu)
        _Problem(case, random_inputs, np.float32, exact=False).check_bounded(gpu, 1)


@pytest.mark.parametrize("dtype", HALVES)
def test_every_half_survives_widening_and_rounding(gpu, dtype):
    x = np.arange(2**16, dtype=np.uint16).view(HALVES[dtype])
    y = ops.leaky_relu(gpu.asarray(x), negative_slope=1.0).get()
    with np.errstate(invalid="ignore"):  # of signalling NaN
        np.testing.assert_array_equal(y.astype(np.float32), x.astype(np.float32))


def test_gpu_arrays_that_are_views_of_others(gpu):
    """Not contiguous, and not aligned to 16 bytes: the same numbers."""
    x = np.random.default_rng(0).standard_normal((5, 7, 6), np.float32)
    there = gpu.asarray(x)
    np.testing.assert_array_equal(ops.relu(there[:, ::2]).get(), ops.relu(x[:, ::2]))
    np.testing.assert_array_equal(ops.relu(there.reshape(-1)[1:]).get(), ops.relu(x.reshape(-1)[1:]))


def test_derivative_of_gelu_far_out(gpu):
    x = np.array([np.inf, -np.inf, 1e30, -1e30], np.float32)
    (dx,) = ops.gelu_backward(gpu.asarray(np.ones_like(x)), gpu.asarray(x))
    np.testing.assert_array_equal(dx.get(), [1, 0, 1, 0])


def _suits_hopper(case):
    w = case.shapes.get("w", ())
    return case.op in ("conv2d", "dense") and all(n >= 32 and n % 8 == 0 for n in w[-2:])


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("hopper", ["reversed"], indirect=True)
@pytest.mark.parametrize("case", [case for case in CASES if _suits_hopper(case)], ids=case_id)
def test_half_precision_on_hopper(case, hopper, dtype):
    _Problem(case, random_inputs, HALVES[dtype], exact=False).check_bounded(hopper, ROUNDOFF[dtype])
