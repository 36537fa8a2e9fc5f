"""Every op on every case through the CUDA kernels, compiled for the host: against the reference, within its bounds, in two
orders of the CUDA threads, results poisoned with NaN, arrays at the edge of a forbidden page."""

import numpy as np
import pytest

from fastconv import ops
from fastconv import reference as ref
from fastconv.testing.bounds import backward_bounds, forward_bounds
from fastconv.testing.cases import case_id, cases
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

CASES = [case.small() for case in cases()]


@pytest.fixture(autouse=True)
def _skip_what_has_no_kernel_yet(gpu, monkeypatch):
    from fastconv.errors import DeviceError
    from fastconv.ops._cuda import Cuda

    run = Cuda.run

    def run_or_skip(self, kernel, spec, tensors):
        try:
            run(self, kernel, spec, tensors)
        except DeviceError as error:
            if "there must be a CUDA kernel" not in str(error):
                raise
            pytest.skip(f"{kernel} has no CUDA kernel yet")

    monkeypatch.setattr(Cuda, "run", run_or_skip)


def _results(result):
    return result if isinstance(result, tuple) else (result,)


def _to_gpu(gpu, inputs):
    return {
        name: [gpu.asarray(a) for a in value] if isinstance(value, list) else gpu.asarray(value)
        for name, value in inputs.items()
    }


def _to_host(results):
    return [None if r is None else r.get() for r in _results(results)]


def _rng(case):
    return np.random.default_rng(list(str(case).encode()))


@pytest.mark.parametrize("case", [c for c in CASES if is_exact(c)], ids=case_id)
def test_integers_give_the_reference_exactly(case, gpu):
    rng = _rng(case)
    inputs = exact_inputs(case, rng, np.float32)
    expected = forward(ref, case, inputs)
    for actual, wanted in zip(_to_host(forward(ops, case, _to_gpu(gpu, inputs))), _results(expected), strict=True):
        assert_exact(actual, wanted, f"{case} forward")
    dy = cotangent(expected, rng, exact=True)
    actual = _to_host(backward(ops, case, gpu.asarray(dy), _to_gpu(gpu, inputs)))
    for i, (a, wanted) in enumerate(zip(actual, backward(ref, case, dy, inputs), strict=True)):
        assert (a is None) == (wanted is None)
        if wanted is not None:
            assert_exact(a, wanted, f"{case} gradient {i}")


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_reals_stay_within_the_bound(case, gpu):
    rng = _rng(case)
    inputs = random_inputs(case, rng, np.float32)
    expected = forward(ref, case, inputs)
    actual = _to_host(forward(ops, case, _to_gpu(gpu, inputs)))
    for a, wanted, bound in zip(actual, _results(expected), forward_bounds(case, inputs), strict=True):
        assert_bounded(a, wanted, bound, f"{case} forward")
    dy = cotangent(expected, rng)
    actual = _to_host(backward(ops, case, gpu.asarray(dy), _to_gpu(gpu, inputs)))
    wanted = zip(backward(ref, case, dy, inputs), backward_bounds(case, dy, inputs), strict=True)
    for i, (a, (w, bound)) in enumerate(zip(actual, wanted, strict=True)):
        assert (a is None) == (w is None)
        if w is not None:
            assert_bounded(a, w, bound, f"{case} gradient {i}")
