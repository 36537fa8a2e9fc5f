"""A dense layer of a few samples runs without tiles, and no bit tells. Skipped where the machine has no AMX."""

import numpy as np
import pytest

from fastconv import _cpu, ops
from fastconv.testing.numerics import numerics

pytestmark = pytest.mark.skipif("amx" not in _cpu.available_isas(), reason="needs AMX-BF16 and a kernel that grants it")


@pytest.fixture(autouse=True)
def on_amx():
    before = _cpu.current_isa()
    _cpu.select_isa("amx")
    yield
    _cpu.select_isa(before)


@pytest.mark.parametrize("precision", ("fast", "strict"))
@pytest.mark.parametrize("k, n", [(1, 1), (31, 16), (33, 17), (64, 300), (1100, 65), (2304, 512)])
def test_forward_of_a_few_rows_has_the_bits_of_many(k, n, precision):
    rng = np.random.default_rng(k + n)
    x, w = rng.standard_normal((20, k)), rng.standard_normal((k, n))
    x[:, ::5] *= 1e-12
    w[::3] *= 1e-25
    x, w, bias = x.astype(np.float32), w.astype(np.float32), rng.standard_normal(n).astype(np.float32)
    with numerics(precision, "amx"):
        for activation in ("linear", "relu", "gelu"):
            many = ops.dense(x, w, bias, activation=activation)
            for rows in range(1, 6):
                np.testing.assert_array_equal(ops.dense(x[:rows], w, bias, activation=activation), many[:rows])


@pytest.mark.parametrize("bad", (np.inf, np.nan, 1e30))
def test_numbers_that_amx_must_not_see(bad):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((20, 100)).astype(np.float32), rng.standard_normal((100, 70)).astype(np.float32)
    w[50, 60] = bad
    with numerics("fast", "amx"):
        np.testing.assert_array_equal(ops.dense(x[:1], w), ops.dense(x, w)[:1])


@pytest.mark.parametrize("rows", (1, 2, 4, 5))
def test_weight_gradient_of_a_few_rows_is_that_of_the_direct_kernel(rows):
    """Of one sample the products themselves, of more a chain of fma: within a rounding of float64's each."""
    rng = np.random.default_rng(rows)
    x, dy = rng.standard_normal((rows, 130)).astype(np.float32), rng.standard_normal((rows, 77)).astype(np.float32)
    w = rng.standard_normal((130, 77)).astype(np.float32)
    with numerics("strict", "direct"):
        _, dw, dbias = ops.dense_backward(dy, x, w, np.zeros(77, np.float32))
    if rows == 1:
        np.testing.assert_array_equal(dw, x.T * dy)
        np.testing.assert_array_equal(dbias, dy[0])
    np.testing.assert_allclose(dw, x.T.astype(float) @ dy, rtol=0, atol=rows * 2.0**-24 * 16)
    np.testing.assert_allclose(dbias, dy.astype(float).sum(0), rtol=0, atol=rows * 2.0**-24 * 8)
