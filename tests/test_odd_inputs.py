"""Arrays that look odd and are right: bad_inputs.md B to F, on the reference and on every instruction set."""

import numpy as np
import pytest

from fastconv import reference


def f32(*shape):
    return np.zeros(shape, np.float32)


X, W, B = f32(2, 8, 8, 3), f32(3, 3, 3, 4), f32(4)
DEPTHWISE, TRANSPOSED = f32(3, 3, 1, 6), f32(3, 3, 4, 3)


def test_empty_batches(lib):
    """B7, C15, D, E3: an empty batch means something; nothing else may be empty."""
    x = f32(0, 8, 8, 3)
    assert lib.conv2d(x, W).shape == (0, 6, 6, 4)
    assert lib.conv2d(x, DEPTHWISE, groups=3).shape == (0, 6, 6, 6)
    assert lib.conv2d_transpose(x, TRANSPOSED, B).shape == (0, 10, 10, 4)
    dx, dw, dbias = lib.conv2d_backward(f32(0, 6, 6, 4), x, W, B)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(W))
    np.testing.assert_array_equal(dbias, np.zeros_like(B))
    dx, dw, dbias = lib.conv2d_transpose_backward(f32(0, 10, 10, 4), x, TRANSPOSED, B)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros_like(TRANSPOSED))
    np.testing.assert_array_equal(dbias, np.zeros_like(B))
    for op in ("max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d"):
        assert getattr(lib, op)(x).shape == (0, 4, 4, 3)
        assert getattr(lib, f"{op}_backward")(f32(0, 4, 4, 3), x)[0].shape == x.shape
    assert lib.global_max_pool2d(x).shape == lib.global_avg_pool2d(x).shape == (0, 3)
    assert lib.dense(f32(0, 4), f32(4, 3)).shape == (0, 3)
    dx, dw, dbias = lib.dense_backward(f32(0, 3), f32(0, 4), f32(4, 3), f32(3))
    assert dx.shape == (0, 4)
    np.testing.assert_array_equal(dw, np.zeros((4, 3)))
    np.testing.assert_array_equal(dbias, np.zeros(3))
    for op in ("relu", "gelu", "softmax", "log_softmax", "sigmoid"):
        assert getattr(lib, op)(f32(0, 3)).shape == (0, 3)
    assert lib.categorical_crossentropy(f32(0, 3), f32(0, 3)).shape == (0,)
    assert lib.sparse_categorical_crossentropy(np.zeros(0, int), f32(0, 3)).shape == (0,)
    assert lib.flatten(x).shape == (0, 192)
    assert lib.dropout(x, 0.5, seed=1).shape == x.shape
    assert lib.batch_norm(x, *[np.ones(3, np.float32)] * 4).shape == x.shape


def test_labels_of_shape_n_1_are_squeezed(lib):
    p = np.full((4, 10), 0.1, np.float32)
    y = np.array([0, 3, 9, 1], np.uint8)
    np.testing.assert_array_equal(
        lib.sparse_categorical_crossentropy(y[:, None], p), lib.sparse_categorical_crossentropy(y, p)
    )


@pytest.mark.parametrize("n", [1, 3, 4, 7, 8, 9, 15, 16, 17, 33])
def test_nan_is_kept_wherever_it_stands(lib, n):
    """F3: in the SIMD body, in the tail, alone."""
    names = ["relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "hard_sigmoid", "hard_swish", "sigmoid"]
    for op in (*names, "tanh", "softplus", "threshold"):
        for at in {0, n // 2, n - 1}:
            x = np.linspace(-3, 3, n).astype(np.float32)
            x[at] = np.nan
            y = getattr(lib, op)(x)
            assert np.isnan(y[at]), (op, at)
            assert np.isnan(y).sum() == 1, (op, at)


def test_signed_zero_of_relu(lib):
    """F5: relu keeps -0.0 (``x < 0 ? 0 : x``), everywhere alike."""
    for n in (1, 17, 64):
        assert np.signbit(lib.relu(np.full(n, -0.0, np.float32))).all()


def test_softmax_of_extreme_rows(lib):
    """F7: nothing overflows; only a row without a finite maximum is NaN."""
    rows = np.float32(
        [[1e4, -1e4, 0], [-np.inf] * 3, [np.inf, 0, 0], [-1e4, -1e4, -1e4], [np.nan, 0, 0], [-np.inf, 0, 0]]
    )
    with np.errstate(all="raise"):
        y, z = lib.softmax(rows), lib.log_softmax(rows)
    np.testing.assert_array_equal(y[0], [1, 0, 0])
    np.testing.assert_array_equal(z[0], [0, -2e4, -1e4])
    assert np.isnan(y[1]).all()
    assert np.isnan(z[1]).all()
    np.testing.assert_array_equal(np.isnan(y[2]), np.isnan(reference.softmax(rows)[2]))
    np.testing.assert_allclose(y[3], [1 / 3] * 3, rtol=1e-6)
    assert np.isnan(y[4]).all()
    np.testing.assert_allclose(y[5], [0, 0.5, 0.5], rtol=1e-6)


def test_pooling_of_nan_and_infinities(lib):
    """D25, D27: NaN wins, and its gradient goes to the first; a window of -inf gives -inf to its first cell."""
    x = np.full((1, 2, 2, 17), np.nan, np.float32)
    assert np.isnan(lib.max_pool2d(x)).all()
    assert np.isnan(lib.min_pool2d(x)).all()
    dy = np.ones((1, 1, 1, 17), np.float32)
    (dx,) = lib.max_pool2d_backward(dy, x)
    np.testing.assert_array_equal(dx[0, 0, 0], np.ones(17))
    assert dx.sum() == 17
    x[...] = -np.inf
    assert np.isneginf(lib.max_pool2d(x)).all()
    (dx,) = lib.max_pool2d_backward(dy, x)
    np.testing.assert_array_equal(dx[0, 0, 0], np.ones(17))
    one = np.arange(6, dtype=np.float32).reshape(2, 1, 1, 3)
    np.testing.assert_array_equal(lib.global_max_pool2d(one), one.reshape(2, 3))
    np.testing.assert_array_equal(lib.global_avg_pool2d(one), one.reshape(2, 3))


def test_square_weights_are_not_transposed(lib):
    """E11."""
    x, w = np.float32([[1, 2]]), np.float32([[1, 10], [100, 1000]])
    np.testing.assert_array_equal(lib.dense(x, w), [[201, 2010]])


def test_nan_and_inf_travel_through_convolutions(lib):
    """P8: NaN exactly where the formula has one; 0 * inf is one, and padding multiplies nothing."""
    x = np.ones((1, 5, 5, 2), np.float32)
    x[0, 0, 0, 1] = np.nan
    y = lib.conv2d(x, np.ones((3, 3, 2, 3), np.float32), padding=1)
    assert np.isnan(y[0, :2, :2]).all()
    assert np.isfinite(y[0, 2:]).all()
    assert np.isfinite(y[0, :, 2:]).all()
    w = np.full((3, 3, 2, 3), np.inf, np.float32)
    x[0, 0, 0, 1] = 1
    assert np.isposinf(lib.conv2d(x, w, padding=1)).all()
    assert np.isnan(lib.dense(np.float32([[0, 1]]), np.float32([[np.inf], [1]]))).all()
