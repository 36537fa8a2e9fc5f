"""Arrays laid out in every odd way give the bits of a plain one, ``out=`` is judged, nothing is changed or shared:
bad_inputs.md G, P12 and P29."""

import hashlib

import numpy as np
import pytest

from fastconv import ops, reference
from fastconv.testing.memory import guarded
from fastconv.testing.refusal import assert_refused

RNG = np.random.default_rng(20261121)


def random(*shape):
    return RNG.normal(size=shape).astype(np.float32)


X, W, B = random(2, 7, 9, 3), random(3, 3, 3, 5), random(5)
DEPTHWISE, TRANSPOSED = random(3, 3, 1, 6), random(3, 3, 5, 3)
X2, W2 = random(6, 11), random(11, 5)
ROW = random(11)
LABELS = RNG.integers(0, 11, 6)
ONE_HOT = np.eye(11, dtype=np.float32)[LABELS]

# name -> (op, arrays, settings); every array is laid out oddly in turn.
CALLS = {
    "conv2d": (ops.conv2d, (X, W, B), {"stride": (2, 1), "padding": 1}),
    "conv2d relu": (ops.conv2d, (X, W, B), {"activation": "relu"}),
    "conv2d 1x1": (ops.conv2d, (X, random(1, 1, 3, 5), B), {}),
    "depthwise": (ops.conv2d, (X, DEPTHWISE, random(6)), {"groups": 3, "padding": "same"}),
    "conv2d_transpose": (ops.conv2d_transpose, (X, TRANSPOSED, B), {"stride": 2}),
    "conv2d_backward": (ops.conv2d_backward, (random(2, 5, 7, 5), X, W, B), {}),
    "depthwise_backward": (ops.conv2d_backward, (random(2, 5, 7, 6), X, DEPTHWISE), {"groups": 3}),
    "conv2d_transpose_backward": (ops.conv2d_transpose_backward, (random(2, 9, 11, 5), X, TRANSPOSED, B), {}),
    "max_pool2d": (ops.max_pool2d, (X,), {"padding": 1}),
    "avg_pool2d": (ops.avg_pool2d, (X, 3), {"stride": 2}),
    "max_pool2d_backward": (ops.max_pool2d_backward, (random(2, 3, 4, 3), X), {}),
    "avg_pool2d_backward": (ops.avg_pool2d_backward, (random(2, 3, 4, 3), X), {}),
    "global_avg_pool2d": (ops.global_avg_pool2d, (X,), {}),
    "dense": (ops.dense, (X2, W2, B), {"activation": "tanh"}),
    "dense_backward": (ops.dense_backward, (random(6, 5), X2, W2, B), {}),
    "relu": (ops.relu, (X,), {}),
    "gelu": (ops.gelu, (X,), {}),
    "silu_backward": (ops.silu_backward, (X, X[::-1].copy()), {}),
    "prelu": (ops.prelu, (X2, ROW), {}),
    "softmax": (ops.softmax, (X2,), {}),
    "log_softmax_backward": (ops.log_softmax_backward, (X2, X2[::-1].copy()), {}),
    "batch_norm": (ops.batch_norm, (X2, ROW, ROW[::-1].copy(), ROW, ROW**2), {}),
    "batch_norm training": (ops.batch_norm, (X2, ROW, ROW[::-1].copy(), ROW, ROW**2), {"training": True}),
    "layer_norm": (ops.layer_norm, (X2, ROW, ROW[::-1].copy()), {}),
    "dropout": (ops.dropout, (X2, 0.5), {"seed": 7}),
    "gaussian_noise": (ops.gaussian_noise, (X2, 0.5), {"seed": 7}),
    "resize2d": (ops.resize2d, (X, (9, 5)), {"interpolation": "bicubic"}),
    "warp2d": (ops.warp2d, (X,), {"angle": (-1, 1), "seed": 7}),
    "adjust2d": (ops.adjust2d, (X,), {"contrast": (0.5, 2), "seed": 7}),
    "add": (ops.add, (X2, ROW), {}),
    "multiply_backward": (ops.multiply_backward, (X2, X2[::-1].copy(), ROW), {}),
    "flatten": (ops.flatten, (X,), {}),
    "pad": (ops.pad, (X2, 2), {}),
    "mse": (ops.mean_squared_error, (X2, X2[::-1].copy()), {}),
    "crossentropy": (ops.categorical_crossentropy, (ONE_HOT, X2), {"from_logits": True}),
    "sparse crossentropy": (ops.sparse_categorical_crossentropy, (LABELS, X2), {"from_logits": True}),
}


def strided(a):
    """Every second element of a larger array, along every axis."""
    wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def reversed_axes(a):
    """Negative strides along every axis."""
    return np.flip(np.flip(a).copy())


def transposed(a):
    return np.ascontiguousarray(a.T).T


def misaligned(by):
    def lay_out(a):
        raw = np.zeros(a.nbytes + 128, np.uint8)
        start = (-raw.ctypes.data) % 64 + by
        view = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
        view[...] = a
        return view

    return lay_out


def read_only(a):
    copy = a.copy()
    copy.flags.writeable = False
    return copy


def absurd_unit_strides(a):
    """Axes of extent 1 may have any stride; a view of a view shows one (pytorch#195394)."""
    return np.lib.stride_tricks.as_strided(
        a.copy(), a.shape, [s if n > 1 else 1 << 40 for n, s in zip(a.shape, a.strides, strict=True)]
    )


class Subclass(np.ndarray):
    __array_priority__ = 1000


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reversed_axes,
    "transposed": transposed,
    **{f"misaligned {k}": misaligned(k) for k in (1, 2, 3, 4, 12, 31)},
    "read-only": read_only,
    "unit strides": absurd_unit_strides,
    "flush with a forbidden page": guarded,
    "flush with a forbidden page before": lambda a: guarded(a, "start"),
    "subclass": lambda a: a.view(Subclass),
}


def results(result):
    return [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def call(name, arrays):
    op, _, settings = CALLS[name]
    return results(op(*arrays, **settings))


def is_array(value):
    return isinstance(value, np.ndarray)


@pytest.mark.parametrize("name", CALLS)
def test_every_layout_gives_the_same_bits(name, isa):
    """G1 to G9; and no input is changed, no result shares memory with one."""
    plain = CALLS[name][1]
    expected = [digest(r) for r in call(name, plain)]
    for layout, lay_out in LAYOUTS.items():
        arrays = [lay_out(a) if is_array(a) else a for a in plain]
        before = [digest(a) for a in arrays if is_array(a)]
        found = call(name, arrays)
        assert [digest(r) for r in found] == expected, layout
        assert [digest(a) for a in arrays if is_array(a)] == before, layout
        for result in found:
            assert type(result) is np.ndarray, layout
            assert result.flags.writeable
            assert result.flags.c_contiguous
            assert not any(np.shares_memory(result, a) for a in arrays if is_array(a)), layout


@pytest.mark.parametrize("name", CALLS)
def test_the_reference_takes_every_layout(name):
    op, plain, settings = CALLS[name]
    op = getattr(reference, op.__name__)
    expected = [digest(r) for r in results(op(*plain, **settings))]
    for layout, lay_out in LAYOUTS.items():
        arrays = [lay_out(a) if is_array(a) else a for a in plain]
        found = results(op(*arrays, **settings))
        assert [digest(r) for r in found] == expected, layout
        for result in found:
            assert type(result) is np.ndarray, layout
            assert not any(np.shares_memory(result, a) for a in arrays if is_array(a)), layout


def test_broadcast_arrays(isa):
    """G5: zero strides."""
    one = random(1, 7, 9, 3)
    wide = np.broadcast_to(one, (4, 7, 9, 3))
    np.testing.assert_array_equal(ops.conv2d(wide, W), ops.conv2d(wide.copy(), W))
    np.testing.assert_array_equal(ops.max_pool2d(wide), ops.max_pool2d(wide.copy()))
    dy = np.broadcast_to(np.float32(1), (4, 5, 7, 5))
    for got, wanted in zip(
        ops.conv2d_backward(dy, wide, W), ops.conv2d_backward(dy.copy(), wide.copy(), W), strict=True
    ):
        assert (got is None) == (wanted is None)
        if got is not None:
            np.testing.assert_array_equal(got, wanted)


def test_one_array_in_several_places(isa):
    """G15."""
    a = random(5, 5)
    np.testing.assert_array_equal(ops.dense(a, a), ops.dense(a, a.copy()))
    np.testing.assert_array_equal(ops.multiply(a, a), a * a)
    np.testing.assert_array_equal(ops.mean_squared_error(a, a), np.zeros(5))
    image = random(1, 1, 1, 1)
    np.testing.assert_array_equal(ops.conv2d(image, image, image.reshape(1)), image * image + image)


@pytest.mark.parametrize("value", [np.float32(1), np.float64(1)])
def test_numpy_scalars_are_no_arrays(value):
    """G17."""
    assert_refused(lambda: ops.relu(value), TypeError, "x must be an ndarray.*float")


OUT = [
    ("conv2d", lambda out: ops.conv2d(X, W, out=out), (2, 5, 7, 5)),
    ("conv2d_transpose", lambda out: ops.conv2d_transpose(X, TRANSPOSED, B, out=out), (2, 9, 11, 5)),
    ("max_pool2d", lambda out: ops.max_pool2d(X, out=out), (2, 3, 4, 3)),
    ("global_avg_pool2d", lambda out: ops.global_avg_pool2d(X, out=out), (2, 3)),
    ("dense", lambda out: ops.dense(X2, W2, out=out), (6, 5)),
    ("relu", lambda out: ops.relu(X2, out=out), (6, 11)),
    ("softmax", lambda out: ops.softmax(X2, out=out), (6, 11)),
    ("add", lambda out: ops.add(X2, ROW, out=out), (6, 11)),
    ("flatten", lambda out: ops.flatten(X, out=out), (2, 189)),
    ("pad", lambda out: ops.pad(X2, 1, out=out), (8, 13)),
    ("concatenate", lambda out: ops.concatenate([X2, X2], out=out), (6, 22)),
    ("dropout", lambda out: ops.dropout(X2, 0.5, seed=1, out=out), (6, 11)),
    ("gaussian_noise", lambda out: ops.gaussian_noise(X2, 0.5, seed=1, out=out), (6, 11)),
    ("resize2d", lambda out: ops.resize2d(X, (4, 5), out=out), (2, 4, 5, X.shape[3])),
    ("mean_squared_error", lambda out: ops.mean_squared_error(X2, X2, out=out), (6,)),
]


@pytest.mark.parametrize("name,op,shape", OUT, ids=[o[0] for o in OUT])
def test_out(name, op, shape, isa):
    """G13."""
    expected = op(None)
    out = np.full(shape, np.nan, np.float32)
    assert op(out) is out
    np.testing.assert_array_equal(out, expected)
    at_the_edge = guarded(out)
    np.testing.assert_array_equal(op(at_the_edge), expected)
    bad = [
        (read_only(out), ValueError, "out must be.*writeable"),
        (np.empty((*shape[:-1], shape[-1] + 1), np.float32), ValueError, "out must have the result's shape"),
        (np.empty((1, *shape), np.float32), ValueError, "out must have the result's shape"),
        (np.empty((), np.float32), ValueError, "out must have the result's shape"),
        (out.astype(np.float64), TypeError, "out must have the result's dtype.*float64"),
        (out.astype(">f4"), TypeError, "out must have the result's dtype.*>f4"),
        (out.astype(complex), TypeError, "out must have the result's dtype"),
        (strided(out), ValueError, "out must be C-contiguous"),
        (reversed_axes(out), ValueError, "out must be C-contiguous"),
        (misaligned(1)(out), ValueError, "out must be.*aligned"),
        (out.view(Subclass), TypeError, "out must be an ndarray.*Subclass"),
        (out.tolist(), TypeError, "out must be an ndarray.*list"),
        ("out", TypeError, "out must be an ndarray.*str"),
        (3, TypeError, "out must be an ndarray.*int"),
    ]
    for value, error, words in bad:
        assert_refused(lambda v=value: op(v), error, words)


def test_out_must_not_overlap_an_input():
    x = X2.copy()
    assert_refused(lambda: ops.relu(x, out=x), ValueError, "out must not overlap an input")
    both = np.zeros(200, np.float32)
    x, out = both[:66].reshape(6, 11), both[60:126].reshape(6, 11)
    assert_refused(lambda: ops.relu(x, out=out), ValueError, "out must not overlap an input")
    assert_refused(lambda: ops.add(X2, x, out=x), ValueError, "out must not overlap an input")
