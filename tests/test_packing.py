"""Filters reach a convolution's tiles packed ahead, packed by the first tile on its way, or in place: nothing tells which."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastconv import ops
from fastconv import reference as ref

PROPERTIES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHANNELS = st.sampled_from((1, 2, 15, 17, 40, 128, 300))  # the last ones: more than one block of taps x channels
FILTERS = st.one_of(st.integers(9, 40), st.sampled_from((64, 65, 130)))  # fewer: lanes run along the channels


@st.composite
def problems(draw):
    """Integers, so that sums are exact; enough images that their filters are packed ahead, and each one's are not."""
    size, window, stride = draw(st.integers(2, 9)), draw(st.sampled_from((1, 3))), draw(st.integers(1, 2))
    channels, filters = draw(CHANNELS), draw(FILTERS)
    pad, dtype = draw(st.integers(0, window // 2)), draw(st.sampled_from((np.float32, np.float64)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    size = max(size, window)
    results = ((size + 2 * pad - window) // stride + 1) ** 2
    x = rng.integers(-4, 5, (300 // results + 1, size, size, channels)).astype(dtype)
    w = rng.integers(-4, 5, (window, window, channels, filters)).astype(dtype)
    return x, w, {"stride": stride, "padding": pad, "activation": draw(st.sampled_from((None, "relu", "relu6")))}


@given(problems())
@PROPERTIES
def test_a_sample_alone_has_the_bits_that_it_has_in_a_batch(isa, prefer, problem):
    x, w, geometry = problem
    prefer("direct")
    x += np.random.default_rng(0).random(x.shape).astype(x.dtype)
    together = ops.conv2d(x, w, **geometry)
    for i in {0, len(x) // 2, len(x) - 1}:
        assert ops.conv2d(x[i : i + 1], w, **geometry).tobytes() == together[i].tobytes()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the reference's 0 times infinity
@given(problems(), st.sampled_from((np.inf, -np.inf, np.nan)), st.data())
@PROPERTIES
def test_a_number_that_is_not_finite_reaches_its_results_and_no_others(isa, prefer, problem, number, data):
    x, w, geometry = problem
    prefer("direct")
    for _ in range(data.draw(st.integers(1, 3))):
        w[tuple(data.draw(st.integers(0, n - 1)) for n in w.shape)] = number
    bias = np.arange(w.shape[-1]).astype(w.dtype)
    for images in (x[:1], x):
        wanted = ref.conv2d(images, w, bias, **geometry)
        np.testing.assert_array_equal(ops.conv2d(images, w, bias, **geometry), wanted)


@pytest.mark.parametrize("rows", (2, 5, 6, 8, 9, 32, 100))
@pytest.mark.parametrize("columns", (9, 16, 17, 40, 64, 100))
def test_few_rows_times_a_matrix(rows, columns, isa):
    rng = np.random.default_rng(rows)
    x, w, dy = (
        rng.integers(-9, 10, shape).astype(np.float32) for shape in ((rows, 1500), (1500, columns), (rows, columns))
    )
    np.testing.assert_array_equal(ops.dense(x, w), x @ w)
    np.testing.assert_array_equal(ops.dense_backward(dy, x, w)[0], dy @ w.T)
