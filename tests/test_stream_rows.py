"""Dense layers of a few samples, summed at the speed of memory: what training and predict_on_batch run."""

import numpy as np
import pytest

from fastconv import _cpu, layers, models, ops
from fastconv.testing.numerics import numerics

ACTIVATIONS = {"linear": ("linear", 1.0, 0.0), "relu": ("relu", 0.0, 0.0), "gelu": ("gelu", 0.0, 0.0)}


def streamed(x, w, bias, activation="linear"):
    spec = _cpu.GemmSpec.make_dense(x.dtype.name, x.shape, w.shape, ACTIVATIONS[activation])
    y = np.full((len(x), w.shape[1]), np.nan, x.dtype)
    _cpu.run("dense_forward_streamed", spec, [x, w, bias, y])
    return y


@pytest.mark.parametrize("rows", (1, 2, 3, 4, 5))
@pytest.mark.parametrize("k, n", [(1, 3), (1, 1), (7, 16), (33, 17), (1600, 10), (500, 130)])
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_small_integers_are_exact(rows, k, n, dtype, isa):
    rng = np.random.default_rng(k + n)
    x, w, bias = (rng.integers(-9, 9, shape).astype(dtype) for shape in ((rows, k), (k, n), (n,)))
    np.testing.assert_array_equal(streamed(x, w, bias), x @ w + bias)
    np.testing.assert_array_equal(streamed(x, w, None, "relu"), np.maximum(x @ w, 0))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_is_within_the_bound_of_any_order_of_summation(activation, isa):
    rng = np.random.default_rng(0)
    x, w, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 700), (700, 45), (45,)))
    plain, terms = x.astype(float) @ w + bias, np.abs(x).astype(float) @ np.abs(w) + np.abs(bias)
    bound = 702 * 2.0**-24 * terms * 1.2  # gelu's slope is at most 1.13
    with numerics("strict", "direct"):
        expected = streamed(x, w, bias, activation)
    assert (np.abs(streamed(x, w, bias, activation) - expected) <= 2 * bound).all()
    if activation == "linear":
        assert (np.abs(streamed(x, w, bias) - plain) <= bound).all()


def test_the_bits_do_not_depend_on_threads(threads, isa):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 1100)).astype(np.float32), rng.standard_normal((1100, 530)).astype(np.float32)
    found = set()
    for n in (1, 2, 3, 5):
        threads(n)
        found.add(streamed(x, w, None).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("k, n", [(1, 1), (301, 5), (301, 9), (33, 17), (1600, 10), (500, 130), (301, 4100)])
def test_one_row_has_the_bits_of_many(k, n, isa):
    rng = np.random.default_rng(k)
    x, w, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((7, k), (k, n), (n,)))
    with numerics("strict", "direct"):
        many = ops.dense(x, w, bias, activation="gelu")
        np.testing.assert_array_equal(ops.dense(x[2:3], w, bias, activation="gelu"), many[2:3])


def test_what_is_not_finite_stays_so(isa):
    x, w = np.ones((1, 20), np.float32), np.ones((20, 3), np.float32)
    w[3, 1], w[4, 2] = np.inf, np.nan
    np.testing.assert_array_equal(streamed(x, w, None), [[20, np.inf, np.nan]])


def test_training_and_predict_on_batch_take_it_and_predict_does_not():
    """predict promises results that do not depend on its batch size."""
    model = models.Sequential([layers.Input((40,)), layers.Dense(30)])
    model.compile("sgd", "mse")

    def kernels(plan):
        return [name for name, _ in plan.plan.program.steps]

    assert "dense_forward_streamed" in kernels(model._plan("train", 1))
    assert "dense_forward_streamed" in kernels(model._predict_plan(1, streams=True))
    assert "dense_forward" in kernels(model._predict_plan(1))
    x = np.random.default_rng(0).random((1, 40))
    np.testing.assert_allclose(model.predict_on_batch(x), model.predict(x), rtol=1e-5, atol=1e-6)
