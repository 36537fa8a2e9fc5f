"""What the reference promises beyond formulas: NaN, ties, empty batches, layouts, dtypes, no side effects."""

import numpy as np
import pytest

from fastconv import reference as ref
from fastconv.reference.dropout import philox
from fastconv.testing.cases import case_id, cases
from fastconv.testing.compare import assert_bounded, assert_exact, backward, cotangent, forward, random_inputs

NAN, INF = np.nan, np.inf
_ONE_PER_OP = [next(c for c in cases(op) if "empty" not in c.name) for op in sorted({c.op for c in cases()})]


def _arrays(inputs):
    return [a for v in inputs.values() for a in (v if isinstance(v, list) else [v])]


def _results(result):
    return [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", _ONE_PER_OP, ids=case_id)
def test_results_are_fresh_native_arrays_of_the_input_dtype(case, dtype):
    inputs = random_inputs(case, np.random.default_rng(0), dtype)
    kept = [a.copy() for a in _arrays(inputs)]
    for a in _arrays(inputs):
        a.flags.writeable = False
    y = forward(ref, case, inputs)
    gradients = backward(ref, case, cotangent(y, np.random.default_rng(1)), inputs)
    y_dtype = case.kwargs.get("dtype", dtype)  # of a cast
    for result, kind in [*((r, y_dtype) for r in _results(y)), *((r, dtype) for r in _results(gradients))]:
        assert type(result) is np.ndarray
        assert result.dtype == kind and result.dtype.isnative and result.flags.c_contiguous
        assert not any(np.shares_memory(result, a) for a in _arrays(inputs))
    for a, before in zip(_arrays(inputs), kept, strict=True):
        np.testing.assert_array_equal(a, before)


def _swapped(a):
    return a.astype(a.dtype.newbyteorder())


def _misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def _reversed(a):
    return np.ascontiguousarray(a[..., ::-1])[..., ::-1] if a.ndim else a


def _strided(a):
    return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a


@pytest.mark.parametrize("layout", [_swapped, _misaligned, _reversed, _strided, np.asfortranarray])
@pytest.mark.parametrize("case", _ONE_PER_OP, ids=case_id)
def test_any_layout_gives_the_same_numbers(case, layout):
    inputs = random_inputs(case, np.random.default_rng(0), np.float32)
    other = {k: [layout(a) for a in v] if isinstance(v, list) else layout(v) for k, v in inputs.items()}
    y, y2 = forward(ref, case, inputs), forward(ref, case, other)
    dy = cotangent(y, np.random.default_rng(1))
    pairs = zip(
        _results(y) + _results(backward(ref, case, dy, inputs)),
        _results(y2) + _results(backward(ref, case, layout(dy), other)),
        strict=True,
    )
    for a, b in pairs:
        assert_exact(b, a)


@pytest.mark.parametrize(
    "case", [c for c in cases() if "empty" in c.name or c.shapes.get("y_pred", (1,))[0] == 0], ids=case_id
)
def test_empty_batch(case):
    inputs = random_inputs(case, np.random.default_rng(0), np.float32)
    y = forward(ref, case, inputs)
    gradients = backward(ref, case, cotangent(y, np.random.default_rng(1)), inputs)
    for array, gradient in zip(_arrays(inputs), gradients, strict=False):
        if gradient is not None:
            assert gradient.shape == array.shape
            np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("case", _ONE_PER_OP, ids=case_id)
def test_no_floating_point_exception_leaks(case):
    inputs = random_inputs(case, np.random.default_rng(0), np.float32)
    for a in _arrays(inputs):
        if a.dtype == np.float32 and "y_true" not in inputs:
            a.reshape(-1)[:1] = NAN
            a.reshape(-1)[1:2] = INF
            a.reshape(-1)[2:3] = np.finfo(np.float32).max
    with np.errstate(all="raise"):
        y = forward(ref, case, inputs)
        backward(ref, case, cotangent(y, np.random.default_rng(1)), inputs)


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "hard_sigmoid",
        "hard_swish",
        "sigmoid",
        "tanh",
    ],
)
def test_activations_keep_nan(name):
    for n in (1, 7, 33):
        x = np.ones(n, np.float32)
        x[n // 2] = NAN
        np.testing.assert_array_equal(np.isnan(getattr(ref, name)(x)), np.isnan(x))


def test_relu_keeps_the_sign_of_zero():
    assert np.signbit(ref.relu(np.array([-0.0])))[0]
    np.testing.assert_array_equal(ref.relu_backward(np.ones(3), np.array([-1.0, 0.0, 1.0]))[0], [0, 0, 1])


def test_saturation():
    x = np.array([-1e4, -100.0, 0.0, 100.0, 1e4], np.float32)
    np.testing.assert_array_equal(ref.sigmoid(x)[[0, 2, 4]], [0, 0.5, 1])
    np.testing.assert_array_equal(ref.softplus(x)[[0, 4]], [0, 1e4])
    np.testing.assert_array_equal(ref.softmax(x), [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(ref.log_softmax(x), [-2e4, -10100, -1e4, -9900, 0])


def test_softmax_rows_that_have_no_answer():
    rows = np.array([[-INF, -INF], [INF, 0.0], [-INF, 0.0]])
    np.testing.assert_array_equal(ref.softmax(rows), [[NAN, NAN], [NAN, NAN], [0, 1]])


def test_threshold_compares_in_the_dtype_of_x():
    x = np.array([0.1], np.float32)
    assert ref.threshold(x, 0.1) == 0  # 0.1 in float32 is above 0.1 in float64
    assert ref.threshold(np.array([0.0, 1e-30, -1.0])).tolist() == [0, 1, 0]


def _pool(op, rows, **kwargs):
    x = np.array(rows, np.float32)[None, :, :, None]
    y = getattr(ref, op)(x, **kwargs)
    (dx,) = getattr(ref, f"{op}_backward")(np.ones_like(y), x, **kwargs)
    return y[0, :, :, 0].tolist(), dx[0, :, :, 0].tolist()


def test_pooling_ties_go_to_the_first_cell():
    assert _pool("max_pool2d", [[1, 2], [2, 2]]) == ([[2]], [[0, 1], [0, 0]])
    assert _pool("min_pool2d", [[1, 1], [1, 0]]) == ([[0]], [[0, 0], [0, 1]])
    assert _pool("max_pool2d", [[-INF, -INF], [-INF, -INF]]) == ([[-INF]], [[1, 0], [0, 0]])


@pytest.mark.parametrize("op", ["max_pool2d", "min_pool2d"])
def test_nan_wins_a_window_and_the_first_nan_gets_the_gradient(op):
    y, dx = _pool(op, [[1, NAN], [NAN, INF]])
    assert np.isnan(y[0][0])
    assert dx == [[0, 1], [0, 0]]


def test_pads_never_win():
    y, dx = _pool("max_pool2d", [[-INF, -5], [-5, -5]], padding=1, stride=1)
    assert y[0] == [-INF, -5, -5]
    assert sum(map(sum, dx)) == 9


def test_global_pooling():
    x = np.array([[[[1.0, NAN], [3.0, 2.0]], [[3.0, NAN], [0.0, 1.0]]]])
    y, (dx,) = ref.global_max_pool2d(x), ref.global_max_pool2d_backward(np.array([[5.0, 7.0]]), x)
    np.testing.assert_array_equal(y, [[3, NAN]])
    np.testing.assert_array_equal(dx, [[[[0, 7], [5, 0]], [[0, 0], [0, 0]]]])


def test_average_counts_cells():
    ones = np.ones((1, 5, 5, 1))
    keywords = {"pool_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}
    np.testing.assert_array_equal(ref.avg_pool2d(ones, **keywords), np.ones((1, 2, 2, 1)))
    included = ref.avg_pool2d(ones, **keywords, count_include_pad=True)[0, :, :, 0]
    np.testing.assert_allclose(included, [[4 / 9, 6 / 9], [6 / 9, 1.0]])


def test_convolution_skips_pads_instead_of_multiplying_zeros():
    x, w = np.ones((1, 1, 1, 1)), np.full((3, 3, 1, 1), INF)
    w[1, 1] = 2.0
    assert ref.conv2d(x, w, padding=1).item() == 2.0


def test_convolution_is_a_dense_layer_on_tiles():
    rng = np.random.default_rng(0)
    x, w = rng.integers(-4, 5, (2, 6, 7, 3)).astype(float), rng.integers(-4, 5, (3, 2, 3, 5)).astype(float)
    tiles = np.lib.stride_tricks.sliding_window_view(x, (3, 2), axis=(1, 2))  # (N, P, Q, C, R, S)
    tiles = tiles.transpose(0, 1, 2, 4, 5, 3).reshape(2, 4, 6, -1)
    np.testing.assert_array_equal(ref.conv2d(x, w), ref.dense(tiles, w.reshape(-1, 5)))


@pytest.mark.parametrize("n", range(1, 12))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_same_padding_is_tensorflows(n, stride, window):
    """ceil(n / stride) outputs; the extra cell at the end, or at the start for "same_lower"."""
    x, w = np.arange(1.0, n + 1).reshape(1, n, 1, 1), np.arange(1.0, window + 1).reshape(window, 1, 1, 1)
    outputs = -(-n // stride)
    total = max((outputs - 1) * stride + window - n, 0)
    small, large = total // 2, total - total // 2
    for name, pads in (("same", (small, large)), ("same_lower", (large, small))):
        y = ref.conv2d(x, w, stride=(stride, 1), padding=name)
        assert y.shape == (1, outputs, 1, 1)
        np.testing.assert_array_equal(y, ref.conv2d(x, w, stride=(stride, 1), padding=(pads, (0, 0))))


def test_same_transpose_multiplies_the_extent():
    for window, stride in ((1, 3), (2, 2), (3, 2), (4, 3)):
        y = ref.conv2d_transpose(np.ones((1, 5, 4, 2)), np.ones((window, window, 3, 2)), stride=stride, padding="same")
        assert y.shape == (1, 5 * stride, 4 * stride, 3)


def test_philox_known_answers():
    """Random123's kat_vectors: key 0, counter 0; and word i does not depend on how many are drawn."""
    assert [hex(v) for v in philox(4, 0).tolist()] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    for n in (0, 1, 5, 11):
        np.testing.assert_array_equal(philox(n, 2**64 - 3), philox(12, 2**64 - 3)[:n])


def test_dropout():
    x = np.ones((100, 100), np.float32)
    y = ref.dropout(x, 0.25, seed=5)
    assert abs(y.mean() - 1) < 0.02
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    halves = philox(5_000, 5).astype("<u4").view("<u2").reshape(x.shape)
    np.testing.assert_array_equal(y > 0, halves >= 2**14)
    np.testing.assert_array_equal(ref.dropout_backward(x, x, 0.25, seed=5)[0], y)
    assert not np.array_equal(y, ref.dropout(x, 0.25, seed=6))
    np.testing.assert_array_equal(ref.dropout(x, 0.0, seed=5), x)
    np.testing.assert_array_equal(ref.dropout(x, 1.0, seed=5), 0)


def test_crossentropies_of_certain_answers():
    """Clipped as Keras clips in the dtype of the predictions; with logits nothing is clipped."""
    one = np.ones((1, 1), np.float32)
    assert ref.binary_crossentropy(one, one)[0] == pytest.approx(1.192093e-07, rel=1e-5)
    assert ref.binary_crossentropy(one * 0, one)[0] == pytest.approx(15.942385, rel=1e-6)
    assert ref.binary_crossentropy(np.zeros((1, 1)), np.ones((1, 1)))[0] == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert ref.binary_crossentropy(one * 0, one * 100, from_logits=True)[0] == 100
    labels, p = np.array([[0.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    assert ref.categorical_crossentropy(labels, p)[0] == pytest.approx(-np.log(1e-7))


def test_losses_of_keras_documentation():
    t, p = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.6, 0.4], [0.4, 0.6]])
    np.testing.assert_allclose(ref.hinge(t, p), [1.1, 1.5])
    np.testing.assert_allclose(ref.binary_crossentropy(t, p), [0.916291, 0.713558], rtol=1e-6)
    t, p = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
    np.testing.assert_allclose(ref.categorical_crossentropy(t, p), [0.05129329, 2.30258509], rtol=1e-6)
    np.testing.assert_allclose(
        ref.sparse_categorical_crossentropy(np.array([1, 2]), p), [0.05129329, 2.30258509], rtol=1e-6
    )


def test_one_optimizer_step_by_hand():
    w, g = np.array([1.0]), np.array([0.5])
    zero = np.zeros(1)
    assert ref.sgd_step(w, g, zero, learning_rate=0.1)[0] == 0.95
    assert ref.sgd_step(w, g, zero, learning_rate=0.1, weight_decay=0.5)[0] == pytest.approx(0.9)
    assert ref.adam_step(w, g, zero, zero, step=1)[0] == pytest.approx(1 - 0.001, abs=1e-8)
    assert ref.adagrad_step(w, g, np.array([0.1]))[0] == pytest.approx(1 - 0.001 * 0.5 / np.sqrt(0.35))
    assert ref.rmsprop_step(w, g, zero, zero, zero)[0] == pytest.approx(1 - 0.001 / np.sqrt(0.1), rel=1e-6)


def test_comparisons_notice():
    x = np.ones(3, np.float32)
    assert_exact(x, x)
    assert_bounded(np.array([1, NAN, INF]), np.array([1 + 1e-9, NAN, INF]), 1e-8)
    with pytest.raises(AssertionError, match="1 of 3"):
        assert_exact(np.array([1, 1, 2], np.float32), x)
    with pytest.raises(AssertionError, match="float64"):
        assert_exact(x, x.astype(float))
    with pytest.raises(AssertionError, match="off by"):
        assert_bounded(x, x * np.float32(1.1), 1e-3)
    with pytest.raises(AssertionError):
        assert_bounded(np.array([NAN]), np.array([1.0]), 1.0)


def test_subnormal_numbers_are_one_step_apart():
    step = np.finfo(np.float32).smallest_subnormal
    found, wanted = np.array([0, step, 1], np.float32), np.array([step, 0, 1], np.float32)
    assert_bounded(found, wanted, 1e-50)
    for far, bound in ((2 * step * np.ones(3, np.float32), 1e-50), (wanted, 0.0)):
        with pytest.raises(AssertionError, match="off by"):
            assert_bounded(found, far, bound)
