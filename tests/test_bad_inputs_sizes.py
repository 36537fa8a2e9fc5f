"""Sizes that no machine holds: refused before anything is allocated. bad_inputs.md H, P10, P11."""

import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from fastconv import layers, models, ops, reference
from fastconv.testing.memory import resident_bytes
from fastconv.testing.refusal import assert_refused


def f32(*shape):
    return np.zeros(shape, np.float32)


def huge(*shape):
    """An array of any size in four bytes."""
    return np.broadcast_to(np.float32(0), shape)


IMAGES = huge(2**20, 4, 4, 2**18)  # 16 TiB
ROWS = huge(2**20, 2**20)  # 4 TiB
W = f32(3, 3, 3, 4)
CALLS = [
    ("H1", lambda f: f.conv2d(huge(2**31, 3, 3, 1), f32(3, 3, 1, 1)), MemoryError),
    ("H2", lambda f: f.conv2d(huge(2**40, 3, 3, 3), W), MemoryError),
    ("H3", lambda f: f.conv2d(huge(2**20, 1, 1, 2**20), huge(1, 1, 2**20, 2**20)), MemoryError),
    ("H5", lambda f: f.conv2d(f32(2, 8, 8, 3), W, padding=60000), MemoryError),
    ("H5b", lambda f: f.conv2d(f32(2, 8, 8, 3), W, padding=2**31 - 1), (MemoryError, ValueError)),
    ("H6", lambda f: f.conv2d_transpose(f32(1, 8, 8, 3), f32(3, 3, 4, 3), stride=2**17), MemoryError),
    ("H6b", lambda f: f.conv2d_transpose(f32(1, 8, 8, 3), f32(3, 3, 4, 3), dilation=2**18), MemoryError),
    (
        "filter gradient",
        lambda f: f.conv2d_backward(huge(1, 1, 1, 2**40), f32(1, 3, 3, 3), huge(3, 3, 3, 2**40)),
        MemoryError,
    ),
    ("input gradient", lambda f: f.conv2d_backward(huge(2**32, 1, 1, 4), huge(2**32, 3, 3, 3), W), MemoryError),
    ("depthwise", lambda f: f.conv2d(IMAGES, huge(1, 1, 1, 2**18), groups=2**18), MemoryError),
    ("max_pool2d", lambda f: f.max_pool2d(IMAGES), MemoryError),
    ("max_pool2d_backward", lambda f: f.max_pool2d_backward(huge(2**20, 2, 2, 2**18), IMAGES), MemoryError),
    ("global_avg_pool2d", lambda f: f.global_avg_pool2d(IMAGES), MemoryError),
    ("global_max_pool2d_backward", lambda f: f.global_max_pool2d_backward(huge(2**20, 2**18), IMAGES), MemoryError),
    ("E13", lambda f: f.dense(huge(2**20, 1), huge(1, 2**20)), MemoryError),
    ("E13b", lambda f: f.dense(f32(2, 4), huge(4, 2**40)), MemoryError),
    ("E13c", lambda f: f.dense(huge(2**40, 1), huge(1, 2**40)), (MemoryError, ValueError)),
    ("relu", lambda f: f.relu(ROWS), MemoryError),
    ("gelu_backward", lambda f: f.gelu_backward(ROWS, ROWS), MemoryError),
    ("softmax", lambda f: f.softmax(ROWS), MemoryError),
    ("layer_norm", lambda f: f.layer_norm(ROWS, huge(2**20), huge(2**20)), MemoryError),
    ("batch_norm", lambda f: f.batch_norm(ROWS, *[huge(2**20)] * 4, training=True), MemoryError),
    ("dropout", lambda f: f.dropout(ROWS, 0.5, seed=1), MemoryError),
    ("gaussian_noise", lambda f: f.gaussian_noise(ROWS, 0.5, seed=1), MemoryError),
    ("resize2d", lambda f: f.resize2d(IMAGES, (3, 5)), MemoryError),
    ("resize2d far", lambda f: f.resize2d(f32(1, 2, 2, 3), 2**31 - 1), (MemoryError, ValueError)),
    ("resize2d_backward", lambda f: f.resize2d_backward(huge(2**20, 2, 2, 2**18), IMAGES, 2), MemoryError),
    ("add", lambda f: f.add(huge(2**21, 1), huge(2**21)), MemoryError),
    ("add overflow", lambda f: f.add(huge(2**40, 1), huge(2**40)), (MemoryError, ValueError)),
    ("pad", lambda f: f.pad(f32(2, 3), 2**25), MemoryError),
    ("pad overflow", lambda f: f.pad(f32(2, 3), 2**31 - 1), (MemoryError, ValueError)),
    ("pad extent", lambda f: f.pad(f32(2, 3), 2**62), ValueError),
    ("concatenate", lambda f: f.concatenate([ROWS] * 3), MemoryError),
    ("flatten", lambda f: f.flatten(IMAGES), MemoryError),
    ("mean_squared_error", lambda f: f.mean_squared_error(ROWS, ROWS), MemoryError),
    ("categorical", lambda f: f.categorical_crossentropy(ROWS, ROWS), MemoryError),
    ("binary", lambda f: f.binary_crossentropy(ROWS, ROWS), MemoryError),
    (
        "sparse",
        lambda f: f.sparse_categorical_crossentropy(np.broadcast_to(np.int64(0), (2**40,)), huge(2**40, 2)),
        MemoryError,
    ),
]


@pytest.mark.thread_unsafe(reason="looks at the clock and at the memory of the whole process")
@pytest.mark.parametrize("lib", [ops, reference], ids=["ops", "reference"])
@pytest.mark.parametrize("call,error", [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_hostile_sizes_are_refused_at_once(lib, call, error):
    before, start = resident_bytes(), time.monotonic()
    try:
        call(lib)
    except Exception as caught:
        kind = type(caught)
        allowed = error if isinstance(error, tuple) else (error,)
        assert kind in allowed, f"{kind.__name__}: {caught}"
        words = "bytes|too large|overflow|must broadcast"
        assert_refused(lambda: call(lib), kind, words)
    else:
        raise AssertionError("not refused")
    assert time.monotonic() - start < 1
    assert resident_bytes() - before < 8 << 20


def test_weights_of_a_hostile_layer_are_never_drawn():
    before = resident_bytes()
    x = layers.Input((2**20,))
    assert_refused(lambda: layers.Dense(2**30)(x), MemoryError, "kernel.*bytes")
    assert_refused(lambda: layers.Conv2D(2**31 - 1, 1000)(layers.Input((1000, 1000, 3))), MemoryError, "kernel.*bytes")
    assert_refused(
        lambda: layers.DepthwiseConv2D(1, depth_multiplier=2**31 - 1)(layers.Input((1, 1, 2**20))),
        MemoryError,
        "kernel.*bytes",
    )
    assert_refused(lambda: layers.BatchNormalization()(layers.Input((2**40,))), MemoryError, "gamma.*bytes")
    assert_refused(lambda: layers.PReLU()(layers.Input((2**20, 2**20))), MemoryError, "alpha.*bytes")
    model = models.Sequential([layers.Input((8, 8, 1)), layers.ZeroPadding2D(2**20)])
    assert_refused(lambda: model.predict(f32(1, 8, 8, 1)), MemoryError, "bytes")
    assert resident_bytes() - before < 8 << 20


def test_sizes_that_are_only_large_work(isa):
    """H7 in small: more than 2**16 rows, planes or channels on any axis."""
    assert ops.conv2d(f32(70000, 1, 1, 1), f32(1, 1, 1, 1)).shape == (70000, 1, 1, 1)
    assert ops.conv2d(f32(1, 1, 1, 70000), f32(1, 1, 70000, 1)).shape == (1, 1, 1, 1)
    assert ops.max_pool2d(f32(1, 2, 140000, 1)).shape == (1, 1, 70000, 1)
    x = np.ones((70000, 2), np.float32)
    np.testing.assert_array_equal(ops.softmax(x), np.full((70000, 2), 0.5))
    y = ops.conv2d(np.ones((1, 8, 8, 1), np.float32), np.ones((3, 3, 1, 1), np.float32), padding=300)
    assert y.sum() == 64 * 9


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is enforced on Linux")
def test_under_an_address_space_limit():
    """H9: a MemoryError of ours, and the next call is right."""
    script = """
        import resource
        import numpy as np
        import fastconv
        from fastconv import layers, models, ops

        fastconv.set_num_threads(2)
        x, w = np.ones((1, 64, 64, 4), np.float32), np.ones((3, 3, 4, 4), np.float32)
        ops.conv2d(x, w)
        limit = 2 << 30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        small = np.broadcast_to(x, (1, 64, 64, 4))

        def refused(call):
            try:
                call()
            except MemoryError as error:
                assert type(error) is MemoryError, type(error)
                assert str(error).startswith("["), str(error)
                assert "bytes" in str(error) or "memory" in str(error), str(error)
            else:
                raise AssertionError("not refused")

        for _ in range(3):
            refused(lambda: ops.pad(x, ((0, 0), (0, 0), (0, 3_200_000), (0, 0))))          # 3 GiB
            refused(lambda: ops.conv2d(x, np.broadcast_to(w[:, :, :, :1], (3, 3, 4, 250_000))))
            refused(lambda: ops.relu(np.broadcast_to(np.float32(1), (800_000_000,))))
            model = models.Sequential([layers.Input((64, 64, 4)), layers.Conv2D(4, 3)])
            refused(lambda: model.predict(np.broadcast_to(x, (60_000, 64, 64, 4)), batch_size=60_000))
            assert abs(ops.conv2d(x, w)[0, 0, 0, 0] - 36) < 1e-3
            assert model.predict(x).shape == (1, 62, 62, 4)
        print("right")
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "right"
