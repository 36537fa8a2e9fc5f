"""Minimal filtering on a GPU: errors below the published bound; strict precision and few tiles go without."""

import numpy as np
import pytest

from fastconv import _cpu, _gpu
from fastconv import reference as ref
from fastconv.testing.bounds import WINOGRAD_L2, WINOGRAD_MAX
from fastconv.testing.emulation import emulated_gpu
from fastconv.testing.numerics import numerics

# 14 x 13 tiles that stick out on two sides: about as few as are enough
X, W, PADDING = (1, 54, 50, 192), (3, 3, 192, 192), ((1, 1), (0, 2))
GEOMETRY = {"stride": (1, 1), "padding": PADDING, "dilation": (1, 1), "groups": 1}


def _spec(x, w, activation=("relu", 1.0, 0.0)):
    return _cpu.Conv2dSpec.make("float32", x, w, *GEOMETRY.values(), activation)


def _operands():
    """Images as after a relu, He-initialized filters, and what epilogues take."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal(X, np.float32), 0)
    w = (rng.standard_normal(W) * np.sqrt(2 / (9 * W[2]))).astype(np.float32)
    dy, addend, bias = (rng.standard_normal(shape, np.float32) for shape in (X, X, W[3:]))
    return x, w, dy, addend, bias


def _exact(*arrays):
    return [a.astype(np.float64) for a in arrays]


def _run(gpu, kernel, spec, tensors, result):
    module = _gpu.load("[tests]")[1]  # queues on the streams of `gpu`
    arrays = [None if t is None else gpu.asarray(t) for t in tensors]
    output = gpu.empty(tuple(spec.shape(result)), np.float32)
    workspace = gpu.empty((module.workspace_bytes(kernel, spec) + 1,), np.uint8)
    before = module.launches_run()
    module.run(kernel, spec, [*arrays, output], workspace.data.ptr, 0)
    assert module.launches_run() - before >= 4  # filter, images, their product, results: it was minimal filtering
    return output.get()


def _assert_within_the_bound(actual, exact):
    difference = actual - exact
    assert np.linalg.norm(difference) <= WINOGRAD_L2 * np.linalg.norm(exact)
    assert np.abs(difference).max() <= WINOGRAD_MAX * np.abs(exact).max()


def test_errors_of_results_stay_below_the_published_bound(emulated_module):
    x, w, _, addend, bias = _operands()
    with emulated_gpu(emulated_module) as gpu:
        tensors = [x, w, bias, None, None, None, addend]
        y = _run(gpu, "conv2d_forward", _spec(X, W), tensors, "y")
    _assert_within_the_bound(y, np.maximum(ref.conv2d(*_exact(x, w, bias), **GEOMETRY) + addend, 0))


def test_errors_of_gradients_stay_below_it_before_sm_80_too(emulated_module):
    x, w, dy, addend, bias = _operands()
    emulated_module.set_capability(75)
    try:
        with emulated_gpu(emulated_module, "reversed") as gpu:
            dx = _run(gpu, "conv2d_backward_input", _spec(X, W), [dy, w, x, addend], "dx")
    finally:
        emulated_module.set_capability(80)
    wanted = ref.conv2d_backward(*_exact(dy, x, w, bias), **GEOMETRY)[0]
    _assert_within_the_bound(dx, np.where(x > 0, wanted + addend, 0))


@pytest.mark.parametrize("kernel", ("conv2d_forward", "conv2d_backward_input"))
def test_it_is_taken_where_it_pays_and_never_in_strict_precision(kernel, emulated_module):
    """Seen by its workspace: 36 numbers per weight and per channel and filter of a tile, at least."""
    weights, tiles = 4 * 36 * W[2] * W[3], 4 * 36 * 14 * 13 * (W[2] + W[3])
    assert emulated_module.workspace_bytes(kernel, _spec(X, W)) >= weights + tiles
    assert emulated_module.workspace_bytes(kernel, _spec((1, 8, 8, 192), W)) < weights
    with numerics("strict"):
        assert emulated_module.workspace_bytes(kernel, _spec(X, W)) == 0
