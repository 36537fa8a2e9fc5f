"""Calls that must fail clearly: sections A to F of bad_inputs.md, on the reference."""

import re

import numpy as np
import pytest

from fastconv import reference as ref


def f32(*shape):
    return np.zeros(shape, np.float32)


X, W, B = f32(2, 8, 8, 3), f32(3, 3, 3, 4), f32(4)
XP = f32(1, 8, 8, 2)
HUGE = np.broadcast_to(np.float32(0), (2**20, 1, 1, 2**20))
TEMPLATE = re.compile(r"\[\w+\] .+: expected .+, got .+\. .+\.$", re.DOTALL)


def conv(**changes):
    arguments = {"x": X, "w": W, "bias": None} | changes
    return lambda: ref.conv2d(**arguments)


def conv_backward(dy, x=X, **changes):
    return lambda: ref.conv2d_backward(dy, x, W, **changes)


def pool(x=XP, pool_size=2, op="max_pool2d", **changes):
    return lambda: getattr(ref, op)(x, pool_size, **changes)


CALLS = [
    # A. convolution: geometry
    ("A1", conv(stride=0), ValueError, "stride.*>= 1.*got stride=0"),
    ("A3", conv(stride=(1, 0)), ValueError, r"stride.*\(1, 0\)"),
    ("A5", conv(stride=(1, 1, 1)), ValueError, "stride must have 2 ints.*got 3"),
    ("A7", conv(stride=1.0), TypeError, "stride must be an int.*got float"),
    ("A9", conv(stride="2"), TypeError, "stride must be an int.*got str"),
    ("A9b", conv(stride=True), TypeError, "stride must be an int.*got bool"),
    ("A9c", conv(stride=None), TypeError, "stride must be an int.*got NoneType"),
    ("A11", conv(stride=2**31), ValueError, "stride is too large"),
    ("A13", conv(stride=-(2**63)), ValueError, "stride.*>= 1"),
    ("A15", conv(stride=float("nan")), TypeError, "stride must be an int.*got float"),
    ("A17", conv(padding=[]), ValueError, "padding must have 2 ints.*got 0"),
    ("A19", conv(padding="SAME"), ValueError, "padding is unknown.*'same'"),
    ("A19b", conv(padding=-1), ValueError, "padding.*>= 0"),
    ("A19c", conv(padding=((1, 1), (1, -1))), ValueError, "padding.*>= 0"),
    ("A21", conv(padding=((1, 1), (1, 1), (1, 1))), ValueError, "padding must have 2 ints"),
    ("A23", conv(padding=2**62), ValueError, "padding is too large.*overflow"),
    ("A25", conv(dilation=-2), ValueError, "dilation.*>= 1"),
    ("A27", conv(w=f32(2, 2, 3, 4), dilation=2**62), ValueError, "dilation.*effective kernel would overflow"),
    ("A29", conv(groups=0), ValueError, "groups.*>= 1.*groups=0"),
    ("A31", conv(groups=-(2**63)), ValueError, "groups.*>= 1"),
    ("A32", conv(groups=2), ValueError, "groups must divide in channels 3"),
    (
        "A33",
        conv(x=f32(2, 8, 8, 4), w=f32(3, 3, 2, 3), groups=2),
        ValueError,
        "groups must divide out channels 3",
    ),
    ("A35", conv(x=f32(2, 2, 2, 3)), ValueError, r"kernel \(3, 3\) larger than padded input \(2, 2\)"),
    ("A36", conv(dilation=4), ValueError, r"kernel \(3, 3\) larger than padded input \(8, 8\)"),
    # B. convolution: tensors
    ("B1", conv(x=f32(8, 8, 3)), ValueError, r"x must have 4 dims.*got 3 dims.*\(8, 8, 3\)"),
    ("B3", conv(x=f32()), ValueError, "x must have 4 dims.*got 0"),
    ("B5", conv(w=f32(3, 3, 4, 4)), ValueError, "w in channels.*= 3.*got w 4 in channels"),
    ("B9", conv(x=f32(0, 0, 0, 0), w=f32(0, 0, 0, 0)), ValueError, "x has no height"),
    ("B10", conv(x=f32(2, 8, 0, 3)), ValueError, "x has no width"),
    ("B11", conv(w=f32(3, 3, 3, 0)), ValueError, "w out channels >= 1"),
    ("B12", conv(w=f32(0, 3, 3, 4)), ValueError, "w has no kernel height"),
    ("B13", conv(bias=f32(3)), ValueError, r"bias shape \(4,\), got \(3,\)"),
    ("B15", conv(bias=f32()), ValueError, "bias must have 1 dims"),
    ("B15b", conv(bias=0.0), TypeError, "bias must be a NumPy array.*float"),
    ("B17", conv(bias=False), TypeError, "bias must be a NumPy array.*bool"),
    ("B19", conv(x=X.astype(np.float16)), TypeError, "x dtype float16 is not supported"),
    ("B19b", conv(x=X.astype(np.longdouble)), TypeError, "x dtype float128 is not supported"),
    ("B20", conv(x=X.astype(np.int32)), TypeError, "x dtype int32 is not supported"),
    ("B21", conv(x=X.astype(np.complex64)), TypeError, "x dtype complex64"),
    ("B22", conv(x=X.astype(object)), TypeError, "x dtype object"),
    ("B22b", conv(x=X.astype("M8[D]")), TypeError, "x dtype datetime64"),
    ("B23", conv(x=np.array([["a"]])), TypeError, "x dtype <U1"),
    ("B25", conv(x=np.zeros(3, [("a", "f4")])), TypeError, "x dtype"),
    ("B27", lambda: conv(x=np.asmatrix(f32(2, 2)))(), TypeError, "x.*matrix"),
    ("B28", conv(x=np.ma.masked_array(X)), TypeError, "x.*MaskedArray"),
    ("B29", conv(x=None), TypeError, "x must be a NumPy array.*NoneType"),
    ("B29b", conv(x="x"), TypeError, "x must be a NumPy array.*str"),
    ("B29c", conv(x=3), TypeError, "x must be a NumPy array.*int"),
    ("B29d", conv(x=object()), TypeError, "x must be a NumPy array.*object"),
    ("B30", conv(w=[[1.0]]), TypeError, "w must be a NumPy array.*list"),
    ("B31", conv(x=X.astype(np.float64)), TypeError, "share one dtype.*float64.*float32"),
    # C. convolution: backward
    ("C1", conv_backward(f32(2, 5, 6, 4)), ValueError, r"dy shape \(2, 6, 6, 4\), got \(2, 5, 6, 4\)"),
    ("C3", conv_backward(f32(1, 6, 6, 4)), ValueError, r"batch.*dy shape \(2, 6, 6, 4\)"),
    ("C5", conv_backward(f32(6, 6, 4)), ValueError, "dy must have 4 dims"),
    ("C7", conv_backward(f32(2, 6, 6, 4), x=f32(2, 7, 8, 3)), ValueError, r"dy shape \(2, 5, 6, 4\)"),
    ("C17", conv_backward(f32(2, 6, 6, 4), stride=2), ValueError, r"dy shape \(2, 3, 3, 4\)"),
    ("C18", conv_backward(None), TypeError, "dy must be a NumPy array"),
    # D. pooling
    ("D1", pool(pool_size=0), ValueError, "pool_size.*>= 1.*pool_size=0"),
    ("D3", pool(pool_size=()), ValueError, "pool_size must have 2 ints"),
    ("D3b", pool(pool_size=(2,)), ValueError, "pool_size must have 2 ints"),
    ("D3c", pool(pool_size=(2, 2, 2)), ValueError, "pool_size must have 2 ints"),
    ("D5", pool(pool_size=9), ValueError, r"pool_size \(9, 9\) larger than padded input \(8, 8\)"),
    ("D7", pool(pool_size=1250999896764, stride=1250999896764), ValueError, "pool_size is too large"),
    ("D9", pool(stride=-(2**31)), ValueError, "stride.*>= 1"),
    ("D10", pool(padding=2), ValueError, "padding must be smaller than the window"),
    ("D11", pool(padding=-1), ValueError, "padding.*>= 0"),
    (
        "D12",
        pool(f32(1, 1, 1, 2), 2, padding=1, stride=1, dilation=2),
        ValueError,
        "a window sees no real cell",
    ),
    ("D13", pool(f32(8, 8, 2)), ValueError, "x must have 4 dims"),
    ("D13b", pool(f32(1, 1, 8, 8, 2)), ValueError, "x must have 4 dims"),
    ("D15", pool(f32(1, 8, 8, 0)), ValueError, "x channels >= 1"),
    ("D17", pool(XP.astype(np.int32)), TypeError, "x dtype int32"),
    ("D18", pool(ceil_mode=1), TypeError, "ceil_mode must be a bool"),
    ("D19", lambda: ref.max_pool2d_backward(f32(1, 4, 3, 2), XP), ValueError, r"dy shape \(1, 4, 4, 2\)"),
    ("D20", lambda: ref.global_max_pool2d(f32(2, 0, 3, 4)), ValueError, "x has no height"),
    (
        "D20b",
        lambda: ref.global_avg_pool2d_backward(f32(2, 4), f32(2, 3, 3, 5)),
        ValueError,
        r"dy shape \(2, 5\)",
    ),
    # E. dense
    ("E1", lambda: ref.dense(f32(2, 5), f32(4, 3)), ValueError, "x has 5 features, w expects 4"),
    ("E5", lambda: ref.dense(f32(2, 4), f32(4, 0)), ValueError, "w units >= 1"),
    ("E6", lambda: ref.dense(f32(2, 0), f32(4, 3)), ValueError, "x has no axis 1"),
    ("E7", lambda: ref.dense_backward(f32(2, 4), f32(2, 4), f32(4, 3)), ValueError, r"dy shape \(2, 3\)"),
    ("E9", lambda: ref.dense(np.zeros((2, 4)), f32(4, 3)), TypeError, "share one dtype"),
    ("E13", lambda: ref.dense(HUGE[:, 0, 0, :1], HUGE[:1, 0, 0]), MemoryError, "bytes"),
    # F. activations, losses
    ("F1", lambda: ref.dense(f32(2, 4), f32(4, 3), activation="reluu"), ValueError, "activation.*one of"),
    ("F1b", lambda: ref.conv2d(X, W, activation=3), TypeError, "activation.*one of"),
    (
        "F9",
        lambda: ref.sparse_categorical_crossentropy(np.array([1, 2, 3, 10]), f32(4, 10)),
        ValueError,
        r"y_true in \[0, 10\), got y_true value 10 at index 3",
    ),
    (
        "F9b",
        lambda: ref.sparse_categorical_crossentropy(np.array([-1]), f32(1, 10)),
        ValueError,
        "value -1 at index 0",
    ),
    (
        "F11",
        lambda: ref.sparse_categorical_crossentropy(f32(4), f32(4, 10)),
        TypeError,
        "y_true dtype float32",
    ),
    (
        "F11b",
        lambda: ref.sparse_categorical_crossentropy(np.zeros(4, bool), f32(4, 10)),
        TypeError,
        "y_true dtype bool",
    ),
    ("F15", lambda: ref.categorical_crossentropy(f32(2, 3), f32(2, 3)), ValueError, "y_true row 0 sums to 0"),
    (
        "F15b",
        lambda: ref.categorical_crossentropy(np.ones((2, 2)), np.ones((2, 2))),
        ValueError,
        "y_true row 0 sums to 2",
    ),
    (
        "F15c",
        lambda: ref.categorical_crossentropy(np.array([[2.0, -1.0]]), np.ones((1, 2))),
        ValueError,
        "y_true value 2.0",
    ),
    (
        "F16",
        lambda: ref.binary_crossentropy(np.array([[np.nan]]), np.ones((1, 1))),
        ValueError,
        "y_true value nan",
    ),
    (
        "F17",
        lambda: ref.mean_squared_error(f32(4), f32(4, 1)),
        ValueError,
        r"y_true shape \(4, 1\), got \(4,\)",
    ),
    ("F18", lambda: ref.huber(f32(4, 1), f32(4, 1), delta=0), ValueError, "delta"),
    (
        "F19",
        lambda: ref.binary_crossentropy(f32(1, 1), f32(1, 1), label_smoothing=2),
        ValueError,
        "label_smoothing",
    ),
    ("F20", lambda: ref.softmax(f32()), ValueError, "x must have a last axis"),
    # the same mistakes elsewhere
    ("G1", lambda: ref.leaky_relu(f32(2), negative_slope="a"), TypeError, "negative_slope"),
    ("G2", lambda: ref.elu(f32(2), alpha=float("inf")), ValueError, "alpha"),
    ("G3", lambda: ref.prelu(f32(2, 3), f32(2)), ValueError, "alpha must broadcast"),
    ("G4", lambda: ref.dropout(f32(2), 1.5, seed=1), ValueError, "rate"),
    ("G5", lambda: ref.dropout(f32(2), 0.5, seed=-1), ValueError, "seed"),
    ("G6", lambda: ref.dropout(f32(2), 0.5, seed=1.0), TypeError, "seed"),
    ("G7", lambda: ref.add(f32(2, 3), f32(4)), ValueError, "a and b must broadcast"),
    ("G8", lambda: ref.concatenate([]), ValueError, "arrays must not be empty"),
    ("G9", lambda: ref.concatenate([f32(2, 3), f32(3, 3)]), ValueError, "joined axis only"),
    ("G10", lambda: ref.concatenate([f32(2, 3)], axis=2), ValueError, "axis must exist"),
    ("G11", lambda: ref.concatenate(f32(2, 3)), TypeError, "arrays must be a sequence"),
    ("G12", lambda: ref.pad(f32(2, 3), ()), ValueError, "pad_width must have 2 pairs"),
    ("G13", lambda: ref.pad(f32(2, 3), ((0, 0), (0, -1))), ValueError, "pad_width.*>= 0"),
    ("G14", lambda: ref.pad(f32(2, 3), 2**31 - 1), ValueError, "sizes are too large"),
    ("G14b", lambda: ref.pad(f32(2, 3), 2**25), MemoryError, "bytes"),
    ("G15", lambda: ref.reshape(f32(2, 3), (4, -1)), ValueError, "every element of x"),
    ("G16", lambda: ref.reshape(f32(2, 3), "6"), TypeError, "shape must be an int"),
    ("G17", lambda: ref.flatten(f32()), ValueError, "batch axis"),
    (
        "G18",
        lambda: ref.batch_norm(f32(2, 3), f32(2), f32(3), f32(3), f32(3)),
        ValueError,
        r"gamma shape \(3,\)",
    ),
    (
        "G19",
        lambda: ref.layer_norm(f32(2, 3), f32(3), f32(3), epsilon=0),
        ValueError,
        "epsilon must be positive",
    ),
    ("G20", lambda: ref.batch_norm(f32(2, 3), *[f32(3)] * 4, momentum=1.5), ValueError, "momentum"),
    ("G21", lambda: ref.sgd_step(f32(3), f32(2), f32(3)), ValueError, r"g shape \(3,\)"),
    ("G22", lambda: ref.adam_step(*[f32(3)] * 4, step=0), ValueError, "step"),
    ("G23", lambda: ref.sgd_step(*[f32(3)] * 3, learning_rate=float("nan")), ValueError, "learning_rate"),
    # H. sizes
    ("H3", lambda: ref.conv2d(HUGE, HUGE.reshape(1, 1, 2**20, 2**20)), MemoryError, "bytes"),
    ("H5", conv(padding=20000), MemoryError, "bytes"),
    ("H6", conv(padding=2**31 - 1), ValueError, "sizes are too large"),
    (
        "T1",
        lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 2)),
        ValueError,
        "w in channels must be the channels of x",
    ),
    (
        "T2",
        lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), output_padding=1),
        ValueError,
        "smaller than stride",
    ),
    (
        "T3",
        lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), padding=9),
        ValueError,
        "removes the whole result",
    ),
    ("T4", lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), stride=2**31 - 1), ValueError, "too large"),
    (
        "T5",
        lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), stride=2, padding="same", output_padding=1),
        ValueError,
        "does not go with padding 'same'",
    ),
    ("T6", lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), f32(3)), ValueError, r"bias shape \(4,\)"),
    (
        "T7",
        lambda: ref.conv2d_transpose(X, f32(3, 3, 4, 3), groups=2),
        ValueError,
        "groups must divide in channels 3",
    ),
]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("call,error,words", [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_refused(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert type(caught.value) is error
    assert TEMPLATE.match(str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    "call", [lambda: ref.conv2d(X, W, strides=2), lambda: ref.max_pool2d(XP, strides=2)], ids=["A37", "D"]
)
def test_unknown_keyword(call):
    with pytest.raises(TypeError, match="unexpected keyword argument 'strides'"):
        call()


@pytest.mark.parametrize("op", ["max_pool2d", "min_pool2d", "avg_pool2d", "sum_pool2d"])
@pytest.mark.parametrize("changes,error", [({"pool_size": 0}, ValueError), ({"stride": 1.5}, TypeError)])
def test_every_pooling_refuses(op, changes, error):
    with pytest.raises(error, match=rf"\[{op}\] {next(iter(changes))}"):
        pool(op=op, **changes)()


@pytest.mark.parametrize("argument,value,error", [("stride", 0, ValueError), ("dilation", 1.0, TypeError)])
def test_depthwise_and_transposed_refuse(argument, value, error):
    with pytest.raises(error, match=argument):
        ref.conv2d(X, f32(3, 3, 1, 3), groups=3, **{argument: value})
    with pytest.raises(error, match=argument):
        ref.conv2d_transpose(X, f32(3, 3, 4, 3), **{argument: value})


def test_hostile_window_is_quick():
    """Windows that fit through padding alone: only the taps that meet the image are visited."""
    w = np.broadcast_to(np.float32(1), (2**20, 2**20, 1, 1))
    with pytest.raises(MemoryError, match="bytes"):
        ref.conv2d(f32(1, 8, 8, 1), w, padding=2**19, stride=2**20)
    huge = 2**30
    y = ref.sum_pool2d(np.ones((1, 8, 8, 1)), huge, padding=huge - 1, stride=huge)
    np.testing.assert_array_equal(y[0, :, :, 0], [[1, 7], [7, 49]])
