"""The gradient of the input of few channels, all taps of a filter row at once: the products of direct sums, in another
order."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastconv import _cpu, ops

PROPERTIES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def problems(draw):
    """dy, w, the settings and x's shape: integers, so that every order of summation gives the same. Columns of up to
    several panels; lines of several bands and such as are one; strides that leave pixels without a tap."""
    images, height, width = draw(st.integers(1, 2)), draw(st.integers(1, 24)), draw(st.integers(1, 24))
    channels, filters = draw(st.integers(1, 24)), draw(st.integers(1, 20))
    window = tuple(draw(st.integers(1, min(7, extent))) for extent in (height, width))
    pairs = {name: tuple(draw(st.integers(1, 3)) for _ in "hw") for name in ("stride", "dilation")}
    pads = tuple(tuple(draw(st.integers(0, n)) for _ in "be") for n in window)
    extents = zip((height, width), window, pairs["dilation"], pads, strict=True)
    if any(n + sum(pad) <= (r - 1) * d for n, r, d, pad in extents):
        pairs["dilation"] = (1, 1)
    options = {**pairs, "padding": pads}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = np.zeros((images, height, width, channels), np.float32)
    w = rng.integers(-4, 5, (*window, channels, filters)).astype(np.float32)
    dy = rng.integers(-4, 5, ops.conv2d(x, w, **options).shape).astype(np.float32)
    return dy, x, w, options


def both(prefer, dy, x, w, options):
    results = []
    for algorithm in ("col2im", "direct"):
        prefer(algorithm)
        results.append(ops.conv2d_backward(dy, x, w, **options)[0])
    return results


@given(problems(), st.sampled_from((1, 3)))
@PROPERTIES
def test_it_gives_what_direct_sums_give(isa, prefer, threads, guarded_results, problem, count):
    threads(count)
    actual, expected = both(prefer, *problem)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("number", [np.inf, np.nan])
@given(problem=problems(), data=st.data())
@PROPERTIES
def test_what_is_not_finite_reaches_the_same_pixels(isa, prefer, guarded_results, number, problem, data):
    dy, x, w, options = problem
    for array in (dy, w):
        array[tuple(data.draw(st.integers(0, n - 1)) for n in array.shape)] = number
    actual, expected = both(prefer, dy, x, w, options)
    np.testing.assert_array_equal(actual, expected)


@given(problems())
@PROPERTIES
def test_bits_do_not_depend_on_threads_or_on_the_batch(isa, prefer, threads, guarded_results, problem):
    dy, x, w, options = problem
    w /= 3  # sums are rounded
    prefer("col2im")
    threads(1)
    alone = np.concatenate([ops.conv2d_backward(dy[i : i + 1], x[i : i + 1], w, **options)[0] for i in range(len(x))])
    threads(5)
    assert ops.conv2d_backward(dy, x, w, **options)[0].tobytes() == alone.tobytes()


def test_long_lines_are_left_to_direct_sums(isa, prefer):
    """A line of columns would not stay in a core's memory."""
    prefer("col2im")
    assert _algorithm((1, 4, 3_000, 8), 4, 3) == "direct"
    assert _algorithm((1, 4, 2_000, 8), 4, 3) == "col2im"


@pytest.mark.parametrize(
    "shape, filters, window, options",
    [
        ((128, 14, 14, 6), 16, 5, {"padding": "valid"}),  # LeNet-5
        ((64, 12, 12, 20), 50, 5, {"padding": "valid"}),  # the same in Caffe's examples
        ((64, 28, 28, 1), 8, 5, {}),
        ((64, 32, 32, 3), 64, 5, {"stride": 2}),  # a discriminator's first layer, or a generator's last
    ],
)
def test_it_is_chosen_where_channels_leave_registers_empty(isa, strict, shape, filters, window, options):
    if isa == "amx" and shape[-1] >= 4:
        pytest.skip("its matrix tiles are preferred wherever they can be")
    if isa == "baseline":
        pytest.skip("so many channels fill registers of four numbers")
    assert _algorithm(shape, filters, window, **options) == "col2im"


@pytest.mark.parametrize("channels", [32, 64])
def test_it_is_not_chosen_where_channels_fill_them(isa, strict, channels):
    assert _algorithm((8, 16, 16, channels), 32, 3) != "col2im"


def _algorithm(shape, filters, window, stride=1, padding="same"):
    spec = _cpu.Conv2dSpec.make(
        "float32",
        shape,
        (window, window, shape[3], filters),
        (stride, stride),
        padding,
        (1, 1),
        1,
        ("linear", 1.0, 0.0),
    )
    return _cpu.algorithm("conv2d_backward_input", spec)
