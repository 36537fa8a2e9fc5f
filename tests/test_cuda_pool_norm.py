"""Pooling and normalisation on a GPU, beyond the registry's cases: the same bits in any order of the CUDA threads, rows that
many blocks share, channels narrower and wider than a block, statistics that must not cancel, and 16-bit storage."""

import ml_dtypes
import numpy as np
import pytest

from fastconv import _cpu, _gpu, ops
from fastconv import reference as ref
from fastconv.ops import norm
from fastconv.ops.registry import apply, backward
from fastconv.testing.emulation import emulated_gpu

RELU = ("relu", 1.0, 0.0)
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)
POOLS = ("max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d")


def _unit(dtype):
    """Rounding to storage: half the distance of 1 to the next number."""
    return float(ml_dtypes.finfo(dtype).eps) / 2


def _normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def _batch_norm_operands(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x, residual, dy = (_normal(rng, shape, dtype) for _ in range(3))
    gamma, beta, mean = (_normal(rng, shape[-1], np.float32) for _ in range(3))
    variance = np.abs(mean) + 1
    return x, gamma, beta, mean, variance, residual, dy


def _on(gpu, *arrays):
    return tuple(None if a is None else gpu.asarray(a) for a in arrays)


def _unaligned(gpu, array):
    """The array one element behind a 16-byte boundary."""
    memory = gpu.empty((array.size + 1,), array.dtype)
    view = memory[1:].reshape(array.shape)
    view.set(array)
    return view


def _assert_near(actual, wanted, dtype, terms, scale=None):
    """Of `dtype`, within a rounding to it and `terms` roundings to float32 of numbers as large as `scale`."""
    assert actual.dtype == dtype
    actual, wanted = actual.get().astype(np.float64), np.asarray(wanted, np.float64)
    size = np.abs(wanted) if scale is None else np.maximum(np.abs(wanted), scale)
    assert (np.abs(actual - wanted) <= 1.01 * _unit(dtype) * np.abs(wanted) + terms * 2.0**-23 * size + 1e-7).all()


# --- the same bits in any order -----------------------------------------------------------------------------


def _bits(results):
    return b"".join(r.get().tobytes() for r in results if r is not None)


def _all_batch_norm(gpu, shape, dtype):
    x, gamma, beta, mean, variance, residual, dy = _on(gpu, *_batch_norm_operands(shape, dtype))
    inputs, attrs = (x, gamma, beta, mean, variance, residual), {"epsilon": 1e-3, "momentum": 0.9, "activation": RELU}
    fused = apply(norm.TRAINING, *inputs, **attrs)
    needs = (True, True, True, False, False, True)
    gradients = backward(norm.TRAINING, (dy, None, None, None, None), inputs, attrs, needs, fused)
    fixed = ops.batch_norm(x, gamma, beta, mean, variance)
    fixed_gradients = ops.batch_norm_backward(dy, x, gamma, beta, mean, variance)
    return [*fused, *gradients, fixed, *fixed_gradients]


def _all_layer_norm(gpu, shape, dtype):
    x, gamma, beta, _, _, _, dy = _on(gpu, *_batch_norm_operands(shape, dtype))
    return [ops.layer_norm(x, gamma, beta), *ops.layer_norm_backward(dy, x, gamma, beta)]


def _all_pools(gpu, shape, dtype):
    rng = np.random.default_rng(0)
    x = gpu.asarray(_normal(rng, shape, dtype))
    results = [ops.global_avg_pool2d(x), ops.global_max_pool2d(x)]
    for op in POOLS:
        for window in ({"pool_size": 2}, {"pool_size": 3, "stride": 2, "padding": 1}):
            y = getattr(ops, op)(x, **window)
            (dx,) = getattr(ops, f"{op}_backward")(gpu.asarray(_normal(rng, y.shape, dtype)), x, **window)
            results += [y, dx]
    return results


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("run", "shape"),
    (
        (_all_batch_norm, (1500, 3)),
        (_all_batch_norm, (4, 9, 10, 24)),
        (_all_batch_norm, (37, 600)),
        (_all_layer_norm, (300, 10)),
        (_all_layer_norm, (21, 264)),
        (_all_layer_norm, (5, 1100)),
        (_all_pools, (2, 9, 7, 16)),
        (_all_pools, (1, 6, 6, 5)),
    ),
)
def test_the_same_bits_in_any_order(run, shape, dtype, emulated_module):
    found = set()
    for order in ("forward", "reversed", "shuffled"):
        with emulated_gpu(emulated_module, order) as gpu:
            found.add(_bits(run(gpu, shape, dtype)))
    assert len(found) == 1


# --- batch normalisation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("aligned", (True, False))
@pytest.mark.parametrize("shape", ((3000, 1), (2049, 3), (700, 64), (9, 1037), (2, 4100), (3, 7)))
def test_batch_norm_of_narrow_and_wide_rows(shape, aligned, dtype, gpu):
    operands = _batch_norm_operands(shape, dtype)
    put = gpu.asarray if aligned else lambda a: _unaligned(gpu, a)
    on = [put(a) for a in operands]
    wide = [a.astype(np.float64) for a in operands]
    x, gamma, dy = wide[0], wide[1], wide[6]
    y, new_mean, new_variance = ops.batch_norm(*on[:5], training=True, momentum=0.5)
    w_y, w_mean, w_variance = ref.batch_norm(*wide[:5], training=True, momentum=0.5)
    _assert_near(y, w_y, dtype, 64, 1.0 + np.abs(gamma).max())
    _assert_near(new_mean, w_mean, np.float32, 16, 1.0)
    _assert_near(new_variance, w_variance, np.float32, 16, 1.0)
    _assert_near(ops.batch_norm(*on[:5]), ref.batch_norm(*wide[:5]), dtype, 16, 4.0)

    dx, dgamma, dbeta = ops.batch_norm_backward(on[6], *on[:5])[:3]
    w_dx, w_dgamma, w_dbeta = ref.batch_norm_backward(wide[6], *wide[:5])[:3]
    rows = shape[0]
    _assert_near(dx, w_dx, dtype, 16)
    _assert_near(dgamma, w_dgamma, np.float32, 16, rows)
    _assert_near(dbeta, w_dbeta, np.float32, 16, rows)

    dx, dgamma, dbeta = ops.batch_norm_backward(on[6], *on[:5], training=True)[:3]
    w_dx, w_dgamma, w_dbeta = ref.batch_norm_backward(wide[6], *wide[:5], training=True)[:3]
    # batch_mean and batch_rstd are stored: x̂ = (x - mean) * rstd is off by a rounding of either
    rstd = 1 / np.sqrt(x.var(0) + 1e-3)
    off = 8 * (1 + np.abs(x.mean(0)) * rstd)
    largest = np.abs(dy).max(0)
    _assert_near(dx, w_dx, dtype, off, 8 * largest * np.abs(gamma) * rstd)
    _assert_near(dgamma, w_dgamma, np.float32, off, rows * largest)
    _assert_near(dbeta, w_dbeta, np.float32, 16, rows)


@pytest.mark.parametrize("shape", ((2000, 6), (300, 72), (5, 520)))
@pytest.mark.parametrize("with_residual", (False, True))
def test_relu_and_residual_taken_in_change_no_bit(shape, with_residual, gpu):
    x, gamma, beta, mean, variance, residual, dy = _on(gpu, *_batch_norm_operands(shape, np.float32))
    attrs = {"epsilon": 1e-3, "momentum": 0.9, "activation": RELU}
    inputs = (x, gamma, beta, mean, variance, residual if with_residual else None)
    y, new_mean, new_variance, *_ = fused = apply(norm.TRAINING, *inputs, **attrs)
    plain, plain_mean, plain_variance = ops.batch_norm(*inputs[:5], training=True, momentum=0.9)
    total = plain.get() + residual.get() if with_residual else plain.get()
    np.testing.assert_array_equal(y.get(), np.maximum(total, 0))
    np.testing.assert_array_equal(new_mean.get(), plain_mean.get())
    np.testing.assert_array_equal(new_variance.get(), plain_variance.get())

    needs = (True, True, True, False, False, with_residual)
    found = backward(norm.TRAINING, (dy, None, None, None, None), inputs, attrs, needs, fused)
    gated = np.where(total > 0, dy.get(), 0)
    wanted = ops.batch_norm_backward(gpu.asarray(gated), *inputs[:5], training=True, momentum=0.9)
    for actual, expected in zip(found[:3], wanted[:3], strict=True):
        np.testing.assert_array_equal(actual.get(), expected.get())
    if with_residual:
        np.testing.assert_array_equal(found[5].get(), gated)


@pytest.mark.parametrize("channels", (1, 3, 16, 64, 130))
def test_statistics_do_not_cancel(channels, gpu):
    """A mean far from zero, and a first row far from every other one."""
    rng = np.random.default_rng(channels)
    far = 1000 + rng.standard_normal((2500, channels))
    outlier = rng.standard_normal((2500, channels))
    outlier[0] = 1000
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    for x in (far.astype(np.float32), outlier.astype(np.float32)):
        y, mean, variance = ops.batch_norm(*_on(gpu, x, one, zero, zero, one), training=True, momentum=0.0)
        exact = x.astype(np.longdouble)
        u = np.finfo(np.float32).eps
        assert (np.abs(mean.get() - exact.mean(0)) <= 4 * u * (np.abs(exact.mean(0)) + exact.std(0))).all()
        np.testing.assert_allclose(variance.get(), exact.var(0).astype(np.float32), rtol=16 * u)
        normal = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3)
        np.testing.assert_allclose(y.get(), normal.astype(np.float32), rtol=16 * u, atol=16 * u)


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_sixteen_bits_store_what_float32_computes(dtype, gpu):
    """With a mean of 20 the squares of 16-bit numbers would be off by far more than their variance."""
    rng = np.random.default_rng(0)
    x = (20 + rng.standard_normal((900, 24))).astype(dtype)
    one, zero = np.ones(24, np.float32), np.zeros(24, np.float32)
    y, mean, variance = ops.batch_norm(*_on(gpu, x, one, zero, zero, one), training=True, momentum=0.0)
    exact = x.astype(np.float64)
    _assert_near(mean, exact.mean(0), np.float32, 4)
    _assert_near(variance, exact.var(0), np.float32, 16)
    _assert_near(y, (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3), dtype, 64, 1.0)


@pytest.mark.parametrize("training", (False, True))
def test_sums_over_no_samples_are_zero_whatever_the_variance_is(training, gpu):
    x, gamma, beta, mean, _, _, dy = _batch_norm_operands((0, 5), np.float32)
    for value in (-1.0, np.nan):
        arrays = _on(gpu, dy, x, gamma, beta, mean, np.full(5, value, np.float32))
        _, dgamma, dbeta, *_ = ops.batch_norm_backward(*arrays, training=training)
        assert not dgamma.get().any() and not dbeta.get().any()


def test_moving_statistics_may_be_renewed_in_place(gpu):
    _, module = _gpu.load("[tests]")
    x, gamma, beta, mean, variance, _, _ = _on(gpu, *_batch_norm_operands((70, 5), np.float32))
    wanted = [a.get() for a in ops.batch_norm(x, gamma, beta, mean, variance, training=True, momentum=0.9)]
    spec = _cpu.NormSpec.make("float32", "batch_norm", (70, 5), 1e-3, 0.9, ("linear", 1.0, 0.0), True)
    y, batch_mean, batch_rstd = gpu.empty((70, 5), np.float32), gpu.empty((5,), np.float32), gpu.empty((5,), np.float32)
    workspace = gpu.empty((module.workspace_bytes("batch_norm_training", spec),), np.uint8)
    tensors = [x, gamma, beta, mean, variance, None, y, mean, variance, batch_mean, batch_rstd]
    module.run("batch_norm_training", spec, tensors, workspace.data.ptr, 0)
    for actual, expected in zip((y, mean, variance), wanted, strict=True):
        np.testing.assert_array_equal(actual.get(), expected)


# --- layer normalisation ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("aligned", (True, False))
@pytest.mark.parametrize("shape", ((2100, 2), (50, 96), (7, 1000), (3, 1025), (3, 4096), (2, 8200)))
def test_layer_norm_of_short_and_long_rows(shape, aligned, dtype, gpu):
    x, gamma, beta, _, _, _, dy = operands = _batch_norm_operands(shape, dtype)
    put = gpu.asarray if aligned else lambda a: _unaligned(gpu, a)
    x_on, gamma_on, beta_on, dy_on = (put(a) for a in (x, gamma, beta, dy))
    x, gamma, beta, _, _, _, dy = (a.astype(np.float64) for a in operands)
    _assert_near(ops.layer_norm(x_on, gamma_on, beta_on), ref.layer_norm(x, gamma, beta), dtype, 64, 4.0)

    dx, dgamma, dbeta = ops.layer_norm_backward(dy_on, x_on, gamma_on, beta_on)
    w_dx, w_dgamma, w_dbeta = ref.layer_norm_backward(dy, x, gamma, beta)
    # row_mean and row_rstd are stored: x̂ = (x - mean) * rstd is off by a rounding of either
    rounding = 8
    rstd = 1 / np.sqrt(x.var(-1).min() + 1e-3)
    slope = np.abs(dy).max() * np.abs(gamma).max() * rstd
    _assert_near(dx, w_dx, dtype, rounding, 4 * slope)
    _assert_near(dgamma, w_dgamma, np.float32, rounding, (np.abs(dy) * (2 + np.abs(x))).sum(0))
    _assert_near(dbeta, w_dbeta, np.float32, 16, np.abs(dy).sum(0))


@pytest.mark.parametrize("width", (12, 600, 5000))
def test_rows_do_not_cancel(width, gpu):
    rng = np.random.default_rng(width)
    x = (1000 + rng.standard_normal((3, width))).astype(np.float32)
    one, zero = np.ones(width, np.float32), np.zeros(width, np.float32)
    exact = x.astype(np.float64)
    normal = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(ops.layer_norm(*_on(gpu, x, one, zero)).get(), normal, rtol=2e-6, atol=2e-6)


# --- pooling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("aligned", (True, False))
@pytest.mark.parametrize("op", POOLS)
@pytest.mark.parametrize("channels", (6, 16))
def test_pooling_of_sixteen_bits_and_unaligned_arrays(op, channels, aligned, dtype, gpu):
    rng = np.random.default_rng(channels)
    x = rng.integers(-8, 9, (2, 7, 9, channels)).astype(dtype)
    put = gpu.asarray if aligned else lambda a: _unaligned(gpu, a)
    for window in ({"pool_size": 2}, {"pool_size": 3, "stride": 2, "padding": 1}, {"pool_size": (2, 3), "stride": 1}):
        wanted = getattr(ref, op)(x.astype(np.float64), **window)
        np.testing.assert_array_equal(getattr(ops, op)(put(x), **window).get(), wanted.astype(dtype))
        dy = (rng.integers(-2, 3, wanted.shape) * 36).astype(dtype)  # every window's share is a small integer
        (dx,) = getattr(ops, f"{op}_backward")(put(dy), put(x), **window)
        (exact,) = getattr(ref, f"{op}_backward")(dy.astype(np.float64), x.astype(np.float64), **window)
        np.testing.assert_array_equal(dx.get(), exact.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "window", ({"pool_size": 2}, {"pool_size": 3, "stride": 2, "padding": 1}, {"pool_size": (1, 9)})
)
def test_nan_wins_and_infinity_beats_no_pad(window, dtype, gpu):
    rng = np.random.default_rng(0)
    x = rng.choice(np.array([np.nan, np.inf, -np.inf, 1.0, -1.0]), (2, 10, 9, 8)).astype(dtype)
    for op in POOLS[:2]:
        wanted = getattr(ref, op)(x.astype(np.float32), **window)
        np.testing.assert_array_equal(getattr(ops, op)(gpu.asarray(x), **window).get().astype(np.float32), wanted)
        dy = rng.integers(1, 5, wanted.shape).astype(dtype)
        (dx,) = getattr(ops, f"{op}_backward")(gpu.asarray(dy), gpu.asarray(x), **window)
        (exact,) = getattr(ref, f"{op}_backward")(dy.astype(np.float32), x.astype(np.float32), **window)
        np.testing.assert_array_equal(dx.get(), exact.astype(dtype))


@pytest.mark.parametrize("op", POOLS[:2])
@pytest.mark.parametrize("channels", (3, 8))
@pytest.mark.parametrize("window", ({"pool_size": 17}, {"pool_size": (16, 17), "stride": 3, "padding": 2}))
def test_windows_of_more_taps_than_a_byte_counts(op, channels, window, gpu):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, (2, 20, 21, channels)).astype(np.float32)
    wanted = getattr(ref, op)(x, **window)
    np.testing.assert_array_equal(getattr(ops, op)(gpu.asarray(x), **window).get(), wanted)
    dy = rng.integers(-3, 4, wanted.shape).astype(np.float32)
    (dx,) = getattr(ops, f"{op}_backward")(*_on(gpu, dy, x), **window)
    np.testing.assert_array_equal(dx.get(), getattr(ref, f"{op}_backward")(dy, x, **window)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((2, 7, 7, 40), (3, 13, 11, 6), (1, 33, 9, 264)))
def test_global_pooling(shape, dtype, gpu):
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, shape).astype(dtype)
    wide = x.astype(np.float64)
    total = wide.sum((1, 2)) / (shape[1] * shape[2])
    _assert_near(ops.global_avg_pool2d(gpu.asarray(x)), total, dtype, 1)
    np.testing.assert_array_equal(ops.global_max_pool2d(gpu.asarray(x)).get(), x.max((1, 2)))
    dy = rng.integers(-3, 4, (shape[0], shape[3])).astype(dtype)
    (dx,) = ops.global_max_pool2d_backward(*_on(gpu, dy, x))  # of equals the first cell gets all
    np.testing.assert_array_equal(
        dx.get(), ref.global_max_pool2d_backward(dy.astype(np.float64), wide)[0].astype(dtype)
    )
