"""Arrays that must be refused: bad_inputs.md B, C, D, E and F, on the reference and on every instruction set."""

import warnings

import numpy as np
import pytest

from fastconv import layers, models, ops
from fastconv.errors import DeviceError
from fastconv.testing.refusal import assert_refused


def f32(*shape):
    return np.zeros(shape, np.float32)


X, W, B = f32(2, 8, 8, 3), f32(3, 3, 3, 4), f32(4)
DEPTHWISE, TRANSPOSED = f32(3, 3, 1, 6), f32(3, 3, 4, 3)


class OnGpu:
    """What a CuPy array looks like."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": (2,), "typestr": "<f4", "data": (16, False), "version": 3}


class Lying:
    """An object whose array interface is nonsense."""

    @property
    def __array_interface__(self):
        return {"shape": "many", "typestr": "<f4", "version": 3}


# What no argument of an op may be: (id, value, error, words after the argument's name).
with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX = np.matrix([[1.0]], dtype=np.float32)
KINDS = [
    ("None", lambda a: None, "NoneType|None"),
    ("str", lambda a: "x", "str"),
    ("int", lambda a: 3, "int"),
    ("float", lambda a: 0.5, "float"),
    ("bool", lambda a: False, "bool"),
    ("object", lambda a: object(), "object"),
    ("list", lambda a: a.tolist(), "list"),
    ("dict", lambda a: {}, "dict"),
    ("numpy scalar", lambda a: np.float32(1), "float32"),
    ("matrix", lambda a: MATRIX, "matrix"),
    ("masked array", np.ma.masked_array, "MaskedArray"),
    ("float16", lambda a: a.astype(np.float16), "dtype.*float16"),
    ("longdouble", lambda a: a.astype(np.longdouble), "dtype.*(float128|longdouble)"),
    ("int32", lambda a: a.astype(np.int32), "dtype.*int32"),
    ("int64", lambda a: a.astype(np.int64), "dtype.*int64"),
    ("uint8", lambda a: a.astype(np.uint8), "dtype.*uint8"),
    ("bool array", lambda a: a.astype(bool), "dtype.*bool"),
    ("complex64", lambda a: a.astype(np.complex64), "dtype.*complex64"),
    ("object array", lambda a: a.astype(object), "dtype.*object"),
    ("text array", lambda a: a.astype("U1"), "dtype.*<U1"),
    ("bytes array", lambda a: a.astype("S1"), "dtype.*S1"),
    ("datetime array", lambda a: a.astype("M8[D]"), "dtype.*datetime64"),
    ("timedelta array", lambda a: a.astype("m8[s]"), "dtype.*timedelta64"),
    ("structured array", lambda a: np.zeros(a.shape, [("a", "f4")]), "dtype"),
    ("void array", lambda a: np.zeros(a.shape, "V4"), "dtype"),
]
ARGUMENTS = [
    ("conv2d x", "x", X, lambda lib, v: lib.conv2d(v, W)),
    ("conv2d w", "w", W, lambda lib, v: lib.conv2d(X, v)),
    ("conv2d bias", "bias", B, lambda lib, v: lib.conv2d(X, W, v)),
    ("depthwise w", "w", DEPTHWISE, lambda lib, v: lib.conv2d(X, v, groups=3)),
    ("conv2d_transpose x", "x", X, lambda lib, v: lib.conv2d_transpose(v, TRANSPOSED)),
    ("conv2d_transpose w", "w", TRANSPOSED, lambda lib, v: lib.conv2d_transpose(X, v)),
    ("conv2d_transpose bias", "bias", B, lambda lib, v: lib.conv2d_transpose(X, TRANSPOSED, v)),
    ("conv2d_backward dy", "dy", f32(2, 6, 6, 4), lambda lib, v: lib.conv2d_backward(v, X, W)),
    ("conv2d_backward x", "x", X, lambda lib, v: lib.conv2d_backward(f32(2, 6, 6, 4), v, W)),
    (
        "conv2d_transpose_backward dy",
        "dy",
        f32(2, 10, 10, 4),
        lambda lib, v: lib.conv2d_transpose_backward(v, X, TRANSPOSED),
    ),
    (
        "conv2d_transpose_backward dy, bias",
        "dy",
        f32(2, 10, 10, 4),
        lambda lib, v: lib.conv2d_transpose_backward(v, X, TRANSPOSED, B),
    ),
    ("max_pool2d x", "x", X, lambda lib, v: lib.max_pool2d(v)),
    ("avg_pool2d x", "x", X, lambda lib, v: lib.avg_pool2d(v)),
    ("max_pool2d_backward dy", "dy", f32(2, 4, 4, 3), lambda lib, v: lib.max_pool2d_backward(v, X)),
    ("global_avg_pool2d x", "x", X, lambda lib, v: lib.global_avg_pool2d(v)),
    ("global_max_pool2d x", "x", X, lambda lib, v: lib.global_max_pool2d(v)),
    ("global_max_pool2d_backward dy", "dy", f32(2, 3), lambda lib, v: lib.global_max_pool2d_backward(v, X)),
    ("dense x", "x", X, lambda lib, v: lib.dense(v, f32(3, 2))),
    ("dense w", "w", f32(3, 4), lambda lib, v: lib.dense(X, v)),
    ("dense bias", "bias", B, lambda lib, v: lib.dense(X, f32(3, 4), v)),
    ("dense_backward dy", "dy", f32(2, 8, 8, 4), lambda lib, v: lib.dense_backward(v, X, f32(3, 4))),
    ("relu x", "x", X, lambda lib, v: lib.relu(v)),
    ("gelu_backward dy", "dy", X, lambda lib, v: lib.gelu_backward(v, X)),
    ("softmax x", "x", X, lambda lib, v: lib.softmax(v)),
    ("batch_norm x", "x", X, lambda lib, v: lib.batch_norm(v, *[f32(3)] * 4)),
    ("batch_norm mean", "mean", f32(3), lambda lib, v: lib.batch_norm(X, f32(3), f32(3), v, f32(3))),
    ("layer_norm gamma", "gamma", f32(3), lambda lib, v: lib.layer_norm(X, v, f32(3))),
    ("dropout x", "x", X, lambda lib, v: lib.dropout(v, 0.5, seed=1)),
    ("prelu alpha", "alpha", f32(3), lambda lib, v: lib.prelu(X, v)),
    ("add b", "b", X, lambda lib, v: lib.add(X, v)),
    ("flatten x", "x", X, lambda lib, v: lib.flatten(v)),
    ("pad x", "x", X, lambda lib, v: lib.pad(v, 1)),
    ("concatenate arrays", "arrays", X, lambda lib, v: lib.concatenate([X, v])),
    ("mean_squared_error y_true", "y_true", X, lambda lib, v: lib.mean_squared_error(v, X)),
    ("huber y_pred", "y_pred", X, lambda lib, v: lib.huber(X, v)),
    ("sparse y_pred", "y_pred", X, lambda lib, v: lib.sparse_categorical_crossentropy(np.zeros((2, 8, 8), int), v)),
]
OPTIONAL = {"bias", "gamma"}


@pytest.mark.parametrize("what,argument,good,call", ARGUMENTS, ids=[a[0] for a in ARGUMENTS])
def test_not_an_array_of_floats(lib, what, argument, good, call):
    call(lib, good)
    for kind, spoil, words in KINDS:
        if kind != "None" or argument not in OPTIONAL:
            assert_refused(lambda spoil=spoil: call(lib, spoil(good)), TypeError, f"{argument}.*({words})")


@pytest.mark.parametrize("what,argument,good,call", ARGUMENTS, ids=[a[0] for a in ARGUMENTS])
def test_gpu_arrays_and_foreign_bytes_are_refused_by_the_ops(what, argument, good, call):
    assert_refused(lambda: call(ops, OnGpu()), DeviceError, f"{argument}.*GPU")
    assert_refused(lambda: call(ops, Lying()), TypeError, f"{argument}.*__array_interface__")
    assert_refused(lambda: call(ops, good.astype(">f4")), TypeError, f"{argument}.*byte order")


def test_arrays_of_other_libraries():
    torch = pytest.importorskip("torch", reason="PyTorch tensors as inputs")
    x = torch.ones(2, 8, 8, 3)
    np.testing.assert_array_equal(ops.relu(x), np.ones((2, 8, 8, 3), np.float32))
    assert_refused(lambda: ops.relu(x.requires_grad_()), TypeError, "x.*host.*Tensor")
    assert_refused(lambda: ops.relu(torch.ones(2, dtype=torch.bfloat16)), TypeError, "x.*Tensor")
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy matrices as inputs")
    assert_refused(lambda: ops.dense(sparse.eye(3, format="csr"), f32(3, 2)), TypeError, "x.*csr")


MIXED = [
    ("w", lambda lib: lib.conv2d(X, W.astype(np.float64))),
    ("x", lambda lib: lib.conv2d(X.astype(np.float64), W)),
    ("bias", lambda lib: lib.conv2d(X, W, B.astype(np.float64))),
    ("w", lambda lib: lib.conv2d_transpose(X, TRANSPOSED.astype(np.float64))),
    ("bias|b", lambda lib: lib.conv2d_transpose(X, TRANSPOSED, B.astype(np.float64))),
    ("dy", lambda lib: lib.conv2d_backward(np.zeros((2, 6, 6, 4)), X, W)),
    ("dy", lambda lib: lib.max_pool2d_backward(np.zeros((2, 4, 4, 3)), X)),
    ("w", lambda lib: lib.dense(np.zeros((2, 4)), f32(4, 3))),
    ("y_pred|y_true", lambda lib: lib.mean_squared_error(np.zeros((2, 4)), f32(2, 4))),
    ("b", lambda lib: lib.add(X, np.zeros(3))),
]


@pytest.mark.parametrize("argument,call", MIXED)
def test_dtypes_are_never_mixed(lib, argument, call):
    assert_refused(lambda: call(lib), TypeError, f"one dtype.*({argument}).*float")


SHAPES = [
    # B. convolution
    ("B1", lambda lib: lib.conv2d(f32(8, 8, 3), W), r"x must have 4.*got 3.*\(8, 8, 3\)"),
    ("B2", lambda lib: lib.conv2d(f32(1, 2, 8, 8, 3), W), "x must have 4.*got 5"),
    ("B3", lambda lib: lib.conv2d(f32(), W), "x must have 4.*got 0"),
    ("B4", lambda lib: lib.conv2d(X, f32(3, 3, 3)), "w must have 4.*got 3"),
    ("B4b", lambda lib: lib.conv2d(X, f32()), "w must have 4.*got 0"),
    ("B5", lambda lib: lib.conv2d(X, f32(3, 3, 4, 4)), "w.*4 in channels"),
    ("B6", lambda lib: lib.conv2d(X, f32(4, 3, 3, 3)[:, :, :2]), "w.*2 in channels"),
    ("B8", lambda lib: lib.conv2d(f32(2, 0, 8, 3), W), "x.*height"),
    ("B8b", lambda lib: lib.conv2d(f32(2, 8, 0, 3), W), "x.*width"),
    ("B9", lambda lib: lib.conv2d(f32(0, 0, 0, 0), f32(0, 0, 0, 0)), "x.*height"),
    ("B10", lambda lib: lib.conv2d(f32(2, 8, 8, 0), f32(3, 3, 0, 4)), "x.*channels"),
    ("B11", lambda lib: lib.conv2d(X, f32(3, 3, 3, 0)), "w out channels"),
    ("B12", lambda lib: lib.conv2d(X, f32(0, 3, 3, 4)), "w.*height"),
    ("B12b", lambda lib: lib.conv2d(X, f32(3, 0, 3, 4)), "w.*width"),
    ("B12c", lambda lib: lib.conv2d(X, f32(3, 3, 0, 4)), "w.*in channels"),
    ("B13", lambda lib: lib.conv2d(X, W, f32(3)), r"bias.*\(4,\).*got.*\(3,\)"),
    ("B14", lambda lib: lib.conv2d(X, W, f32(1, 4)), r"bias.*\(1, 4\)"),
    ("B15", lambda lib: lib.conv2d(X, W, f32()), r"bias.*\(\)"),
    ("depthwise w", lambda lib: lib.conv2d(X, f32(3, 3, 3, 6), groups=3), "w.*3 in channels"),
    ("depthwise bias", lambda lib: lib.conv2d(X, DEPTHWISE, f32(3), groups=3), r"bias.*\(6,\).*\(3,\)"),
    ("transposed x", lambda lib: lib.conv2d_transpose(f32(8, 8, 3), TRANSPOSED), "x must have 4.*got 3"),
    ("transposed w", lambda lib: lib.conv2d_transpose(X, f32(3, 3, 4, 2)), "w.*in channels"),
    ("transposed bias", lambda lib: lib.conv2d_transpose(X, TRANSPOSED, f32(3)), r"bias.*\(4,\).*\(3,\)"),
    ("transposed scalar bias", lambda lib: lib.conv2d_transpose(X, TRANSPOSED, f32()), r"bias.*\(\)"),
    ("transposed H", lambda lib: lib.conv2d_transpose(f32(2, 0, 8, 3), TRANSPOSED), "x.*height"),
    # C. gradients
    ("C1", lambda lib: lib.conv2d_backward(f32(2, 5, 6, 4), X, W), r"dy.*\(2, 6, 6, 4\), got.*\(2, 5, 6, 4\)"),
    ("C2", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 3), X, W), r"dy.*\(2, 6, 6, 4\), got.*\(2, 6, 6, 3\)"),
    ("C3", lambda lib: lib.conv2d_backward(f32(1, 6, 6, 4), X, W), r"dy.*\(2, 6, 6, 4\), got.*\(1, 6, 6, 4\)"),
    ("C4", lambda lib: lib.conv2d_backward(f32(2, 6, 7, 4), X, W), r"dy.*got.*\(2, 6, 7, 4\)"),
    ("C5", lambda lib: lib.conv2d_backward(f32(6, 6, 4), X, W), r"dy.*(4|\(6, 6, 4\))"),
    ("C6", lambda lib: lib.conv2d_backward(f32(), X, W), "dy"),
    ("C7", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), f32(2, 7, 8, 3), W), r"dy.*\(2, 5, 6, 4\)"),
    ("C9", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), f32(2, 8, 3), W), "x must have 4"),
    ("C13", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), X, f32(2, 3, 3, 4)), r"dy.*\(2, 7, 6, 4\)"),
    ("C17", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), X, W, stride=2), r"dy.*\(2, 3, 3, 4\)"),
    ("C18", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), X, W, f32(3)), r"bias.*\(4,\)"),
    ("C19", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), X, W, needs=(True,)), "needs"),
    ("transposed dy", lambda lib: lib.conv2d_transpose_backward(f32(2, 9, 10, 4), X, TRANSPOSED), r"\(2, 10, 10, 4\)"),
    ("transposed bias", lambda lib: lib.conv2d_transpose_backward(f32(2, 10, 10, 4), X, TRANSPOSED, f32(3)), "bias"),
    ("empty batch, wrong dy", lambda lib: lib.conv2d_backward(f32(0, 6, 5, 4), f32(0, 8, 8, 3), W), "dy"),
    # D. pooling
    ("D13", lambda lib: lib.max_pool2d(f32(8, 8, 2)), "x must have 4.*got 3"),
    ("D13b", lambda lib: lib.max_pool2d(f32(1, 1, 8, 8, 2)), "x must have 4.*got 5"),
    ("D15", lambda lib: lib.max_pool2d(f32(1, 8, 8, 0)), "x.*channels"),
    ("D16", lambda lib: lib.avg_pool2d(f32(1, 0, 8, 2)), "x.*height"),
    ("D19", lambda lib: lib.max_pool2d_backward(f32(2, 4, 3, 3), X), r"dy.*\(2, 4, 4, 3\), got.*\(2, 4, 3, 3\)"),
    ("D20", lambda lib: lib.avg_pool2d_backward(f32(2, 4, 4), X), "dy"),
    ("D24", lambda lib: lib.global_max_pool2d(f32(2, 3)), "x must have 4"),
    ("D24b", lambda lib: lib.global_avg_pool2d(f32(2, 0, 3, 4)), "x.*height"),
    ("D26", lambda lib: lib.global_avg_pool2d_backward(f32(2, 4), f32(2, 3, 3, 5)), r"dy.*\(2, 5\)"),
    # E. dense
    ("E1", lambda lib: lib.dense(f32(2, 5), f32(4, 3)), "x has 5 features, w expects 4"),
    ("E2", lambda lib: lib.dense(f32(), f32(4, 3)), "x"),
    ("E4", lambda lib: lib.dense(f32(2, 0), f32(0, 3)), "x"),
    ("E5", lambda lib: lib.dense(f32(2, 4), f32(4, 0)), "w units"),
    ("E6", lambda lib: lib.dense(f32(2, 4), f32(4)), "w must have 2"),
    ("E6b", lambda lib: lib.dense(f32(2, 4), f32(1, 4, 3)), "w must have 2"),
    ("E7", lambda lib: lib.dense_backward(f32(2, 4), f32(2, 4), f32(4, 3)), r"dy.*\(2, 3\)"),
    ("E8", lambda lib: lib.dense_backward(f32(3, 3), f32(2, 4), f32(4, 3)), r"dy.*\(2, 3\)"),
    ("E10", lambda lib: lib.dense(f32(2, 4), f32(4, 3), f32(4)), r"bias.*\(3,\)"),
    # F. elementwise, norms, losses
    ("F2", lambda lib: lib.relu_backward(f32(2), f32(3)), r"dy.*\(3,\)"),
    ("F2b", lambda lib: lib.softmax_backward(f32(2, 3), f32(3, 3)), r"dy.*\(3, 3\)"),
    ("F4", lambda lib: lib.softmax(f32()), "x"),
    ("F4b", lambda lib: lib.softmax(f32(2, 0)), "x"),
    ("F4c", lambda lib: lib.log_softmax(f32(2, 0)), "x"),
    ("F6", lambda lib: lib.prelu(f32(2, 3), f32(2)), "alpha"),
    ("F8", lambda lib: lib.batch_norm(X, f32(4), f32(3), f32(3), f32(3)), r"gamma.*\(3,\)"),
    ("F8b", lambda lib: lib.batch_norm(X, f32(3), f32(3), f32(1), f32(3)), r"mean.*\(3,\)"),
    ("F8c", lambda lib: lib.batch_norm(X, f32(3), f32(3), f32(3), f32(2), training=True), r"var.*\(3,\)"),
    ("F10", lambda lib: lib.layer_norm(X, f32(3), f32(8)), r"beta.*\(3,\)"),
    ("F12", lambda lib: lib.add(f32(2, 3), f32(4)), "broadcast"),
    ("F12b", lambda lib: lib.add_backward(f32(2, 4), f32(2, 3), f32(3)), r"dy.*\(2, 3\)"),
    ("F14", lambda lib: lib.concatenate([f32(2, 3), f32(3, 3)]), "arrays"),
    ("F14b", lambda lib: lib.concatenate([f32(2, 3)], axis=2), "axis.*2"),
    ("F14c", lambda lib: lib.pad(f32(2, 3), ((0, 0),)), "pad_width.*2"),
    ("F14d", lambda lib: lib.pad(f32(2, 3), ((0, 0), (0, -1))), "pad_width.*-1"),
    ("F14e", lambda lib: lib.reshape(f32(2, 3), (4, -1)), "shape"),
    ("F14f", lambda lib: lib.reshape(f32(2, 3), (-1, -1)), "shape"),
    ("F16", lambda lib: lib.mean_squared_error(f32(4, 1), f32(4)), r"y_true.*\(4, 1\)"),
    ("F17", lambda lib: lib.mean_squared_error(f32(4), f32(4, 1)), r"y_true.*\(4, 1\).*got.*\(4,\)"),
    ("F17b", lambda lib: lib.binary_crossentropy(f32(1, 4), f32(4, 1)), "y_true"),
    ("F17c", lambda lib: lib.mean_squared_error_backward(f32(4, 1), f32(4, 1), f32(4, 1)), r"(dy|dloss).*\(4,\)"),
    ("F17d", lambda lib: lib.mean_squared_error(f32(4, 0), f32(4, 0)), "y_pred|y_true"),
    ("F18", lambda lib: lib.sparse_categorical_crossentropy(np.zeros(3, int), f32(4, 10)), r"y_true.*\(4,\).*\(3,\)"),
    ("F18b", lambda lib: lib.sparse_categorical_crossentropy(np.zeros((4, 10), int), f32(4, 10)), "y_true"),
]


@pytest.mark.parametrize("call,words", [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_shapes_that_do_not_fit(lib, call, words):
    assert_refused(lambda: call(lib), ValueError, words)


def labels(*values):
    return np.array(values, np.int64)


ONE_HOT, P23 = np.eye(3, dtype=np.float32)[:2], np.full((2, 3), 0.5, np.float32)
VALUES = [
    ("F1", lambda lib: lib.dense(f32(2, 4), f32(4, 3), activation="reluu"), ValueError, "activation.*one of.*reluu"),
    ("F1b", lambda lib: lib.conv2d(X, W, activation=3), TypeError, "activation.*3.*relu|activation.*relu.*3"),
    (
        "F9",
        lambda lib: lib.sparse_categorical_crossentropy(labels(1, 2, 3, 10), f32(4, 10)),
        ValueError,
        r"\[0, 10\).*10 at index 3",
    ),
    ("F9b", lambda lib: lib.sparse_categorical_crossentropy(labels(-1), f32(1, 10)), ValueError, "-1 at index 0"),
    ("F9c", lambda lib: lib.sparse_categorical_crossentropy(labels(2**62), f32(1, 10)), ValueError, "y_true"),
    (
        "F9d",
        lambda lib: lib.sparse_categorical_crossentropy(np.array([2**64 - 1], np.uint64), f32(1, 10)),
        ValueError,
        "y_true",
    ),
    ("F11", lambda lib: lib.sparse_categorical_crossentropy(f32(4), f32(4, 10)), TypeError, "y_true.*float32"),
    ("F11b", lambda lib: lib.sparse_categorical_crossentropy(np.zeros(4, bool), f32(4, 10)), TypeError, "y_true.*bool"),
    ("F11c", lambda lib: lib.sparse_categorical_crossentropy([0, 1], f32(2, 10)), TypeError, "y_true.*list"),
    ("F15", lambda lib: lib.categorical_crossentropy(f32(2, 3), P23), ValueError, "y_true row 0 sums to 0"),
    ("F15b", lambda lib: lib.categorical_crossentropy(ONE_HOT * [[1], [2]] + f32(1), P23), TypeError, "dtype"),
    (
        "F15c",
        lambda lib: lib.categorical_crossentropy(ONE_HOT * np.float32([[1], [2]]), P23),
        ValueError,
        "y_true.*(row 1 sums to 2|2)",
    ),
    ("F15d", lambda lib: lib.categorical_crossentropy(np.float32([[2, -1, 0]]), P23[:1]), ValueError, "y_true"),
    (
        "F15e",
        lambda lib: lib.categorical_crossentropy(np.float32([[np.nan, 0, 1]]), P23[:1]),
        ValueError,
        "y_true.*nan",
    ),
    (
        "F15f",
        lambda lib: lib.categorical_crossentropy_backward(f32(2), f32(2, 3), P23),
        ValueError,
        "y_true row 0 sums to 0",
    ),
    ("F15g", lambda lib: lib.binary_crossentropy(np.float32([[2.0]]), f32(1, 1)), ValueError, "y_true.*2"),
    ("F15h", lambda lib: lib.binary_crossentropy(np.float32([[np.nan]]), f32(1, 1)), ValueError, "y_true.*nan"),
    (
        "F15i",
        lambda lib: lib.binary_crossentropy_backward(f32(1), np.float32([[-0.1]]), f32(1, 1)),
        ValueError,
        "y_true.*-0.1",
    ),
    ("F19", lambda lib: lib.huber(f32(4, 1), f32(4, 1), delta=0), ValueError, "delta.*0"),
    ("F19b", lambda lib: lib.huber(f32(4, 1), f32(4, 1), delta="1"), TypeError, "delta.*str"),
    ("F19c", lambda lib: lib.huber(f32(4, 1), f32(4, 1), delta=float("nan")), ValueError, "delta.*nan"),
    (
        "F19d",
        lambda lib: lib.binary_crossentropy(f32(1, 1), f32(1, 1), label_smoothing=2),
        ValueError,
        "label_smoothing.*2",
    ),
    ("F19e", lambda lib: lib.binary_crossentropy(f32(1, 1), f32(1, 1), from_logits=1), TypeError, "from_logits.*1"),
    ("leaky slope", lambda lib: lib.leaky_relu(f32(2), negative_slope="a"), TypeError, "negative_slope.*str"),
    ("leaky inf", lambda lib: lib.leaky_relu(f32(2), negative_slope=float("inf")), ValueError, "negative_slope.*inf"),
    ("elu alpha", lambda lib: lib.elu(f32(2), alpha=None), TypeError, "alpha.*None"),
    ("gelu approximate", lambda lib: lib.gelu(f32(2), approximate="tanh"), TypeError, "approximate.*tanh"),
    ("threshold value", lambda lib: lib.threshold(f32(2), value=float("nan")), ValueError, "value.*nan"),
    ("dropout rate", lambda lib: lib.dropout(f32(2), 1.5, seed=1), ValueError, "rate.*1.5"),
    ("dropout rate nan", lambda lib: lib.dropout(f32(2), float("nan"), seed=1), ValueError, "rate.*nan"),
    ("dropout seed", lambda lib: lib.dropout(f32(2), 0.5, seed=-1), ValueError, "seed.*-1"),
    ("dropout seed float", lambda lib: lib.dropout(f32(2), 0.5, seed=1.0), TypeError, "seed.*1.0"),
    ("dropout seed large", lambda lib: lib.dropout(f32(2), 0.5, seed=2**64), ValueError, "seed"),
    ("epsilon", lambda lib: lib.layer_norm(X, f32(3), f32(3), epsilon=0), ValueError, "epsilon.*0"),
    ("epsilon negative", lambda lib: lib.batch_norm(X, *[f32(3)] * 4, epsilon=-1.0), ValueError, "epsilon.*-1"),
    ("momentum", lambda lib: lib.batch_norm(X, *[f32(3)] * 4, momentum=1.5), ValueError, "momentum.*1.5"),
    ("training", lambda lib: lib.batch_norm(X, *[f32(3)] * 4, training=1), TypeError, "training.*1"),
    ("concatenate", lambda lib: lib.concatenate(f32(2, 3)), TypeError, "arrays.*ndarray"),
    ("concatenate axis", lambda lib: lib.concatenate([f32(2, 3)], axis=1.0), TypeError, "axis.*1.0"),
    ("needs", lambda lib: lib.conv2d_backward(f32(2, 6, 6, 4), X, W, needs=(1, 1, 1)), TypeError, "needs.*1"),
    ("needs int", lambda lib: lib.dense_backward(f32(2, 3), f32(2, 4), f32(4, 3), needs=3), TypeError, "needs.*3"),
]


@pytest.mark.parametrize("call,error,words", [v[1:] for v in VALUES], ids=[v[0] for v in VALUES])
def test_values_that_are_refused(lib, call, error, words):
    assert_refused(lambda: call(lib), error, words)


def test_layers_called_on_arrays():
    """The same mistakes on a layer."""
    dense, conv = layers.Dense(2), layers.Conv2D(2, 3)
    dense(f32(1, 3)), conv(f32(1, 8, 8, 3))
    for bad, words in (("a", "str"), (None, "NoneType"), (object(), "object"), ([["a"]], "dtype <U1")):
        assert_refused(lambda bad=bad: dense(bad), TypeError, f"inputs.*{words}", template=False)
    assert_refused(lambda: dense(np.ones((2, 3), np.complex64)), TypeError, "inputs.*complex64", template=False)
    assert_refused(lambda: dense(np.full((2, 3), 1e300)), ValueError, "inputs.*float32")
    assert_refused(lambda: dense(f32(2, 4)), ValueError, "x has 4 features, w expects 3")
    assert_refused(lambda: conv(f32(8, 8, 3)), ValueError, "x must have 4")
    assert dense(np.array([[1, 2, 3]])).dtype == np.float32  # ints are converted, as in Keras
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    assert_refused(lambda: model.predict(f32(2, 4)), ValueError, r"x.*\(N, 3\), got x.shape=\(2, 4\)")
