"""The gate of backward-input kernels, and the gradient they add: folded into the store, to the last bit."""

import numpy as np
import pytest

from fastconv import ops
from fastconv.ops import activation, conv
from fastconv.ops.dense import BACKWARD_INPUT as DENSE_BACKWARD_INPUT
from fastconv.ops.registry import apply

RELU = ("relu", 1.0, 0.0)
GATES = [RELU, ("relu6", 1.0, 0.0), ("leaky_relu", 0.2, 0.0)]

# x shape, w shape, settings: rows and columns off the tile sizes, phases, groups, one column, depthwise
CONVOLUTIONS = {
    "plain": ((2, 9, 10, 7), (3, 3, 7, 13), {}),
    "wide": ((3, 12, 11, 33), (3, 3, 33, 40), {"padding": "same"}),
    "stride": ((2, 11, 10, 5), (3, 2, 5, 6), {"stride": (2, 3)}),
    "stride > filter": ((1, 9, 9, 4), (1, 2, 4, 3), {"stride": 3}),
    "dilation": ((2, 9, 9, 4), (3, 3, 4, 20), {"dilation": 2}),
    "groups": ((2, 7, 7, 6), (3, 3, 3, 8), {"groups": 2}),
    "one channel": ((2, 9, 9, 1), (3, 3, 1, 32), {}),
    "5x5": ((2, 9, 8, 20), (5, 5, 20, 5), {"padding": "same"}),
    "1x1": ((2, 5, 6, 70), (1, 1, 70, 24), {}),
    "depthwise": ((2, 8, 9, 19), (3, 3, 1, 19), {"groups": 19, "padding": "same"}),
    "depthwise stride": ((2, 8, 9, 5), (3, 3, 1, 10), {"groups": 5, "stride": 2}),
}


def arrays(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def saved_output(kind, dtype, shape):
    """An activation's output with the values at which its gradient changes."""
    y = activation.activate(4 * arrays(dtype, shape)[0], kind)
    y.flat[: min(4, y.size)] = [0.0, 6.0, np.nan, np.inf][: y.size]
    return y


def same(first, second):
    np.testing.assert_array_equal(first.view(np.uint8), second.view(np.uint8))


@pytest.mark.parametrize(
    "algorithm, dtype", [("direct", "float32"), ("direct", "float64"), ("winograd", "float32"), ("col2im", "float32")]
)
@pytest.mark.parametrize("kind", GATES, ids=lambda kind: kind[0])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_gated_convolution_with_an_addend_equals_separate_kernels(
    name, kind, algorithm, dtype, isa, prefer, guarded_results
):
    prefer(algorithm)
    x_shape, w_shape, settings = CONVOLUTIONS[name]
    geometry = conv._geometry("conv2d", **{"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **settings})
    x, w = arrays(dtype, x_shape, w_shape)
    dy = arrays(dtype, ops.conv2d(x, w, **settings).shape)[0]
    gate = saved_output(kind, dtype, x_shape)
    plain = apply(conv.BACKWARD_INPUT, dy, w, None, None, x_shape=x_shape, **geometry)
    expected = apply(activation.BACKWARD_FROM_OUTPUT, plain, gate, activation=kind)
    same(apply(conv.BACKWARD_INPUT, dy, w, gate, None, x_shape=x_shape, activation=kind, **geometry), expected)
    other = arrays(dtype, x_shape, x_shape)[1]
    total = ops.add(plain, other)
    same(apply(conv.BACKWARD_INPUT, dy, w, None, other, x_shape=x_shape, **geometry), total)
    expected = apply(activation.BACKWARD_FROM_OUTPUT, total, gate, activation=kind)
    same(apply(conv.BACKWARD_INPUT, dy, w, gate, other, x_shape=x_shape, activation=kind, **geometry), expected)


@pytest.mark.parametrize("kind", GATES, ids=lambda kind: kind[0])
@pytest.mark.parametrize("rows, features, units", [(1, 70, 10), (5, 3, 9), (37, 130, 45), (2, 33, 1), (0, 4, 4)])
def test_a_gated_dense_product_equals_two_kernels(rows, features, units, kind, isa, guarded_results):
    w, dy = arrays("float32", (features, units), (rows, units))
    gate = saved_output(kind, "float32", (rows, features))
    plain = apply(DENSE_BACKWARD_INPUT, dy, w, None, x_shape=gate.shape)
    expected = apply(activation.BACKWARD_FROM_OUTPUT, plain, gate, activation=kind)
    same(apply(DENSE_BACKWARD_INPUT, dy, w, gate, x_shape=gate.shape, activation=kind), expected)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5])
def test_a_scaled_relu_gate_is_the_gradient_of_relu_and_dropout(rate, isa):
    """dropout(relu(x)) > 0 exactly where the element was kept and relu let it through."""
    x, w, dy = arrays("float32", (33, 70), (70, 20), (33, 20))
    kept = ops.dropout(ops.relu(x), rate, seed=7)
    plain = apply(DENSE_BACKWARD_INPUT, dy, w, None, x_shape=x.shape)
    expected = ops.relu_backward(ops.dropout(plain, rate, seed=7), x)[0]
    gated = apply(DENSE_BACKWARD_INPUT, dy, w, kept, x_shape=x.shape, activation=("relu", 1 / (1 - rate), 0.0))
    same(gated, expected)
