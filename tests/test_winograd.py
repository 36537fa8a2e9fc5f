"""Minimal filtering: how exact it is, where it is used, and that precision and thread count do what they promise."""

import numpy as np
import pytest

from fastconv import _cpu, ops
from fastconv import reference as ref
from fastconv.testing.bounds import WINOGRAD_L2, WINOGRAD_MAX
from fastconv.testing.numerics import numerics


def _problem(extent, channels, filters, images=2, size=14, seed=0):
    """Images as after a relu, He-initialized filters."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.standard_normal((images, size, size, channels)), 0).astype(np.float32)
    w = rng.standard_normal((extent, extent, channels, filters)) * np.sqrt(2 / (extent**2 * channels))
    return x, w.astype(np.float32), rng.standard_normal((images, size, size, filters)).astype(np.float32)


def _errors(actual, exact):
    difference = actual - exact
    return np.linalg.norm(difference) / np.linalg.norm(exact), np.abs(difference).max() / np.abs(exact).max()


@pytest.mark.parametrize("extent", [3, 5])
@pytest.mark.parametrize("channels", [1, 16, 64, 512])
def test_errors_stay_below_the_published_bound(extent, channels, isa, prefer):
    x, w, dy = _problem(extent, channels, 32)
    exact = [a.astype(np.float64) for a in (x, w, dy)]
    prefer("winograd")
    y = ops.conv2d(x, w, padding="same")
    dx, dw, _ = ops.conv2d_backward(dy, x, w, padding="same")
    wanted = ref.conv2d(exact[0], exact[1], padding="same")
    wanted_dx, wanted_dw, _ = ref.conv2d_backward(exact[2], exact[0], exact[1], padding="same")
    for actual, expected in ((y, wanted), (dx, wanted_dx), (dw, wanted_dw)):
        l2, largest = _errors(actual, expected)
        assert l2 <= WINOGRAD_L2
        assert largest <= WINOGRAD_MAX


def _algorithm(kernel, x, w):
    return _cpu.algorithm(
        kernel, _cpu.Conv2dSpec.make("float32", x, w, (1, 1), "same", (1, 1), 1, ("linear", 1.0, 0.0))
    )


def test_it_is_chosen_where_it_pays_and_never_in_strict_precision(isa):
    large, small = ((32, 32, 32, 64), (3, 3, 64, 64)), ((1, 4, 4, 2), (3, 3, 2, 2))
    amx = isa == "amx"
    for kernel, without in (("conv2d_forward", "lines"), ("conv2d_backward_input", "direct")):
        assert _algorithm(kernel, *large) == ("amx" if amx else "winograd")
        assert _algorithm(kernel, *small) == without
        with numerics("strict"):
            assert _algorithm(kernel, *large) == ("amx" if amx else "direct")


def test_it_is_not_chosen_where_few_results_of_a_pixel_are_sums_along_its_channels(isa):
    assert _algorithm("conv2d_forward", (16, 32, 32, 64), (3, 3, 64, 1)) != "winograd"
    assert _algorithm("conv2d_backward_input", (16, 32, 32, 1), (3, 3, 1, 64)) != "winograd"


def test_strict_precision_gives_the_direct_results(prefer, isa):
    if isa == "amx":
        pytest.skip("tests/test_amx.py: strict products on AMX tiles have bits of their own")
    x, w, _ = _problem(3, 64, 64, images=4, size=32)
    fast = ops.conv2d(x, w)
    prefer("direct")
    direct = ops.conv2d(x, w)
    with numerics("strict"):
        strict = ops.conv2d(x, w)
    assert np.array_equal(strict, direct)
    assert not np.array_equal(fast, direct)


@pytest.mark.parametrize("extent", [3, 5])
def test_bits_do_not_depend_on_threads(extent, isa, prefer, threads):
    x, w, dy = _problem(extent, 24, 40, images=5, size=19)
    prefer("winograd")
    results = []
    for n in (1, 2, 3, 5):
        threads(n)
        results.append((ops.conv2d(x, w, padding="same"), *ops.conv2d_backward(dy, x, w, padding="same")[:2]))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_infinities_and_nans_reach_the_results_around_them(value, isa, prefer):
    x, w, _ = _problem(3, 16, 16, images=2)
    x[0, 7, 7, 3] = value
    prefer("winograd")
    y = ops.conv2d(x, w, padding="same")
    assert not np.isfinite(y[0, 6:9, 6:9]).any()
    assert np.isfinite(y[1]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_filters_that_are_not_finite_give_the_direct_results(value, isa, prefer):
    """Padding multiplies nothing: a tap outside the image leaves an infinite weight out."""
    x, w, dy = _problem(3, 16, 16, images=2)
    w[0, 1, 3, 5] = value
    results = []
    for algorithm in ("winograd", "direct"):
        prefer(algorithm)
        results.append((ops.conv2d(x, w, padding="same"), ops.conv2d_backward(dy, x, w, padding="same")[0]))
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(actual, expected)
