"""Optimizer steps count subnormal numbers as zeros, where slots that decay would end, and nobody else notices."""

import platform

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
    _cpu.run("adam_update", spec, [np.zeros(n, dtype), hyper, w, m, v])
    np.testing.assert_array_equal(w, 1)
    if platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64"):
        assert not m.any() and not v.any()
    assert (np.full(4, TINY[dtype], dtype) * dtype(0.5)).all()  # the caller still computes with them
