"""Tensors of more than 2^31 elements, in memory that nobody looks at: three of the problems of bench/nightly/large.py; and sums so
long that one number cannot hold them term by term."""

import itertools
import sys

import numpy as np
import pytest

from fastconv import _cpu, ops
from fastconv.testing import virtual
from fastconv.testing.case import Case
from fastconv.testing.large import Local, pieces_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="maps pages as Linux does")

_MORE = 2**31 + 2**16
_PROBLEMS = [
    Local(Case("relu", "flat", {"x": (_MORE + 5,)}), gradient=False),
    Local(Case("conv2d", "1x1", {"x": (_MORE // 1024, 8, 8, 16), "w": (1, 1, 16, 4)}), gradient=False),
    Local(Case("max_pool2d", "2x2", {"x": (_MORE // 1024, 8, 8, 16)}, {"pool_size": 2}), gradient=False),
]


@linux
@pytest.mark.parametrize("problem", _PROBLEMS, ids=str)
def test_more_than_two_to_the_31_elements(problem):
    problem.check()


@pytest.mark.thread_unsafe(reason="replaces an op")
@linux
def test_what_a_wrapped_index_leaves_undone_shows():
    problem = _PROBLEMS[0]
    whole = ops.relu

    def wrapped(x):
        y = whole(x)
        y[2**31 :] = np.nan
        return y

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "relu", wrapped)
        with pytest.raises(AssertionError, match="elements differ"):
            problem.check()


def test_pieces_hold_what_passes_powers_of_two():
    shape = (2**29 + 9, 3, 2)  # 2^31 elements and more, of six a row
    pieces = pieces_of([shape], 0, shape[0], np.random.default_rng(0))
    for flat in (0, 2**28, 2**29, 2**30, 2**31, 6 * shape[0] - 1):
        assert any(begin <= flat // 6 < end for begin, end in pieces), flat
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(pieces))
    assert sum(end - begin for begin, end in pieces) < 20_000


@linux
def test_a_virtual_result_keeps_its_regions_alone():
    shape = (2**20, 2**12)  # 16 GiB
    regions = [(slice(5, 7),), (slice(9, 10), slice(17, 40))]
    y = virtual.unwritten(shape, np.float32, regions)
    assert np.isnan(y[5:7]).all() and np.isnan(y[9, 17:40]).all()
    y[5:7], y[9, 17:40] = 1, 2
    y[-1] = 3  # and whatever shares its memory
    assert (y[5:7] == 1).all() and (y[9, 17:40] == 2).all()


@linux
def test_a_filled_array_is_zero_but_for_its_pieces():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    x = virtual.filled((2, 2**31 + 5), np.float32, [((slice(0, 2), slice(2**31 - 1, 2**31 + 2)), values)])
    np.testing.assert_array_equal(x[:, 2**31 - 1 : 2**31 + 2], values)
    assert not x[:, :1000].any() and not x[:, -3:].any()
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1


@pytest.mark.parametrize(
    "function", (ops.softmax, lambda x: np.exp(ops.log_softmax(x))), ids=("softmax", "log_softmax")
)
def test_a_long_row_sums_to_one(function, isa):
    x = np.full((1, 2**22), -0.35, np.float32)
    x[0, 0] = 0
    assert abs(function(x).sum(dtype=np.float64) - 1) < 4096 * 2**-24


def test_the_loss_of_a_long_row(isa):
    x = np.full((1, 2**22), -0.35, np.float32)
    x[0, 0] = 0
    loss = ops.sparse_categorical_crossentropy(np.int64([0]), x, from_logits=True)
    np.testing.assert_allclose(loss, np.log(np.exp(x.astype(np.float64)).sum()), rtol=4096 * 2**-24)


def test_sparsemax_of_more_equals_than_float32_counts(isa):
    x = np.full((1, 2**24), 5, np.float32)
    np.testing.assert_array_equal(ops.sparsemax(x), np.full(x.shape, 2**-24, np.float32))


@pytest.mark.parametrize("channels", (1, 3))
def test_the_average_of_a_large_image(channels, isa):
    x = np.full((1, 1100, 1000, channels), 0.7, np.float32)
    np.testing.assert_allclose(ops.global_avg_pool2d(x), x[:, 0, 0], rtol=4096 * 2**-24)
    total = ops.sum_pool2d(x, (1100, 1000))
    np.testing.assert_allclose(total[:, 0, 0], 1_100_000 * x[:, 0, 0].astype(np.float64), rtol=4096 * 2**-24)


@pytest.mark.parametrize("precision", ("strict", "fast"))
@pytest.mark.parametrize("kernel", ("conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight"))
def test_scratch_memory_does_not_grow_with_the_lines(kernel, precision, isa):
    before = _cpu.numerics()[0]
    _cpu.set_precision(precision)
    try:
        for stride in (1, 2):
            spec = _cpu.Conv2dSpec.make(
                "float32",
                (1, 3, 2**28, 4),
                (3, 3, 4, 4),
                (stride, stride),
                ((0, 0), (0, 0)),
                (1, 1),
                1,
                ("linear", 1.0, 0.0),
            )
            size = _cpu.workspace_bytes(kernel, spec)
            assert size < 64 << 20, f"stride {stride}: {size} bytes"
    finally:
        _cpu.set_precision(before)
