"""The numeric examples of the five course decks (course_cases.md, N1 to N28) that single operations can show.

Where a slide is wrong (traps T1 to T12 there), the corrected numbers are asserted and the difference named.
The examples that need a model (N11, N15, N16, N19, N21 to N23) are in test_course_models.py; N24 counts a data set.
"""

import itertools

import numpy as np
import pytest

from fastconv import ops as kernels
from fastconv import reference


@pytest.fixture(params=[pytest.param(reference, id="reference"), pytest.param(kernels, id="ops")])
def ops(request):
    """The modules that must give these numbers."""
    return request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def image(rows, dtype):
    """Rows of numbers as one image (1, H, W, 1)."""
    return np.array(rows, dtype)[None, :, :, None]


def kernel(rows, dtype):
    """Rows of numbers as one filter (R, S, 1, 1)."""
    return np.array(rows, dtype)[:, :, None, None]


def plane(x):
    """The only channel of the only image."""
    assert x.shape[0] == x.shape[3] == 1
    return x[0, :, :, 0]


def same(actual, expected):
    np.testing.assert_array_equal(actual, expected)


SMILE = np.zeros((7, 7), int)
for at in ((1, 1), (1, 5), (3, 3), (4, 1), (4, 5), (5, 2), (5, 3), (5, 4)):
    SMILE[at] = 1
DETECTOR = [[0, 0, 1], [1, 0, 0], [0, 1, 1]]
FEATURES = [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 2, 1], [1, 4, 2, 1, 0], [0, 0, 1, 2, 1]]
SLIDE = [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 0, 1, 2, 1], [1, 4, 2, 1, 0], [0, 0, 1, 2, 1]]  # as printed
POOLED = [[1, 1, 0], [4, 2, 1], [0, 2, 1]]


def test_n1_convolution_is_cross_correlation(ops, dtype):
    y = plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype)))
    same(y, FEATURES)


def test_n1_the_slide_differs_in_its_centre_only(ops, dtype):
    """T1: the slide prints 1 in the centre, where the sum is 0; no binary filter gives the printed map."""
    y = plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype)))
    assert np.argwhere(y != SLIDE).tolist() == [[2, 2]]
    assert (y[2, 2], SLIDE[2][2]) == (0, 1)
    every = np.array(list(itertools.product((0, 1), repeat=9)), dtype).T.reshape(3, 3, 1, 512)
    maps = ops.conv2d(image(SMILE, dtype), every)[0]
    assert not np.any(np.all(maps == np.array(SLIDE)[:, :, None], axis=(0, 1)))


def test_n1b_true_convolution_flips_the_filter(ops, dtype):
    y = plane(ops.conv2d(image(SMILE, dtype), np.ascontiguousarray(kernel(DETECTOR, dtype)[::-1, ::-1])))
    same(y, [[0, 0, 0, 1, 0], [1, 1, 0, 1, 1], [0, 2, 0, 0, 0], [0, 0, 2, 3, 1], [2, 2, 1, 0, 1]])


def test_n1c_stride_two(ops, dtype):
    y = plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype), stride=2))
    same(y, [[0, 0, 0], [1, 0, 1], [0, 1, 1]])
    same(y, np.array(FEATURES)[::2, ::2])


@pytest.mark.parametrize("padding", [1, "same", "same_lower", ((1, 1), (1, 1))])
def test_n1d_zero_padding(ops, dtype, padding):
    y = plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype), padding=padding))
    expected = """1 1 0 0 1 1 0  0 0 1 0 0 0 1  1 0 1 1 1 0 0  1 1 0 0 2 1 0
                  0 1 4 2 1 0 1  1 0 0 1 2 1 0  0 1 1 1 0 0 0"""
    same(y, np.array(expected.split(), int).reshape(7, 7))


def test_n1e_dilation_two(ops, dtype):
    y = plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype), dilation=2))
    same(y, [[0, 1, 0], [2, 2, 1], [0, 1, 0]])


def test_n1f_gradients_of_the_sum(ops, dtype):
    x, w = image(SMILE, dtype), kernel(DETECTOR, dtype)
    dx, dw, none = ops.conv2d_backward(np.ones((1, 5, 5, 1), dtype), x, w)
    assert none is None
    same(plane(dw.transpose(2, 0, 1, 3)), [[3, 5, 3], [6, 8, 6], [5, 6, 5]])
    expected = """0 0 1 1 1 1 1  1 1 2 2 2 1 1  1 2 4 4 4 3 2  1 2 4 4 4 3 2
                  1 2 4 4 4 3 2  1 2 3 3 3 2 1  0 1 2 2 2 2 1"""
    same(plane(dx), np.array(expected.split(), int).reshape(7, 7))


def test_n2_relu_leaves_the_map(ops, dtype):
    same(plane(ops.relu(image(FEATURES, dtype))), FEATURES)
    same(plane(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype), activation="relu")), FEATURES)


@pytest.mark.parametrize("features", [FEATURES, SLIDE])
@pytest.mark.parametrize("keywords", [{"ceil_mode": True}, {"padding": "same"}])
def test_n3_max_pooling(ops, dtype, features, keywords):
    """T2, T3: three by three needs ceil mode or "same"; the slide's wrong centre does not matter."""
    same(plane(ops.max_pool2d(image(features, dtype), 2, **keywords)), POOLED)


@pytest.mark.parametrize("keywords", [{"padding": "same_lower"}, {"padding": 1}])
def test_n3_other_paddings_give_another_map(ops, dtype, keywords):
    same(plane(ops.max_pool2d(image(SLIDE, dtype), 2, **keywords)), [[0, 1, 0], [1, 1, 2], [1, 4, 2]])


def test_n3_floor_mode_drops_the_last_row_and_column(ops, dtype):
    same(plane(ops.max_pool2d(image(FEATURES, dtype), 2)), [[1, 1], [4, 2]])


def test_n4_the_chain_from_image_to_vector(ops, dtype):
    y = ops.relu(ops.conv2d(image(SMILE, dtype), kernel(DETECTOR, dtype)))
    same(ops.flatten(ops.max_pool2d(y, 2, ceil_mode=True)), [[1, 1, 0, 4, 2, 1, 0, 2, 1]])


def test_n5_other_poolings(ops, dtype):
    x = image(SLIDE, dtype)
    same(plane(ops.avg_pool2d(x, ceil_mode=True)), [[0.5, 0.5, 0], [1.5, 1.5, 0.5], [0, 1.5, 1]])
    same(
        plane(ops.avg_pool2d(x, ceil_mode=True, count_include_pad=True)),
        [[0.5, 0.5, 0], [1.5, 1.5, 0.5], [0, 1.5, 1]],
    )
    same(plane(ops.sum_pool2d(x, ceil_mode=True)), [[2, 2, 0], [6, 6, 1], [0, 3, 1]])
    same(plane(ops.min_pool2d(x, ceil_mode=True)), [[0, 0, 0], [0, 1, 0], [0, 1, 1]])


def test_n6_ties_go_to_the_first(ops, dtype):
    """T4: five of the nine windows hold their maximum more than once."""
    (dx,) = ops.max_pool2d_backward(np.ones((1, 3, 3, 1), dtype), image(SLIDE, dtype), 2, ceil_mode=True)
    same(plane(dx), [[0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1], [0, 1, 0, 0, 0], [1, 0, 0, 1, 1]])


ROWS = "000000000 011100110 011010110 010011100 000000110 011000010 010011100 011100110 000000000"
FACE = [[int(c) for c in row] for row in ROWS.split()]
ONES_MAP = "4542344 5654665 3333665 3322454 3322454 5643454 3433443"
RING_MAP = "3432333 4553654 2332555 3322443 2222453 4642344 2323432"


def digits(text):
    return [[int(c) for c in row] for row in text.split()]


def test_n7_n8_n9_two_filters_make_two_maps(ops, dtype):
    ring = np.ones((3, 3), dtype)
    ring[1, 1] = 0  # the slide shows it as a picture; it is the only filter that gives the printed map
    w = np.stack([np.ones((3, 3), dtype), ring], axis=-1)[:, :, None]
    y = ops.conv2d(image(FACE, dtype), w)
    assert y.shape == (1, 7, 7, 2)
    same(y[0, :, :, 0], digits(ONES_MAP))
    same(y[0, :, :, 1], digits(RING_MAP))


def test_n10_pooling_of_four_by_four(ops, dtype):
    x = image([[0.1, 0.2, 0.5, 0.9], [0.1, 0.3, 0.8, 0.9], [0, 0, 0.4, 0.4], [0, 0, 0, 0.1]], dtype)
    same(plane(ops.max_pool2d(x)), np.array([[0.3, 0.9], [0, 0.4]], dtype))
    same(plane(ops.min_pool2d(x)), np.array([[0.1, 0.5], [0, 0]], dtype))
    np.testing.assert_allclose(plane(ops.avg_pool2d(x)), [[0.175, 0.775], [0, 0.225]], rtol=1e-6)
    np.testing.assert_allclose(plane(ops.sum_pool2d(x)), [[0.7, 3.1], [0, 0.9]], rtol=1e-6)
    (dx,) = ops.max_pool2d_backward(np.ones((1, 2, 2, 1), dtype), x)
    same(plane(dx), [[0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_n11_the_rule_of_the_example_on_one_weight(ops):
    """w = 0.5, η = 0.1, cost (xw − y)²: the derivative is 2x(xw − y) (T5: twice that of the halved cost)."""
    w = np.array([[0.5]])
    losses = []
    for x, y in ((2.0, 4.0), (1.0, 2.0), (3.0, 6.0)):
        x, y = np.array([[x]]), np.array([[y]])
        prediction = ops.dense(x, w)
        losses.append(ops.mean_squared_error(y, prediction).item())
        _, dp = ops.mean_squared_error_backward(np.ones(1), y, prediction)
        w = w - 0.1 * ops.dense_backward(dp, x, w)[1]
    np.testing.assert_allclose(losses, [9.0, 0.09, 0.5184], rtol=1e-12)
    assert w.item() == pytest.approx(2.192, abs=1e-14)


def test_n12_two_equations_in_two_unknowns(ops, dtype):
    """5 = 2a + b and 9 = 4a + b: a = 2, b = 1."""
    same(ops.dense(np.array([[2], [4]], dtype), np.array([[2]], dtype), np.array([1], dtype)), [[5], [9]])


def test_n13_trials(ops, dtype):
    trials = np.array([(1, 1), (4, 3), (2, 2), (3, 2), (2, 3), (2, 4)], dtype)
    values = ops.dense(trials, np.array([[3], [1]], dtype))[:, 0]
    same(values, [4, 15, 8, 11, 9, 10])
    same(ops.subtract(np.array(10, dtype), values), [6, -5, 2, -1, 1, 0])


def test_n14_centred_and_scaled(ops):
    """T7: with the population's standard deviation, as batch normalisation has it."""
    table = np.array([[28, 40000, 5], [47, 60000, 20], [35, 55000, 10]], np.float64)
    y, *_ = ops.batch_norm(table, np.ones(3), *np.zeros((3, 3)), training=True, epsilon=1e-12)
    np.testing.assert_allclose(y, [[-1.10, -1.37, -1.07], [1.32, 0.98, 1.34], [-0.21, 0.39, -0.27]], atol=0.005)


@pytest.mark.parametrize("extents,count", [((256, 256, 3), 196_608), ((200, 200, 3), 120_000)])
def test_n17_n18_inputs_of_one_neuron(ops, extents, count):
    flat = ops.flatten(np.zeros((1, *extents), np.float32))
    assert flat.shape == (1, count)
    assert ops.dense(flat, np.zeros((count, 1), np.float32)).shape == (1, 1)


@pytest.mark.parametrize("h,w,d,fh,fw", [(7, 7, 1, 3, 3), (9, 9, 1, 3, 3), (5, 8, 3, 2, 4), (6, 4, 2, 6, 4)])
def test_n20_output_extent(ops, dtype, h, w, d, fh, fw):
    y = ops.conv2d(np.zeros((1, h, w, d), dtype), np.zeros((fh, fw, d, 1), dtype))
    assert y.shape == (1, h - fh + 1, w - fw + 1, 1)


EXAM = np.array([0.93, 0.68, 0.95, 0.75, 0.51, 0.60, 0.89, 0.97])
QUIZ = np.array([0.78, 0.24, 1.00, 0.67, 0.58, 0.78, 0.82, 0.91])


def test_n25_cost_of_predicting_the_mean(ops):
    """C = Σ ½(ŷ − y)² over eight rows (T5: half of the sum of squares)."""
    prediction = np.full((8, 1), EXAM.mean())
    assert EXAM.mean() == pytest.approx(0.785)
    cost = 0.5 * ops.mean_squared_error(EXAM[:, None], prediction).sum()
    assert cost == pytest.approx(0.1078, abs=5e-5)
    _, slope = ops.mean_squared_error_backward(np.full(8, 0.5), EXAM[:, None], prediction)
    np.testing.assert_allclose(slope, prediction - EXAM[:, None], atol=1e-15)  # ŷ − y


def test_n25_cost_of_predicting_the_quiz(ops):
    assert 0.5 * ops.mean_squared_error(EXAM[:, None], QUIZ[:, None]).sum() == pytest.approx(0.1354, abs=5e-5)


SMOOTH = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
GAUSSIAN = [[0, 1, 0], [1, 4, 1], [0, 1, 0]]
SHARPEN = [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
INTENSIFIED = [[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]]


@pytest.mark.parametrize("rows,total", [(SMOOTH, 9), (GAUSSIAN, 8), (SHARPEN, 1), (INTENSIFIED, 1)])
def test_n26_filters_on_a_constant_image(ops, dtype, rows, total):
    w = kernel(rows, dtype)
    assert w.sum() == total
    y = plane(ops.conv2d(np.full((1, 6, 6, 1), 3, dtype), w))
    same(y, np.full((4, 4), 3 * total))


def test_n27_ten_sigmoids_scale_a_gradient_by_at_most_a_quarter_each(ops):
    x, gradient = np.zeros(1), np.ones(1)
    assert ops.sigmoid_backward(np.ones(1), x)[0].item() == 0.25
    slopes = ops.sigmoid_backward(np.ones(2001), np.linspace(-10, 10, 2001))[0]
    assert slopes.max() == 0.25
    for _ in range(10):
        (gradient,) = ops.sigmoid_backward(gradient, x)
        x = ops.sigmoid(x)
    assert 0 < gradient.item() <= 9.54e-7


def _linspace(low, high, shape):
    """cs231n's arrays are channels-first."""
    return np.linspace(low, high, num=np.prod(shape)).reshape(shape)


def test_n28_known_answers_of_cs231n(ops):
    x = _linspace(-0.1, 0.5, (2, 3, 4, 4)).transpose(0, 2, 3, 1)
    w = _linspace(-0.2, 0.3, (3, 3, 4, 4)).transpose(2, 3, 1, 0)
    y = ops.conv2d(x, w, np.linspace(-0.1, 0.2, num=3), stride=2, padding=1)
    assert y.shape == (2, 2, 2, 3)
    np.testing.assert_allclose([y[0, 0, 0, 0], y[-1, -1, -1, -1]], [-0.08759809, 2.38247847], rtol=1e-7)
    pooled = ops.max_pool2d(_linspace(-0.3, 0.4, (2, 3, 4, 4)).transpose(0, 2, 3, 1), 2)
    np.testing.assert_allclose([pooled[0, 0, 0, 0], pooled[-1, -1, -1, -1]], [-0.26315789, 0.4], rtol=1e-7)
