"""An optimizer step leaves no slot subnormal, and leaves the caller's floating-point mode alone."""

import numpy as np
import pytest

from fastconv import _cpu

TINY = {np.float32: 1e-40, np.float64: 1e-310}


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("n", (1, 37, 100_000))
def test_adam_flushes_subnormal_slots(n, dtype, isa):
    m, v, w = np.full(n, TINY[dtype], dtype), np.full(n, TINY[dtype], dtype), np.ones(n, dtype)
    spec = _cpu.VectorSpec.make(np.dtype(dtype).name, "adam_update", (n,))
    hyper = np.array([1e-3, 0.9, 0.999, 1e-7, 0, 1, 0, 0])
    _cpu.run("adam_update", spec, [np.zeros(n, dtype), hyper, w, m, v, None])
    np.testing.assert_array_equal(w, 1)
    assert not m.any() and not v.any()
    assert (np.full(4, TINY[dtype], dtype) * dtype(0.5)).all()  # the caller still computes with them
