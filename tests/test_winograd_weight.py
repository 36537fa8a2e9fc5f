"""Weight gradients by minimal filtering: error, ragged extents, numbers that are not finite, threads."""

import numpy as np
import pytest

from fastconv import _cpu, ops
from fastconv import reference as ref
from fastconv.testing.bounds import WINOGRAD_L2, WINOGRAD_MAX
from fastconv.testing.memory import guarded

SHAPES = [  # N, H, W, C, K, window, padding
    (2, 8, 8, 32, 32, 3, 1),
    (2, 9, 11, 17, 33, 3, 1),
    (1, 3, 3, 16, 16, 3, 1),
    (1, 1, 1, 5, 3, 3, 1),
    (3, 14, 7, 70, 130, 3, ((2, 0), (1, 3))),
    (5, 26, 26, 32, 64, 3, 0),
    (1, 5, 6, 1, 1, 3, 4),
    (2, 12, 12, 20, 40, 5, 2),
    (2, 6, 7, 3, 70, 5, 3),
    (0, 6, 6, 16, 16, 3, 1),
]


def _problem(shape, draw):
    n, h, w, c, k, window, padding = shape
    x, filters = draw((n, h, w, c)), np.zeros((window, window, c, k), np.float32)
    bias = np.zeros(k, np.float32)
    dy = draw(ops.conv2d(x, filters, bias, padding=padding).shape)
    return dy, x, filters, bias, padding


def _gradients(problem):
    dy, x, filters, bias, padding = problem
    return ops.conv2d_backward(dy, x, filters, bias, padding=padding, needs=(False, True, True))[1:]


def _normal(shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_error_is_within_the_published_bound(shape, isa, prefer, guarded_results):
    dy, x, filters, bias, padding = _problem(shape, _normal)
    expected = ref.conv2d_backward(*(a.astype(np.float64) for a in (dy, x, filters, bias)), padding=padding)[1]
    prefer("winograd")
    dw, _ = _gradients((guarded(dy), guarded(x), filters, bias, padding))
    assert np.linalg.norm(dw - expected) <= WINOGRAD_L2 * np.linalg.norm(expected)
    assert np.abs(dw - expected).max() <= WINOGRAD_MAX * np.abs(expected).max()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integers_round_to_the_exact_result(shape, isa, prefer):
    problem = _problem(shape, lambda s: np.random.default_rng(sum(s)).integers(-4, 5, s).astype(np.float32))
    prefer("direct")
    expected = _gradients(problem)
    prefer("winograd")
    dw, dbias = _gradients(problem)
    np.testing.assert_array_equal(np.rint(dw), expected[0])
    np.testing.assert_array_equal(dbias, expected[1])


def test_infinities_and_nan_go_where_direct_sums_put_them(isa, prefer):
    problem = _problem((2, 9, 8, 16, 16, 3, 1), _normal)
    problem[0][0, 0, 0, 3] = np.inf
    problem[1][1, 4, 4, 5] = np.nan
    prefer("direct")
    expected = _gradients(problem)
    prefer("winograd")
    for actual, wanted in zip(_gradients(problem), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize(
    "shape",
    [
        (8, 30, 30, 40, 72, 3, 1),
        (1, 9, 9, 70, 40, 3, 1),  # one task for one thread, of fewer channels for several
        (2, 8, 8, 150, 140, 3, 1),  # parts enough for several threads as it is
        (9, 14, 14, 130, 90, 5, 2),
    ],
    ids=str,
)
def test_bits_do_not_depend_on_the_threads(shape, isa, prefer, threads):
    problem = _problem(shape, _normal)
    prefer("winograd")
    results = []
    for count in (1, 2, 3, 5, 16):
        threads(count)
        results.append(b"".join(g.tobytes() for g in _gradients(problem)))
    assert len(set(results)) == 1


@pytest.mark.parametrize(
    "x, w, algorithm",
    [
        ((32, 32, 32, 64), (3, 3, 64, 64), "winograd"),
        ((128, 32, 32, 16), (3, 3, 16, 16), "winograd"),
        ((128, 32, 32, 1), (3, 3, 1, 32), "lines"),  # transforms cost more than a single channel
        ((1, 2, 2, 256), (3, 3, 256, 256), "direct"),  # so does the last transform, for a single tile
    ],
)
def test_it_is_chosen_where_it_pays(x, w, algorithm, isa):
    spec = _cpu.Conv2dSpec.make("float32", x, w, (1, 1), "same", (1, 1), 1, ("linear", 1.0, 0.0))
    chosen = _cpu.algorithm("conv2d_backward_weight", spec)
    assert chosen == ("amx" if isa == "amx" and algorithm == "winograd" else algorithm)
