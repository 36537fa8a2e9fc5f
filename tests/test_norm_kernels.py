"""Batch normalisation up close: what it takes in (residual, relu) changes no bit, statistics do not cancel, and narrow
rows are as good as wide ones. On each instruction set."""

import numpy as np
import pytest

from fastconv import ops
from fastconv.ops import norm
from fastconv.ops.registry import apply, backward

RELU = ("relu", 1.0, 0.0)


def _operands(shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    x, residual, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    gamma, beta, mean = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(3))
    return x, gamma, beta, mean, np.abs(mean) + 1, residual, dy


@pytest.mark.parametrize("channels", (1, 3, 16, 24, 33, 70))
@pytest.mark.parametrize("with_residual", (False, True))
def test_relu_and_residual_taken_in_change_no_bit(channels, with_residual, isa):
    x, gamma, beta, mean, var, residual, dy = _operands((3, 11, 13, channels))
    attrs = {"epsilon": 1e-3, "momentum": 0.9, "activation": RELU}
    inputs = (x, gamma, beta, mean, var, residual if with_residual else None)
    y, new_mean, new_var, *_ = fused = apply(norm.TRAINING, *inputs, **attrs)

    plain, plain_mean, plain_var = ops.batch_norm(x, gamma, beta, mean, var, training=True, momentum=0.9)
    total = ops.add(plain, residual) if with_residual else plain
    np.testing.assert_array_equal(y, ops.relu(total))
    np.testing.assert_array_equal(new_mean, plain_mean)
    np.testing.assert_array_equal(new_var, plain_var)

    needs = (True, True, True, False, False, with_residual)
    found = backward(norm.TRAINING, (dy, None, None, None, None), inputs, attrs, needs, fused)
    (gated,) = ops.relu_backward(dy, total)
    wanted = ops.batch_norm_backward(gated, x, gamma, beta, mean, var, training=True, momentum=0.9)
    for actual, expected in zip(found[:3], wanted[:3], strict=True):
        np.testing.assert_array_equal(actual, expected)
    if with_residual:
        np.testing.assert_array_equal(found[5], gated)


@pytest.mark.parametrize("channels", (1, 3, 16, 64, 130))
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_statistics_do_not_cancel(channels, dtype, isa):
    """A mean far from zero, and a first row far from every other one."""
    rng = np.random.default_rng(channels)
    far = 1000 + rng.standard_normal((5000, channels))
    outlier = rng.standard_normal((5000, channels))
    outlier[0] = 1000
    one, zero = np.ones(channels, dtype), np.zeros(channels, dtype)
    for x in (far.astype(dtype), outlier.astype(dtype)):
        _, mean, var = ops.batch_norm(x, one, zero, zero, one, training=True, momentum=0.0)
        exact = x.astype(np.longdouble)
        u = np.finfo(dtype).eps
        assert (np.abs(mean - exact.mean(0)) <= 16 * u * (np.abs(exact.mean(0)) + exact.std(0))).all()
        np.testing.assert_allclose(var, exact.var(0).astype(dtype), rtol=256 * u)


@pytest.mark.parametrize("channels", (2, 32, 48))
def test_the_same_bits_for_any_number_of_threads(channels, threads, isa):
    x, gamma, beta, mean, var, _, dy = _operands((9, 37, 113, channels))
    found = set()
    for count in (1, 2, 3, 5):
        threads(count)
        forward = ops.batch_norm(x, gamma, beta, mean, var, training=True)
        gradients = ops.batch_norm_backward(dy, x, gamma, beta, mean, var, training=True)[:3]
        found.add(b"".join(a.tobytes() for a in (*forward, *gradients)))
    assert len(found) == 1


@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize("channels", (1, 5, 33))
def test_sums_over_no_samples_are_zero_whatever_the_variance_is(channels, training, isa):
    x, gamma, beta, mean, _, _, dy = _operands((0, channels))
    for var in (-1.0, -1e-3, np.nan, np.inf):
        statistics = mean, np.full(channels, var, np.float32)
        gradients = ops.batch_norm_backward(dy, x, gamma, beta, *statistics, training=training)[:3]
        for g, like in zip(gradients, (x, gamma, beta), strict=True):
            assert g.shape == like.shape and not g.any()


@pytest.mark.parametrize("channels", (5, 64))
def test_results_too_large_for_the_caches(channels, isa):
    """Stored past them: the bits of smaller pieces where statistics are given, the formula's numbers where they are not."""
    rows = (32 << 20) // 4 // channels + 9
    x, gamma, beta, mean, var, residual, dy = _operands((rows, channels))
    attrs = {"epsilon": 1e-3, "activation": RELU}
    pieces = np.split(np.arange(rows), [rows // 3, rows // 3 * 2])
    whole = apply(norm.INFERENCE, x, gamma, beta, mean, var, residual, **attrs)
    parts = [apply(norm.INFERENCE, x[i], gamma, beta, mean, var, residual[i], **attrs) for i in pieces]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    dx, *_ = ops.batch_norm_backward(dy, x, gamma, beta, mean, var)
    parts = [ops.batch_norm_backward(dy[i], x[i], gamma, beta, mean, var)[0] for i in pieces]
    np.testing.assert_array_equal(dx, np.concatenate(parts))

    y, batch_mean, batch_var = ops.batch_norm(x, gamma, beta, mean, var, training=True, momentum=0)
    np.testing.assert_allclose(y, ops.batch_norm(x, gamma, beta, batch_mean, batch_var), rtol=1e-5, atol=1e-5)
    dx, dgamma, dbeta, *_ = ops.batch_norm_backward(dy, x, gamma, beta, mean, var, training=True)
    rstd = 1 / np.sqrt(batch_var + np.float32(1e-3))
    along_x = (x - batch_mean) * (rstd * dgamma / rows)
    np.testing.assert_allclose(dx, gamma * rstd * (dy - dbeta / rows - along_x), rtol=1e-4, atol=1e-5)


# One row alone, groups of short rows with and without a last short one, and rows too long for a group.
ROWS, WIDTHS = 37, (1, 3, 16, 30, 64, 255, 256, 257, 513, 1030)


def _layer_norm(x, dy, gamma, beta):
    """y and dx"""
    attrs = {"epsilon": 1e-3}
    y, mean, rstd = apply(norm.LAYER_NORM, x, gamma, beta, **attrs)
    return y, apply(norm.LAYER_NORM_BACKWARD, dy, x, gamma, mean, rstd, **attrs)[0]


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("width", WIDTHS)
def test_no_bit_of_a_row_depends_on_the_others(width, dtype, isa):
    x, gamma, beta, *_, dy = _operands((ROWS, width), dtype)
    whole = _layer_norm(x, dy, gamma, beta)
    for first, last in ((0, 1), (5, 6), (3, 20), (16, 37)):
        for part, expected in zip(_layer_norm(x[first:last], dy[first:last], gamma, beta), whole, strict=True):
            np.testing.assert_array_equal(part, expected[first:last])
    x[7] = np.inf
    x[20, 0] = np.nan
    for found, expected in zip(_layer_norm(x, dy, gamma, beta), whole, strict=True):
        others = np.delete(found, (7, 20), axis=0)
        np.testing.assert_array_equal(others, np.delete(expected, (7, 20), axis=0))
        assert not np.isfinite(found[[7, 20]]).any()


def _far_from_zero(shape, dtype):
    """One mean of 1000, and one element in 1000 far from every other one."""
    rng = np.random.default_rng(sum(shape))
    outlier = rng.standard_normal(shape)
    outlier.reshape(-1)[::1000] = 1000
    return [x.astype(dtype) for x in (1000 + rng.standard_normal(shape), outlier)]


def _normal(x, axes):
    exact = x.astype(np.longdouble)
    mean, std = exact.mean(axes, keepdims=True), exact.std(axes, keepdims=True)
    return (exact - mean) / np.sqrt(std**2 + np.longdouble(1e-3)), np.abs(mean) / std


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("width", WIDTHS[2:])
def test_statistics_of_rows_do_not_cancel(width, dtype, isa):
    for x in _far_from_zero((ROWS, width), dtype):
        expected, distance = _normal(x, (1,))
        error = np.abs(ops.layer_norm(x, None, None) - expected)
        assert (error <= 64 * np.finfo(dtype).eps * (np.abs(expected) + 1) + np.finfo(dtype).eps * distance).all()


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("shape", ((2, 5, 7, 6), (3, 31, 33, 20), (2, 40, 41, 96)))
def test_statistics_of_groups_do_not_cancel(shape, dtype, isa):
    for x in _far_from_zero(shape, dtype):
        grouped = x.reshape(*shape[:3], 2, -1)
        expected, distance = _normal(grouped, (1, 2, 4))
        error = np.abs(ops.group_norm(x, None, None, 2).reshape(grouped.shape) - expected)
        assert (error <= 64 * np.finfo(dtype).eps * (np.abs(expected) + 1) + np.finfo(dtype).eps * distance).all()
