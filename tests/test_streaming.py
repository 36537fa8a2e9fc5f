"""Results of 32 MiB and more, or of pooling as much, are written past the caches: the bits of any size, at any address."""

import numpy as np
import pytest

from fastconv import ops
from fastconv.graph import Value, tracing
from fastconv.plan import Plan

LARGE = 2**23 + 1021  # float32 elements: a little more than the size from which results are streamed
SMALL = 2**20


def _pieces(f, *arrays, rows=SMALL):
    """f on small parts of the arrays, which are never streamed."""
    return np.concatenate([f(*(a[i : i + rows] for a in arrays)) for i in range(0, len(arrays[0]), rows)])


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal(LARGE, dtype=np.float32)


@pytest.mark.parametrize("name", ("relu", "gelu", "tanh"))
def test_activations(name, x):
    f, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    np.testing.assert_array_equal(f(x), _pieces(f, x))
    dx = backward(x[::-1].copy(), x)[0]
    np.testing.assert_array_equal(dx, _pieces(lambda dy, x: backward(dy, x)[0], x[::-1].copy(), x))


def test_addition_of_rows_that_end_inside_a_register(x, isa):
    a = x[: LARGE // 1001 * 1001].reshape(-1, 1001)
    row = np.arange(1001, dtype=np.float32)
    np.testing.assert_array_equal(ops.add(a, row), a + row)
    np.testing.assert_array_equal(ops.add(a, a), a + a)


def test_the_next_kernel_reads_them_on_other_threads():
    """Each thread reads a share of every line: those that another one has streamed must not be those of the last run."""
    shape = (2048, LARGE // 2048 + 1)
    x = Value(shape, "float32")
    with tracing():
        y = ops.relu(x)
        z = ops.transpose(y, (1, 0))
    plan = Plan([x], [z])
    for run in range(10):
        plan.array(x)[...] = run + 1
        assert plan.run()
        assert (plan.array(z) == run + 1).all()


@pytest.mark.parametrize("channels", (16, 12))
def test_pooling(channels, isa):
    side = 736  # 33 MiB of dx with 16 channels
    dy = np.random.default_rng(1).standard_normal((1, side // 2, side // 2, channels), dtype=np.float32)
    x = np.random.default_rng(2).standard_normal((1, side, side, channels), dtype=np.float32)
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        quarters = [pool(x[:, h : h + side // 4].copy(), 2) for h in range(0, side, side // 4)]
        np.testing.assert_array_equal(pool(x, 2), np.concatenate(quarters, 1))
    for backward in (ops.max_pool2d_backward, ops.avg_pool2d_backward):
        dx = backward(dy, x, pool_size=2)[0]
        for h in range(0, side, side // 4):  # a quarter of the image is below the limit
            part = backward(dy[:, h // 2 : h // 2 + side // 8].copy(), x[:, h : h + side // 4].copy(), pool_size=2)[0]
            np.testing.assert_array_equal(dx[:, h : h + side // 4], part)


def test_sparse_crossentropy_of_logits(isa):
    rows, classes = 8400, 1001
    logits = np.random.default_rng(3).standard_normal((rows, classes), dtype=np.float32)
    labels = np.random.default_rng(4).integers(0, classes, rows)
    dloss = np.linspace(-1, 1, rows).astype(np.float32)

    def gradient(dloss, labels, logits):
        return ops.sparse_categorical_crossentropy_backward(dloss, labels, logits, from_logits=True)[1]

    np.testing.assert_array_equal(
        gradient(dloss, labels, logits),
        np.concatenate(
            [gradient(dloss[i : i + 700], labels[i : i + 700], logits[i : i + 700]) for i in range(0, rows, 700)]
        ),
    )


@pytest.mark.parametrize("width", (64, 1040, 1001), ids=("short rows", "long rows", "rows that end inside a register"))
def test_layer_norm(width, x, isa):
    rows = LARGE // width
    cells = x[: rows * width].reshape(rows, width)
    dy, gamma, beta = cells[::-1].copy(), x[:width] + 1, x[-width:]

    def results(cells, dy):
        y = ops.layer_norm(cells, gamma, beta, epsilon=1e-3)
        return np.stack([y, ops.layer_norm_backward(dy, cells, gamma, beta, epsilon=1e-3)[0]], 1)

    np.testing.assert_array_equal(results(cells, dy), _pieces(results, cells, dy, rows=SMALL // width))
