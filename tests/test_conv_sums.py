"""Convolutions that sum up their results for a batch normalisation: the same results, and exact sums of them."""

import numpy as np
import pytest

from fastconv import layers, models
from fastconv.ops import conv
from fastconv.ops.registry import apply
from fastconv.plan import statistics
from fastconv.testing.graphs import TrainingGraph, same

# x, w, stride, padding, dilation, groups: whole tiles, tails, folded and merged taps, groups, and nothing at all
CASES = {
    "whole tiles": ((3, 16, 32, 32), (3, 3, 32, 32), 1, 1, 1, 1),
    "tails": ((3, 13, 11, 21), (3, 3, 21, 37), 1, 1, 1, 1),
    "merged taps": ((5, 32, 32, 16), (3, 3, 16, 16), 1, 1, 1, 1),
    "folded": ((4, 17, 19, 3), (3, 3, 3, 18), 1, 1, 1, 1),
    "many bands": ((70, 16, 16, 8), (3, 3, 8, 8), 1, 1, 1, 1),
    "many bands and columns": ((8, 24, 22, 72), (3, 3, 72, 170), 1, 1, 1, 1),
    "many columns": ((2, 7, 7, 24), (1, 1, 24, 70), 1, 0, 1, 1),
    "strided": ((4, 16, 16, 16), (3, 3, 16, 32), 2, 1, 1, 1),
    "dilated": ((2, 15, 15, 16), (3, 3, 16, 16), 1, 2, 2, 1),
    "groups": ((2, 9, 9, 32), (3, 3, 16, 32), 1, 1, 1, 2),
    "empty": ((0, 9, 9, 16), (3, 3, 16, 16), 1, 1, 1, 1),
}
RELU = ("relu", 1.0, 0.0)


def kernels(plan):
    return [kernel for kernel, _ in plan.program.steps]


def residual_block():
    x = layers.Input((6, 7, 16))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", use_bias=False)(x)))
    z = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same", use_bias=False)(y)))
    z = layers.BatchNormalization(scale=False)(layers.Conv2D(16, 3, padding="same", use_bias=False)(z))
    return models.Model(x, layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([y, z]))))


def problem(name, dtype):
    x, w, stride, pad, dilation, groups = CASES[name]
    rng = np.random.default_rng(len(name))
    geometry = {"stride": (stride,) * 2, "padding": ((pad,) * 2,) * 2, "dilation": (dilation,) * 2, "groups": groups}
    return rng.standard_normal(x).astype(dtype), rng.standard_normal(w).astype(dtype), geometry, rng


def flat(array):
    return array.reshape(-1, array.shape[-1]).astype(np.longdouble)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("name", CASES)
def test_moments_of_a_forward_pass(name, dtype, isa):
    x, w, geometry, rng = problem(name, dtype)
    bias = 100 * rng.standard_normal(w.shape[-1]).astype(dtype)
    y, moments = apply(conv.FORWARD_MOMENTS, x, w, bias, **geometry)
    np.testing.assert_array_equal(y, apply(conv.FORWARD, x, w, bias, **geometry))
    if y.size == 0:
        np.testing.assert_array_equal(moments, 0)
    else:
        u, rows = np.finfo(dtype).eps, flat(y)
        assert (np.abs(moments[0] - rows.mean(0)) <= 16 * u * (np.abs(moments[0]) + rows.std(0))).all()
        np.testing.assert_allclose(moments[1] / len(rows), rows.var(0).astype(float), rtol=64 * u)


@pytest.mark.parametrize("gated", (False, True))
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("name", CASES)
def test_sums_of_a_backward_pass(name, dtype, gated, isa):
    x, w, geometry, rng = problem(name, dtype)
    dy = rng.standard_normal(apply(conv.FORWARD, x, w, None, **geometry).shape).astype(dtype)
    gate, addend = (rng.standard_normal(x.shape).astype(dtype) for _ in range(2)) if gated else (None, None)
    attrs = {**geometry, "x_shape": x.shape, **({"activation": RELU} if gated else {})}
    mean = rng.standard_normal(x.shape[-1]).astype(dtype)
    dx, sums = apply(conv.BACKWARD_INPUT_SUMS, dy, w, gate, addend, x, mean, **attrs)
    np.testing.assert_array_equal(dx, apply(conv.BACKWARD_INPUT, dy, w, gate, addend, **attrs))
    terms = flat(dx), flat(dx) * (flat(x) - mean)
    bound = [64 * np.finfo(dtype).eps * np.abs(t).sum(0) for t in terms]
    assert (np.abs(sums - [t.sum(0) for t in terms]) <= bound).all()


def test_what_is_not_finite_is_summed_up_too(isa):
    x, w, geometry, _ = problem("merged taps", np.float32)
    x[1, 2, 3, 4] = np.inf
    w = np.abs(w)
    y, moments = apply(conv.FORWARD_MOMENTS, x, w, None, **geometry)
    np.testing.assert_array_equal(y, apply(conv.FORWARD, x, w, None, **geometry))
    assert not np.isfinite(moments).any()


@pytest.mark.parametrize("name", ("merged taps", "many bands", "tails"))
def test_any_number_of_threads_gives_the_same_sums(name, threads, isa):
    x, w, geometry, _ = problem(name, np.float32)
    y, _ = apply(conv.FORWARD_MOMENTS, x, w, None, **geometry)
    mean, found = x.mean((0, 1, 2)), []
    for n in (1, 2, 3, 5):
        threads(n)
        moments = apply(conv.FORWARD_MOMENTS, x, w, None, **geometry)[1]
        sums = apply(conv.BACKWARD_INPUT_SUMS, y, w, None, None, x, mean, x_shape=x.shape, **geometry)[1]
        found.append((moments.tobytes(), sums.tobytes()))
    assert len(set(found)) == 1


def test_plans_gather_what_normalizations_need(isa, monkeypatch):
    monkeypatch.setattr(statistics, "_LEAST_ELEMENTS", 0)
    graph = TrainingGraph(residual_block(), training=True)
    steps = kernels(graph.plan())
    assert "batch_norm_training" not in steps
    assert steps.count("conv2d_forward_moments") == steps.count("batch_norm_training_from_moments") == 3
    assert steps.count("conv2d_backward_input_sums") == steps.count("batch_norm_training_backward_from_sums") == 2
    fused, plain = graph.planned(), graph.planned(fuse=False)
    if isa != "amx":
        same(fused, plain)
    for actual, expected in zip(fused, plain, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_small_arrays_are_left_to_the_normalization():
    steps = kernels(TrainingGraph(residual_block(), training=True).plan())
    assert not [step for step in steps if "moments" in step or "sums" in step]
