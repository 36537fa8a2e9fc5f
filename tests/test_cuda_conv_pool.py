"""Convolutions that store the maxima of windows alone: the bits of a convolution and a pooling behind it, whichever kernel
computes them; and which plans write them."""

import numpy as np
import pytest

import fastconv
from fastconv import _cpu, _gpu, layers, models
from fastconv import reference as ref
from fastconv.ops import conv, pool
from fastconv.ops.registry import apply
from fastconv.plan import targets
from fastconv.plan.execute import arena_bytes
from fastconv.testing.cuda_convolutions import float_type
from fastconv.testing.emulation import emulated_gpu
from fastconv.testing.graphs import TrainingGraph
from fastconv.testing.numerics import numerics

POOLING = pool.settings("max", 2, None, 0, 1, False)
# x, w, stride, padding, groups, and whether there is a second pass: each kernel, with tails of windows, tiles and columns
CASES = {
    "first layer": ((2, 12, 13, 3), (3, 3, 3, 64), 1, 1, 1, False),
    "first layer, one channel": ((3, 17, 14, 1), (3, 3, 1, 32), 1, 0, 1, False),
    "first layer, large window": ((1, 30, 29, 3), (7, 7, 3, 40), 2, 3, 1, False),
    "small": ((4, 9, 8, 24), (3, 3, 24, 40), 1, 1, 1, False),
    "narrow": ((5, 9, 8, 16), (3, 3, 16, 32), 1, 1, 1, False),
    "two windows": ((1, 2, 5, 16), (1, 1, 16, 24), 1, 0, 1, False),
    "strided": ((2, 22, 11, 16), (3, 3, 16, 32), 2, 1, 1, False),
    "groups": ((3, 7, 7, 32), (3, 3, 16, 48), 1, 1, 2, False),
    "tails": ((2, 11, 10, 17), (3, 2, 17, 37), 1, 1, 1, False),
    "parts": ((1, 5, 5, 136), (3, 3, 136, 72), 1, 1, 1, True),
    "depthwise": ((2, 9, 8, 32), (3, 3, 1, 32), 2, 1, 32, True),
    "narrow groups": ((2, 9, 8, 8), (3, 3, 4, 8), 1, 1, 2, True),
    "empty": ((0, 9, 9, 16), (3, 3, 16, 16), 1, 1, 1, False),
}
LARGE = {
    "large": ((1, 92, 92, 16), (1, 1, 16, 136), 1, 0, 1),
    "winograd": ((1, 57, 54, 192), (3, 3, 192, 192), 1, 1, 1),
}


class Problem:
    """Drawn operands of a case, with everything that an epilogue takes."""

    def __init__(self, gpu, dtype, x, w, stride, pad, groups):
        rng = np.random.default_rng(len(x) + w[-1])
        self.geometry = {"stride": (stride,) * 2, "padding": ((pad,) * 2,) * 2, "dilation": (1, 1), "groups": groups}
        self.x, self.w = (rng.standard_normal(shape).astype(float_type(dtype)) for shape in (x, w))
        self.columns = [rng.uniform(0.5, 2, w[3:]).astype(np.float32) for _ in range(4)]
        self._gpu = gpu

    def _inputs(self, shifted):
        there = [self._gpu.asarray(a) for a in (self.x, self.w)]
        return there + [_shifted(self._gpu, a) if shifted else self._gpu.asarray(a) for a in self.columns]

    def pooled(self, indexed=True, shifted=False):
        attrs = {**self.geometry, "activation": ("relu", 1.0, 0.0), "indexed": indexed}
        return apply(conv.POOLED, *self._inputs(shifted), **attrs)

    def one_after_the_other(self):
        attrs = {**self.geometry, "activation": ("relu", 1.0, 0.0)}
        return apply(pool.INDEXED, apply(conv.NORMALIZED, *self._inputs(False), None, **attrs), **POOLING)


def _shifted(gpu, array):
    """The same numbers where no chunk of 16 bytes begins."""
    there = gpu.empty((array.size + 1,), array.dtype)[1:].reshape(array.shape)
    there.set(array)
    return there


def _bits(arrays):
    return [array.get().tobytes() for array in arrays]


def _launches(call):
    """What ``call`` returns, and how many kernels it launches; None on a device."""
    count = getattr(_gpu.load("[tests]")[1], "launches_run", lambda: None)
    before, result = count(), call()
    return result, None if before is None else count() - before


@pytest.mark.parametrize("precision", ("fast", "strict"))
@pytest.mark.parametrize("dtype", ("float32", "float16", "bfloat16"))
@pytest.mark.parametrize("name", CASES)
def test_the_bits_are_those_of_the_two(name, dtype, precision, gpu):
    *case, second_pass = CASES[name]
    with numerics(precision):
        problem = Problem(gpu, dtype, *case)
        actual, launches = _launches(problem.pooled)
        expected, of_two = _launches(problem.one_after_the_other)
        assert _bits(actual) == _bits(expected)
        assert _bits([problem.pooled(indexed=False)]) == _bits(expected[:1])
        assert _bits(problem.pooled(shifted=True)) == _bits(expected)
        if launches is not None and not second_pass:
            assert launches == (of_two - 1 if len(problem.x) else 0)


@pytest.mark.parametrize("gpu", ["reversed"], indirect=True)
@pytest.mark.parametrize("name", LARGE)
def test_large_tiles_and_minimal_filtering(name, gpu):
    problem = Problem(gpu, "float32", *LARGE[name])
    actual, launches = _launches(problem.pooled)
    expected, of_two = _launches(problem.one_after_the_other)
    assert _bits(actual) == _bits(expected)
    assert _bits([problem.pooled(indexed=False)]) == _bits(expected[:1])
    assert launches is None or launches == of_two - 1 == (4 if name == "winograd" else 1)


@pytest.mark.parametrize("dtype", ("float32", "bfloat16"))
def test_gpus_before_sm_80(dtype, emulated_module):
    with emulated_gpu(emulated_module) as gpu:
        emulated_module.set_capability(75)
        try:
            for name in ("first layer", "small", "tails"):
                problem = Problem(gpu, dtype, *CASES[name][:-1])
                assert _bits(problem.pooled()) == _bits(problem.one_after_the_other())
        finally:
            emulated_module.set_capability(80)


def test_hoppers_kernels_have_a_pooling_behind_them(hopper, strict):
    problem = Problem(hopper, "float16", (2, 9, 8, 64), (3, 3, 64, 64), 1, 1, 1)
    assert _bits(problem.pooled()) == _bits(problem.one_after_the_other())


@pytest.mark.parametrize("dtype", ("float32", "float16"))
@pytest.mark.parametrize("name", ("first layer", "small", "tails"))
def test_the_reference_agrees(name, dtype, any_gpu):
    """Integers, whose sums are exact, with equals among the cells of many windows; NaN wins."""
    x, w, stride, pad, groups, _ = CASES[name]
    problem = Problem(any_gpu, dtype, x, w, stride, pad, groups)
    rng = np.random.default_rng(0)
    problem.x, problem.w = (rng.integers(-2, 3, a.shape).astype(a.dtype) for a in (problem.x, problem.w))
    problem.columns = [rng.integers(-2, 3, w[3:]).astype(np.float32) for _ in range(4)]
    problem.x[0, 3, 4, 0] = np.nan
    actual, index = (a.get() for a in problem.pooled())
    x64, w64, bias, mean, scale, shift = (np.asarray(a, np.float64) for a in (problem.x, problem.w, *problem.columns))
    y = ref.conv2d(x64, w64, bias, **problem.geometry)
    y = (y - mean) * scale + shift
    y = np.where(y < 0, 0, y)
    expected = ref.max_pool2d(y, 2)
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(actual.astype(np.float64), expected)
    n, p, q, k = y.shape
    windows = y[:, : p // 2 * 2, : q // 2 * 2].reshape(n, p // 2, 2, q // 2, 2, k).transpose(0, 1, 3, 5, 2, 4)
    np.testing.assert_array_equal(index, windows.reshape(*expected.shape, 4).argmax(-1))  # the first one; NaN, too


@pytest.mark.parametrize("name", ("first layer", "small", "narrow", "tails"))
def test_the_order_of_threads_does_not_show(name, emulated_module):
    found = set()
    for order in ("forward", "reversed", "shuffled"):
        with emulated_gpu(emulated_module, order) as gpu:
            found.add(b"".join(_bits(Problem(gpu, "float16", *CASES[name][:-1]).pooled())))
    assert len(found) == 1


def network(pooling=None, activation="relu", batch_norm=False):
    x = layers.Input((9, 8, 3))
    y = layers.Conv2D(8, 3, padding="same", activation=None if batch_norm else activation)(x)
    if batch_norm:
        y = layers.ReLU()(layers.BatchNormalization()(y))
    y = (pooling or layers.MaxPooling2D())(y)
    return models.Model(x, layers.Dense(3)(layers.Flatten()(y)))


def _kernels(plan):
    return [kernel for kernel, _ in plan.program.steps]


@pytest.mark.parametrize("training", (False, True))
def test_plans_of_a_gpu_pool_in_convolutions(training, on_gpu):
    graph = TrainingGraph(network(), training=training)
    steps = _kernels(graph.plan())
    assert steps.count("conv2d_pool_forward") == 1
    assert not {"conv2d_forward", "pool2d_forward"} & set(steps)
    for actual, expected in zip(graph.planned(), graph.planned(fuse=False), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_normalization_for_inference_is_taken_along(on_gpu):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 9, 8, 3), np.float32)
    fastconv.set_device("cpu")
    model = network(batch_norm=True)
    model.set_weights([rng.uniform(0.5, 2, w.shape).astype(w.dtype) for w in model.get_weights()])
    expected = model.predict(x)
    fastconv.set_device("cuda")
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-5)
    (plan,) = [p.plan for p in model._plans["predict"]._plans.values() if "conv2d_pool_forward" in _kernels(p.plan)]
    assert not [step for step in _kernels(plan) if "batch_norm_inference" in step or "pool2d" in step]


@pytest.mark.parametrize(
    "model",
    [
        network(layers.MaxPooling2D(3, strides=2)),
        network(layers.MaxPooling2D(2, strides=1)),
        network(layers.MaxPooling2D(padding="same")),  # nine lines: one window more
        network(layers.AveragePooling2D()),
        network(activation="gelu"),  # its gradient reads what nobody would have stored
    ],
    ids=["3x3", "overlapping", "same", "average", "gelu"],
)
def test_other_poolings_run_behind_the_convolution(model, on_gpu):
    steps = _kernels(TrainingGraph(model, training=True).plan())
    assert "conv2d_pool_forward" not in steps
    assert "pool2d_forward" in steps


def test_plans_of_a_cpu_do_not():
    assert "conv2d_pool_forward" in _cpu.missing_kernels()
    assert "conv2d_pool_forward" not in _kernels(TrainingGraph(network(), training=True).plan())


def test_memory_is_counted_for_such_a_plan(on_gpu, monkeypatch):
    """What summary() tells of inference: less than for a device that has to keep the convolution's results."""
    graph = TrainingGraph(network(), training=False)
    fused = arena_bytes(graph.inputs, graph.outputs)
    monkeypatch.setattr(targets, "missing_kernels", lambda: ["conv2d_pool_forward"])
    assert fused < arena_bytes(graph.inputs, graph.outputs)
