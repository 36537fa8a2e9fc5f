"""Pooling up close: the winners' numbers, windows of every kind of overlap and size, and what plans make of them."""

import numpy as np
import pytest

from fastconv import _cpu, ops
from fastconv import reference as ref
from fastconv.autodiff import gradients
from fastconv.graph import Value, tracing
from fastconv.plan import Plan

WINDOWS = {
    "2x2": {"pool_size": 2},
    "3x3 overlapping": {"pool_size": 3, "stride": 2, "padding": 1},
    "gaps": {"pool_size": 2, "stride": 3},
    "dilated": {"pool_size": 2, "stride": 3, "dilation": 2, "padding": 1},
    "many over a cell": {"pool_size": 9, "stride": 1, "padding": 4},
    "one byte": {"pool_size": 16, "stride": 5},
    "more than one byte": {"pool_size": 17, "stride": 4},
}


def _images(channels):
    """Integers with many ties, so that every sum is exact."""
    return np.random.default_rng(channels).integers(-9, 9, (2, 21, 19, channels)).astype(np.float32)


@pytest.mark.parametrize("kind", ("max", "min", "sum"))
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("channels", (1, 6, 32))
def test_gradients_are_exact(kind, window, channels, isa):
    x = _images(channels)
    y = getattr(ref, f"{kind}_pool2d")(x, **WINDOWS[window])
    dy = np.random.default_rng(0).integers(1, 9, y.shape).astype(np.float32)
    np.testing.assert_array_equal(getattr(ops, f"{kind}_pool2d")(x, **WINDOWS[window]), y)
    backward = f"{kind}_pool2d_backward"
    wanted = getattr(ref, backward)(dy, x, **WINDOWS[window])[0]
    np.testing.assert_array_equal(getattr(ops, backward)(dy, x, **WINDOWS[window])[0], wanted)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_the_index_numbers_the_first_maximum(dtype, isa):
    x = _images(5).astype(dtype)
    spec = _cpu.Pool2dSpec.make(dtype, "max", x.shape, (3, 2), (3, 2), ((0, 0), (0, 0)), (1, 1), False, False)
    y, index = np.empty(spec.shape("y"), dtype), np.empty(spec.shape("index"), np.uint8)
    _cpu.run("pool2d_forward", spec, [x, y, index])
    n, p, q, c = y.shape
    windows = x[:, : 3 * p, : 2 * q].reshape(n, p, 3, q, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, p, q, c, 6)
    np.testing.assert_array_equal(index, windows.argmax(-1))
    np.testing.assert_array_equal(y, windows.max(-1))


@pytest.mark.parametrize("window", ("2x2", "3x3 overlapping", "more than one byte"))
def test_a_plan_keeps_the_winners_instead_of_x(window, isa):
    data = _images(16)
    with tracing():
        x = Value(data.shape, "float32")
        y = ops.max_pool2d(x, **WINDOWS[window])
        dy = Value(y.shape, "float32")
        (dx,) = gradients([y], [dy], [x])
    cotangent = np.random.default_rng(1).integers(1, 9, dy.shape).astype(np.float32)
    plan = Plan([x, dy], [y, dx])
    plan.array(x)[...], plan.array(dy)[...] = data, cotangent
    plan.run()
    np.testing.assert_array_equal(plan.array(y), ref.max_pool2d(data, **WINDOWS[window]))
    np.testing.assert_array_equal(plan.array(dx), ref.max_pool2d_backward(cotangent, data, **WINDOWS[window])[0])
    backward = "pool2d_backward" if window == "more than one byte" else "pool2d_backward_from_index"
    assert [kernel for kernel, _ in plan.program.steps] == ["pool2d_forward", backward]


@pytest.mark.parametrize("window", WINDOWS)
def test_the_same_bits_for_any_number_of_threads(window, threads, isa):
    x = np.random.default_rng(2).standard_normal((9, 40, 44, 24)).astype(np.float32)
    found = set()
    for count in (1, 2, 3, 5):
        threads(count)
        y = ops.max_pool2d(x, **WINDOWS[window])
        gradient = ops.max_pool2d_backward(y, x, **WINDOWS[window])[0]
        average = ops.avg_pool2d_backward(y, x, **WINDOWS[window])[0]
        found.add(y.tobytes() + gradient.tobytes() + average.tobytes())
    assert len(found) == 1
