"""Minimal filtering of few tiles, where every task transforms the filters that it needs: nothing tells it from many."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastconv import _cpu, ops

PROPERTIES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOST_TILES, LEAST_FILTERS = 128, 128  # of few, and for each: has_few_tiles in csrc/cpu/kernels/conv2d_algorithm.h


@st.composite
def problems(draw):
    """An image of few tiles, and as many of them as are not few together; up to three blocks of channels."""
    size, window = draw(st.integers(1, 9)), draw(st.sampled_from((3, 5)))
    channels = draw(st.sampled_from((40, 64, 65, 100, 150)))
    filters = draw(st.sampled_from((64, 100, 129)))
    few = min(MOST_TILES, channels * filters // LEAST_FILTERS)
    tiles = (-(-size // (7 - window))) ** 2
    images = few // tiles + 1
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.standard_normal((images, size, size, channels)).astype(np.float32)
    w = (rng.standard_normal((window, window, channels, filters)) / window).astype(np.float32)
    return x, w


@given(problems(), st.sampled_from((1, 2, 5)), st.sampled_from((None, "relu", "gelu")))
@PROPERTIES
def test_a_sample_alone_has_the_bits_that_it_has_in_a_batch(isa, prefer, threads, problem, count, activation):
    x, w = problem
    bias = np.linspace(-1, 1, w.shape[-1], dtype=np.float32)
    prefer("winograd")
    threads(count)
    together = ops.conv2d(x, w, bias, padding="same", activation=activation)
    dy = together[..., ::-1].copy()
    dx = ops.conv2d_backward(dy, x, w, padding="same")[0]
    for i in {0, len(x) - 1}:
        one = slice(i, i + 1)
        alone = ops.conv2d(x[one], w, bias, padding="same", activation=activation)
        assert alone.tobytes() == together[i].tobytes()
        assert ops.conv2d_backward(dy[one], x[one], w, padding="same")[0].tobytes() == dx[i].tobytes()


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
@given(problem=problems(), data=st.data())
@PROPERTIES
def test_filters_that_are_not_finite_give_the_direct_results(isa, prefer, number, problem, data):
    x, w = problem
    w[tuple(data.draw(st.integers(0, n - 1)) for n in w.shape)] = number
    dy = x[:1, ..., :1] + np.zeros(w.shape[-1], np.float32)
    results = []
    for algorithm in ("winograd", "direct"):
        prefer(algorithm)
        results.append((ops.conv2d(x[:1], w, padding="same"), ops.conv2d_backward(dy, x[:1], w, padding="same")[0]))
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(actual, expected)


def _algorithm(shape, filters):
    spec = _cpu.Conv2dSpec.make(
        "float32", shape, (3, 3, shape[3], filters), (1, 1), "same", (1, 1), 1, ("linear", 1.0, 0.0)
    )
    return _cpu.algorithm("conv2d_forward", spec)


def test_it_is_chosen_for_a_single_image_of_many_channels(isa):
    if isa == "amx":
        pytest.skip("its matrix tiles are faster than minimal filtering wherever that is possible")
    assert _algorithm((1, 14, 14, 512), 512) == "winograd"
    assert _algorithm((4, 7, 7, 512), 512) == "winograd"
    assert _algorithm((1, 2, 2, 512), 512) == "direct"  # a tile of few results: no product is saved
