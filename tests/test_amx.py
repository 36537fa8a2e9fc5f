"""Products on AMX tiles: float32 as two or three bfloat16 each. Skipped where the machine has no AMX."""

import numpy as np
import pytest

from fastconv import _cpu, config, ops, reference
from fastconv.testing.bounds import SPLIT_L2, SPLIT_MAX
from fastconv.testing.cases import random_cases
from fastconv.testing.numerics import numerics

pytestmark = pytest.mark.skipif("amx" not in _cpu.available_isas(), reason="needs AMX-BF16 and a kernel that grants it")

RNG = np.random.default_rng(0)
U = 2.0**-24


@pytest.fixture(autouse=True)
def on_amx(prefer):
    before = _cpu.current_isa()
    _cpu.select_isa("amx")
    prefer("amx")
    yield
    _cpu.select_isa(before)


@pytest.fixture(params=["fast", "strict"])
def precision(request):
    with numerics(request.param, "amx"):
        yield request.param


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def check(actual, expected, magnitude, terms):
    """The bound of amx_tile.h, and the reference's own rounding."""
    assert actual.dtype == np.float32
    error = np.abs(actual.astype(np.float64) - expected)
    left_out = 0 if config.precision() == "strict" else 2**-15
    assert (error <= ((terms + 14) * U + left_out) * magnitude).all(), (error / (U * magnitude + 1e-300)).max()


@pytest.mark.parametrize(
    "m, k, n", [(1, 1, 1), (16, 32, 16), (33, 65, 31), (130, 784, 100), (700, 40, 48), (3, 1100, 65)]
)
def test_dense_is_within_its_bound(m, k, n, precision):
    x, w, bias, dy = normal(m, k), normal(k, n), normal(n), normal(m, n)
    wide = [a.astype(np.float64) for a in (x, w, bias, dy)]
    x64, w64, bias64, dy64 = wide
    xa, wa, biasa, dya = (np.abs(a) for a in wide)
    check(ops.dense(x, w, bias), x64 @ w64 + bias64, xa @ wa + biasa, k + 1)
    dx, dw, dbias = ops.dense_backward(dy, x, w, bias)
    check(dx, dy64 @ w64.T, dya @ wa.T, n)
    check(dw, x64.T @ dy64, xa.T @ dya, m)
    check(dbias, dy64.sum(0), dya.sum(0), m)


def test_convolutions_of_any_geometry_are_within_the_bound(precision):
    for case in random_cases("conv2d", 80, seed=20261123):
        x, w = (normal(*case.shapes[name]) for name in ("x", "w"))
        kwargs = {k: v for k, v in case.kwargs.items() if k != "activation"}
        x64, w64 = x.astype(np.float64), w.astype(np.float64)
        y = ops.conv2d(x, w, **kwargs)
        terms = int(np.prod(w.shape[:3]))
        check(y, reference.conv2d(x64, w64, **kwargs), reference.conv2d(abs(x64), abs(w64), **kwargs), terms)
        dy = normal(*y.shape)
        found = ops.conv2d_backward(dy, x, w, **kwargs)
        dy64 = dy.astype(np.float64)
        exact = reference.conv2d_backward(dy64, x64, w64, **kwargs)
        size = reference.conv2d_backward(abs(dy64), abs(x64), abs(w64), **kwargs)
        check(found[0], exact[0], size[0], w.shape[0] * w.shape[1] * w.shape[3])
        check(found[1], exact[1], size[1], dy[..., 0].size)


@pytest.mark.parametrize(
    "shape, window, stride, padding",
    [
        ((2, 12, 20, 16), (3, 3, 32), 2, ((0, 1), (0, 1))),
        ((3, 9, 8, 12), (3, 3, 20), 2, ((1, 1), (1, 1))),
        ((2, 11, 12, 21), (5, 4, 16), 3, ((2, 1), (0, 3))),
        ((2, 8, 10, 32), (1, 2, 48), 2, ((0, 0), (0, 0))),
        ((2, 10, 7, 8), (2, 5, 40), 2, ((0, 1), (3, 2))),
    ],
)
def test_strides_with_channels_that_share_a_tile(shape, window, stride, padding, precision):
    x, w = normal(*shape), normal(*window[:2], shape[-1], window[2])
    x64, w64 = x.astype(np.float64), w.astype(np.float64)
    kwargs = {"stride": stride, "padding": padding}
    y = ops.conv2d(x, w, **kwargs)
    check(y, reference.conv2d(x64, w64, **kwargs), reference.conv2d(abs(x64), abs(w64), **kwargs), w[..., 0].size)
    dy = normal(*y.shape)
    dy64 = dy.astype(np.float64)
    dx = ops.conv2d_backward(dy, x, w, **kwargs)[0]
    exact = reference.conv2d_backward(dy64, x64, w64, **kwargs)[0]
    check(dx, exact, reference.conv2d_backward(abs(dy64), abs(x64), abs(w64), **kwargs)[0], w[:, :, 0].size)


# Enough positions for many bands, whose grids are split between products: cells of part of a tile, of whole ones and
# padded, groups, one panel of filters and more than follow each other, lines and whole images in a band.
MANY_BANDS = [
    ((12, 22, 20, 16), (3, 3, 16, 16), {"padding": 1}),
    ((12, 22, 20, 40), (3, 3, 40, 30), {"padding": 1}),
    ((12, 22, 20, 64), (1, 1, 64, 300), {}),
    ((12, 22, 20, 256), (1, 1, 256, 70), {}),
    ((40, 11, 9, 64), (3, 3, 64, 170), {"padding": ((0, 2), (2, 1))}),
    ((12, 22, 20, 64), (5, 3, 32, 80), {"padding": "same", "groups": 2}),
    ((6, 44, 41, 32), (3, 3, 32, 48), {"padding": 1, "stride": 2}),
    ((6, 30, 41, 32), (3, 2, 32, 48), {"padding": 2, "dilation": (2, 3)}),
]


# A few bands and several panels of filters: threads keep a small band, and a small filter or a panel of a larger one, from task to
# task; a large band (the second) is split ahead.
FEW_BANDS = [
    ((1, 40, 30, 32), (3, 3, 32, 100), {"padding": 1}),
    ((1, 24, 23, 256), (3, 3, 256, 70), {"padding": 1}),
    ((1, 40, 30, 64), (3, 3, 64, 300), {"padding": 1}),
    ((3, 20, 17, 64), (3, 3, 32, 160), {"groups": 2}),
    ((1, 9, 9, 200), (3, 3, 200, 150), {"padding": "same"}),
    ((2, 60, 31, 16), (1, 1, 16, 700), {}),
]


def check_integers(shape, w_shape, kwargs):
    """Integers, so that sums are exact; the operands of other calls, infinities among them, lie in their memory."""
    x = RNG.integers(-128, 129, shape).astype(np.float32)
    w = RNG.integers(-3, 4, w_shape).astype(np.float32)
    for image in (np.full_like(x, np.inf), x):
        y = ops.conv2d(image, w, **kwargs)
    x64, w64 = x.astype(np.float64), w.astype(np.float64)
    np.testing.assert_array_equal(y, reference.conv2d(x64, w64, **kwargs))
    dy = RNG.integers(-128, 129, y.shape).astype(np.float32)
    for gradient in (np.full_like(dy, np.inf), dy):
        dx = ops.conv2d_backward(gradient, x, w, **kwargs)[0]
    np.testing.assert_array_equal(dx, reference.conv2d_backward(dy.astype(np.float64), x64, w64, **kwargs)[0])


@pytest.mark.parametrize("shape, w_shape, kwargs", MANY_BANDS)
def test_bands_that_are_split_between_products(shape, w_shape, kwargs, precision):
    check_integers(shape, w_shape, kwargs)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("shape, w_shape, kwargs", FEW_BANDS)
def test_what_threads_keep_from_task_to_task(shape, w_shape, kwargs, precision, threads, count):
    threads(count)
    check_integers(shape, w_shape, kwargs)


def test_small_integers_are_exact(precision):
    x = RNG.integers(-256, 257, (40, 96)).astype(np.float32)
    w = RNG.integers(-256, 257, (96, 50)).astype(np.float32)
    np.testing.assert_array_equal(ops.dense(x, w), x.astype(np.float64) @ w)
    np.testing.assert_array_equal(ops.dense(x, 255 * np.eye(96, dtype=np.float32)), 255 * x)


def test_integers_are_exact_in_strict_precision():
    with numerics("strict", "amx"):
        x = RNG.integers(-300, 301, (40, 96)).astype(np.float32)
        w = RNG.integers(-500, 501, (96, 50)).astype(np.float32)
        np.testing.assert_array_equal(ops.dense(x, w), x.astype(np.float64) @ w)
        large = np.float32([[2**24 - 1, 0], [0, 2**23 + 1]])
        np.testing.assert_array_equal(ops.dense(large, np.eye(2, dtype=np.float32)), large)


def test_fast_precision_errs_by_what_is_published():
    x, w, dy = normal(4, 30, 30, 64), normal(3, 3, 64, 64), normal(4, 30, 30, 64)
    wide = [a.astype(np.float64) for a in (dy, x, w)]
    exact = [reference.conv2d(*wide[1:], padding=1), *reference.conv2d_backward(*wide, padding=1)[:2]]
    for a, b in zip([ops.conv2d(x, w, padding=1), *ops.conv2d_backward(dy, x, w, padding=1)[:2]], exact, strict=True):
        assert np.linalg.norm(a - b) <= SPLIT_L2 * np.linalg.norm(b)
        assert np.abs(a - b).max() <= SPLIT_MAX * np.abs(b).max()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, -1e30])
@pytest.mark.parametrize("where", ["x", "w"])
def test_numbers_that_parts_cannot_hold_take_the_direct_kernel(value, where, prefer):
    x, w = normal(2, 9, 8, 20), normal(3, 3, 20, 24)
    {"x": x, "w": w}[where].flat[171] = value
    got = ops.conv2d(x, w, padding=1)
    dy = normal(*got.shape)
    gradients = ops.conv2d_backward(dy, x, w, padding=1)[:2]
    prefer("direct")
    np.testing.assert_array_equal(got, ops.conv2d(x, w, padding=1))
    for a, b in zip(gradients, ops.conv2d_backward(dy, x, w, padding=1)[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_tiny_numbers_lose_at_most_what_the_header_says():
    x, w = np.float32([[1e-40, 2e-38, 1e-30]]), np.eye(3, dtype=np.float32)
    with numerics("strict", "amx"):
        assert np.abs(ops.dense(x, w) - x).max() <= 2.0**-125


@pytest.mark.parametrize("tiny", [0, 1])
def test_parts_of_tiny_numbers_do_not_touch_those_of_their_neighbours(tiny, precision):
    """Depths come in pairs; the third part of every other number is subnormal, with bits in its lower half."""
    x, w = normal(64, 40), normal(40, 48)
    w[tiny::2] *= 2.0**-112
    check(ops.dense(x, w), x.astype(np.float64) @ w, np.abs(x.astype(np.float64)) @ np.abs(w), 40)
    dy = normal(64, 48)
    dy[tiny::2] *= 2.0**-112
    dw = ops.dense_backward(dy, x, w)[1]
    check(dw, x.T @ dy.astype(np.float64), np.abs(x.T) @ np.abs(dy.astype(np.float64)), 64)
    images, filters = x.reshape(1, 8, 8, 40), w.reshape(1, 1, 40, 48)
    np.testing.assert_array_equal(ops.conv2d(images, filters).reshape(64, 48), ops.dense(x, w))
    np.testing.assert_array_equal(ops.conv2d_backward(dy.reshape(1, 8, 8, 48), images, filters)[1][0, 0], dw)


def test_in_strict_precision_a_samples_bits_do_not_depend_on_its_batch(strict):
    for channels in (8, 16, 20, 32, 64):
        x, w = normal(9, 6, 7, channels), normal(3, 3, channels, 24)
        np.testing.assert_array_equal(ops.conv2d(x, w)[4:5], ops.conv2d(x[4:5], w))


def test_strict_precision_is_nearer_to_the_exact_result(prefer):
    x, w = normal(64, 128), normal(128, 96)
    exact = x.astype(np.float64) @ w
    fast = np.linalg.norm(ops.dense(x, w) - exact)
    with numerics("strict", "amx"):
        assert np.linalg.norm(ops.dense(x, w) - exact) < fast / 8


def test_the_bits_depend_neither_on_threads_nor_on_the_batch(threads):
    x, w, dense_w = normal(5, 14, 13, 32), normal(3, 3, 32, 40), normal(300, 64)
    dy, rows = normal(5, 7, 7, 40), normal(150, 300)
    found = []
    for n in (1, 2, 3, 5):
        threads(n)
        found.append(
            [
                ops.conv2d(x, w, stride=2, padding=1),
                *ops.conv2d_backward(dy, x, w, stride=2, padding=1)[:2],
                ops.dense(rows, dense_w),
                *ops.dense_backward(np.ones((150, 64), np.float32), rows, dense_w)[:2],
            ]
        )
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found[0][0][2:3], ops.conv2d(x[2:3], w, stride=2, padding=1))
    np.testing.assert_array_equal(found[0][3][7:8], ops.dense(rows[7:8], dense_w))


# Few and many channels, several bands, chunks and parts of dw, bands in pieces (of 128 channels and more), taps with and without a common remainder.
WEIGHT_SHAPES = [
    ((3, 12, 12, 6), (5, 5, 6, 16), {}),
    ((2, 20, 19, 7), (3, 3, 7, 40), {"padding": 2, "stride": (2, 3)}),
    ((9, 31, 17, 16), (3, 3, 16, 16), {"padding": "same"}),
    ((6, 40, 41, 48), (3, 2, 48, 33), {"padding": 1}),
    ((2, 30, 30, 80), (3, 3, 40, 48), {"groups": 2, "dilation": (2, 1), "padding": 3}),
    ((3, 9, 9, 144), (3, 3, 144, 160), {"stride": 2, "padding": "same"}),
    ((3, 16, 16, 128), (3, 3, 128, 144), {"padding": "same"}),
    ((1, 4, 5, 144), (3, 3, 144, 140), {"padding": 1}),
    ((2, 5, 4, 260), (3, 3, 260, 256), {"padding": "same"}),
    ((5, 16, 13, 136), (1, 1, 136, 128), {}),
    ((4, 16, 16, 64), (1, 1, 64, 96), {}),
    ((5, 17, 17, 24), (1, 1, 24, 32), {"stride": 2}),
    ((1, 2, 1, 32), (3, 3, 32, 32), {"padding": 1}),
    ((2, 5, 40, 12), (1, 4, 3, 16), {"groups": 4, "dilation": (1, 9), "stride": (1, 2)}),
]


def weight_gradients(shape, w_shape, kwargs, draw=normal):
    x, w, bias = draw(*shape), draw(*w_shape), draw(w_shape[-1])
    operands = [draw(*ops.conv2d(x, w, **kwargs).shape), x, w, bias]
    return operands, ops.conv2d_backward(*operands, **kwargs)[1:]


@pytest.mark.parametrize("shape, w_shape, kwargs", WEIGHT_SHAPES)
def test_weight_gradients_of_small_integers_are_exact(shape, w_shape, kwargs, precision):
    def draw(*extents):
        return RNG.integers(-9, 10, extents).astype(np.float32)

    operands, found = weight_gradients(shape, w_shape, kwargs, draw)
    wide = [a.astype(np.float64) for a in operands]
    for a, b in zip(found, reference.conv2d_backward(*wide, **kwargs)[1:], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape, w_shape, kwargs", WEIGHT_SHAPES)
def test_the_bits_of_weight_gradients_do_not_depend_on_threads(shape, w_shape, kwargs, threads):
    operands, first = weight_gradients(shape, w_shape, kwargs)
    for n in (1, 2, 3, 5):
        threads(n)
        again = ops.conv2d_backward(*operands, **kwargs)[1:]
        for a, b in zip(again, first, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [np.inf, np.nan, -1e30])
@pytest.mark.parametrize("where", [0, 1])
def test_weight_gradients_of_other_numbers_are_those_of_direct_sums(value, where, prefer):
    operands = [normal(2, 30, 30, 40), normal(2, 30, 30, 20), normal(3, 3, 20, 40), normal(40)]
    operands[where].flat[-171] = value
    found = ops.conv2d_backward(*operands, padding=1)[1:]
    prefer("direct")
    expected = ops.conv2d_backward(*operands, padding=1)[1:]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_empty_batch_has_zero_weight_gradients():
    dw, dbias = weight_gradients((0, 8, 8, 16), (3, 3, 16, 24), {"padding": 1})[1]
    assert not dw.any()
    assert not dbias.any()


def test_a_forked_child_still_multiplies():
    import multiprocessing

    expected = ops.dense(np.ones((32, 64), np.float32), np.ones((64, 32), np.float32))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        got = pool.apply(ops.dense, (np.ones((32, 64), np.float32), np.ones((64, 32), np.float32)))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("stride, dilation, padding", [(1, 1, 0), (1, 1, 2), (2, 1, 3), (3, 2, 1), (1, (1, 2), 2)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 8])
def test_few_channels_are_within_the_bound(channels, stride, dilation, padding, precision):
    kwargs = {"stride": stride, "dilation": dilation, "padding": padding}
    x, w = normal(3, 21, 37, channels), normal(5, 4, channels, 35)
    wide = [a.astype(np.float64) for a in (x, w)]
    y = ops.conv2d(x, w, **kwargs)
    check(y, reference.conv2d(*wide, **kwargs), reference.conv2d(*map(abs, wide), **kwargs), 20 * channels)
    dy = normal(*y.shape)
    found = ops.conv2d_backward(dy, x, w, **kwargs)
    exact = reference.conv2d_backward(dy.astype(np.float64), *wide, **kwargs)
    size = reference.conv2d_backward(abs(dy.astype(np.float64)), *map(abs, wide), **kwargs)
    for i, terms in enumerate((20 * 35, dy[..., 0].size)):
        check(found[i], exact[i], size[i], terms)


@pytest.mark.parametrize("value", [np.inf, np.nan, 3e38])
@pytest.mark.parametrize("where", ["x", "w", "dy"])
def test_few_channels_leave_what_parts_cannot_hold_to_the_direct_kernel(value, where, prefer):
    x, w, dy = normal(2, 12, 11, 3), normal(3, 3, 3, 24), normal(2, 12, 11, 24)
    {"x": x, "w": w, "dy": dy}[where].flat[71] = value
    got = ops.conv2d(x, w, padding=1), *ops.conv2d_backward(dy, x, w, padding=1)[:2]
    prefer("direct")
    for a, b in zip(got, (ops.conv2d(x, w, padding=1), *ops.conv2d_backward(dy, x, w, padding=1)[:2]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_few_channels_have_the_same_bits_on_any_number_of_threads(threads):
    x, w, dy = normal(5, 33, 30, 3), normal(7, 7, 3, 40), normal(5, 17, 15, 40)
    found = []
    for n in (1, 2, 3, 5):
        threads(n)
        found.append([ops.conv2d(x, w, stride=2, padding=3), *ops.conv2d_backward(dy, x, w, stride=2, padding=3)[:2]])
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found[0][0][2:3], ops.conv2d(x[2:3], w, stride=2, padding=3))
