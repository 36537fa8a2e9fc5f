"""Elementwise kernels up close: their error in units in the last place, hostile values in every lane, and the same bits
for any number of threads. On each instruction set, in float32 and float64."""

import math

import numpy as np
import pytest

from fastconv import ops
from fastconv import reference as ref

DTYPES = (np.float32, np.float64)
ULPS = {
    "elu": (lambda x: ops.elu(x), np.expm1, 2.0),
    "tanh": (lambda x: ops.tanh(x), np.tanh, 2.6),
    "sigmoid": (lambda x: ops.sigmoid(x), lambda x: np.exp(x) / (1 + np.exp(x)), 2.5),
    "softplus": (lambda x: ops.softplus(x), lambda x: np.log1p(np.exp(x)), 2.5),
    "gelu": (lambda x: ops.gelu(x), lambda x: x * _normal_cdf(x), 6.0),
    "mish": (lambda x: ops.mish(x), lambda x: x * np.tanh(np.log1p(np.exp(x))), 8.0),
    "squareplus": (lambda x: ops.squareplus(x), lambda x: 2 / (np.sqrt(x * x + 4) - x), 4.0),
}
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_sigmoid", "hard_swish", "sigmoid")
ACTIVATIONS += ("tanh", "softplus", "exponential", "mish", "softsign", "squareplus", "sparse_plus")


def _normal_cdf(x):
    """erfc(z) / 2 at z = -x / sqrt(2), where what z loses as a double is put back to first order."""
    z = -x / np.sqrt(np.longdouble(2))
    rounded = z.astype(np.float64)
    erfc = np.vectorize(math.erfc, otypes=[np.longdouble])(rounded)
    slope = -2 / np.sqrt(np.longdouble(math.pi)) * np.exp(-(rounded.astype(np.longdouble) ** 2))
    return (erfc + slope * (z - rounded)) / 2


def _ulps(actual, exact):
    """Errors in units in the last place of the exact result. Near the subnormal numbers the unit stays: there gelu
    multiplies the rounding of a subnormal by x."""
    info = np.finfo(actual.dtype)
    unit = np.spacing(np.maximum(np.abs(exact).astype(actual.dtype), 64 * info.tiny)).astype(np.longdouble)
    return np.abs(actual.astype(np.longdouble) - exact) / unit


def _negative(dtype):
    """Values of every size below zero, down to where exp underflows."""
    lowest = 100 if dtype is np.float32 else 740
    rng = np.random.default_rng(5)
    spread = -np.exp(rng.uniform(-50, math.log(lowest), 4000))
    return np.concatenate([spread, rng.uniform(-4, 0, 4000), rng.uniform(-lowest, 0, 2000)]).astype(dtype)


@pytest.mark.parametrize("name", ULPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_error_in_the_last_place(name, dtype, isa):
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("needs a long double wider than double")
    f, exact, limit = ULPS[name]
    x = _negative(dtype)
    with np.errstate(under="ignore"):
        worst = _ulps(f(x), exact(x.astype(np.longdouble))).max()
    assert worst <= limit


@pytest.mark.parametrize("name", ("tanh", "sigmoid", "softplus", "gelu", "elu"))
@pytest.mark.parametrize("dtype", DTYPES)
def test_positive_side(name, dtype, isa):
    x = -_negative(dtype)
    assert _ulps(getattr(ops, name)(x), getattr(ref, name)(x.astype(np.float64))).max() <= 6


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_of_gelu(dtype, isa):
    """cdf + x density: of the larger of it and the cdf near its root at -0.75, where the two cancel."""
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("needs a long double wider than double")
    x = _negative(dtype)
    x = np.concatenate([x, -x])
    wide = x.astype(np.longdouble)
    with np.errstate(under="ignore"):
        cdf = _normal_cdf(wide)
        exact = cdf + wide * np.exp(-wide * wide / 2) / np.sqrt(2 * np.longdouble(math.pi))
        info = np.finfo(dtype)
        error = np.abs(ops.gelu_backward(np.ones_like(x), x)[0] - exact)
        assert (error <= 8 * info.eps * np.maximum(np.abs(exact), cdf) + 64 * info.tiny * info.eps).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_of_gelu_far_out(dtype, isa):
    x = np.array([np.inf, -np.inf, 1e30, -1e30], dtype)
    for gelu_backward in (ops.gelu_backward, ref.gelu_backward):
        np.testing.assert_array_equal(gelu_backward(np.ones_like(x), x)[0], [1, 0, 1, 0])


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hostile_values_in_every_lane(name, dtype, isa):
    """NaN, infinities, zeros, the largest and the smallest numbers, in the body and in the tail of the loop."""
    info = np.finfo(dtype)
    hostile = [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        info.max / 8,
        -info.max / 8,
        info.smallest_subnormal,
        -info.tiny,
        1e4,
        -1e4,
    ]
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    expected = getattr(ref, name)(np.array(hostile, dtype))
    gradient = getattr(ref, f"{name}_backward")(np.ones(len(hostile), dtype), np.array(hostile, dtype))[0]
    for n in (1, 3, 16, 19, 35):
        for i, value in enumerate(hostile):
            for place in {0, n // 2, n - 1}:
                x = np.full(n, 0.5, dtype)
                x[place] = value
                y, dx = forward(x), backward(np.ones(n, dtype), x)[0]
                np.testing.assert_allclose(y[place], expected[i], rtol=8 * info.eps, atol=info.tiny)
                np.testing.assert_allclose(dx[place], gradient[i], rtol=8 * info.eps, atol=info.tiny)
                assert np.isfinite(np.delete(y, place)).all() and np.isfinite(np.delete(dx, place)).all()


@pytest.mark.parametrize("name", ("relu", "relu6", "hard_sigmoid", "hard_swish"))
def test_flat_parts_stop_an_infinite_gradient(name, isa):
    dy = np.array([np.inf, -np.inf, np.nan] * 7, np.float32)
    assert (getattr(ops, f"{name}_backward")(dy, np.full(21, -5, np.float32))[0] == 0).all()


def test_relu_keeps_the_sign_of_zero(isa):
    y = ops.relu(np.full(19, -0.0, np.float32))
    assert np.signbit(y).all()


def test_threshold_keeps_nan(isa):
    assert np.isnan(ops.threshold(np.full(19, np.nan, np.float32))).all()


def test_softmax_of_hostile_rows(isa):
    rows = np.array([[1e4, -1e4, 0], [-np.inf] * 3, [np.inf, 0, 0], [np.nan, 1, 2], [1, 2, np.nan], [-np.inf, 0, 0]])
    for x in (rows.astype(np.float32), np.repeat(rows, 11, axis=1).astype(np.float32)):
        np.testing.assert_allclose(ops.softmax(x), ref.softmax(x), rtol=1e-6)
        np.testing.assert_allclose(ops.log_softmax(x), ref.log_softmax(x), rtol=1e-6)


@pytest.mark.parametrize("kind", ("max", "min"))
@pytest.mark.parametrize("channels", (1, 5, 16, 21))
def test_extremes_of_nan_infinity_and_ties(kind, channels, isa):
    rng = np.random.default_rng(channels)
    x = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1.0], (2, 9, 8, channels)).astype(np.float32)
    forward, backward = getattr(ops, f"{kind}_pool2d"), getattr(ops, f"{kind}_pool2d_backward")
    for window in ({"pool_size": 2}, {"pool_size": 3, "stride": 1, "padding": 1}, {"pool_size": 2, "dilation": 3}):
        y = getattr(ref, f"{kind}_pool2d")(x, **window)
        dy = rng.integers(1, 9, y.shape).astype(np.float32)
        np.testing.assert_array_equal(forward(x, **window), y)
        wanted = getattr(ref, f"{kind}_pool2d_backward")(dy, x, **window)[0]
        np.testing.assert_array_equal(backward(dy, x, **window)[0], wanted)


def test_dropout_words_are_the_published_ones(isa):
    """Random123's known answer for counter 0, key 0: at a rate just above half a word's share the element is dropped."""
    words = np.array((0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8), "<u4")
    for i, half in enumerate(words.view("<u2").tolist()):
        for step, kept in ((0, True), (1, False)):
            assert (ops.dropout(np.ones(8), (half + step) / 2**16, seed=0)[i] != 0) == kept


@pytest.mark.parametrize("rate, share", [(0.4 / 2**16, 0), (0.6 / 2**16, 2**-16), (1 - 0.4 / 2**16, 1)])
def test_dropout_rates_are_rounded_to_the_nearest_share(isa, rate, share):
    """Within five standard deviations of what 2^22 cells make of it."""
    dropped = (ops.dropout(np.ones(2**22, np.float32), rate, seed=3) == 0).mean()
    assert abs(dropped - share) <= 5 * np.sqrt(share * (1 - share) / 2**22)


def _every_kernel(rng):
    """Calls long enough to be split over threads."""
    x = rng.standard_normal((3, 37, 41, 19)).astype(np.float32)
    yield from (ops.gelu(x), ops.silu_backward(x, x)[0], ops.softmax(x), ops.log_softmax_backward(x, x)[0])
    yield from (ops.dropout(x, 0.3, seed=2**63 + 7), *ops.prelu_backward(x, x, x[0, 0, 0]))
    for window in ({"pool_size": 2}, {"pool_size": 3, "stride": 2, "padding": 1}):
        y = ops.max_pool2d(x, **window)
        yield from (y, ops.max_pool2d_backward(y, x, **window)[0], ops.avg_pool2d_backward(y, x, **window)[0])


def test_same_bits_for_any_number_of_threads(threads, isa):
    results = []
    for count in (1, 2, 3, 8):
        threads(count)
        results.append([y.tobytes() for y in _every_kernel(np.random.default_rng(0))])
    assert all(result == results[0] for result in results)
