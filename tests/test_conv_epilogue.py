"""What a convolution does with its sums before it stores them: bias, normalisation, residual and activation give the same
bits as kernels of their own. On each instruction set."""

import numpy as np
import pytest

from fastconv import ops
from fastconv.ops import activation, conv, norm
from fastconv.ops.registry import apply

LINEAR, RELU, TANH = activation.LINEAR, ("relu", 1.0, 0.0), ("tanh", 1.0, 0.0)

# x shape, w shape, settings: tiles of rows and columns with rests, few columns, few channels, groups, depthwise
CONVOLUTIONS = {
    "3x3": ((2, 9, 11, 33), (3, 3, 33, 40), {"padding": 1}),
    "5x5": ((2, 9, 8, 20), (5, 5, 20, 5), {"padding": 2}),
    "1x1": ((2, 5, 6, 70), (1, 1, 70, 24), {}),
    "stride": ((2, 11, 10, 16), (3, 2, 16, 50), {"stride": 2}),
    "few filters": ((2, 7, 7, 64), (3, 3, 64, 2), {}),
    "few channels": ((3, 9, 10, 3), (3, 3, 3, 37), {"padding": 1}),
    "groups": ((2, 7, 7, 6), (3, 3, 3, 8), {"groups": 2}),
    "one pixel": ((1, 3, 3, 33), (3, 3, 33, 130), {}),
    "depthwise": ((2, 8, 9, 19), (3, 3, 1, 19), {"groups": 19, "padding": 1}),
    "depthwise multiplier": ((2, 8, 9, 5), (3, 3, 1, 10), {"groups": 5, "stride": 2}),
}
ALGORITHMS = [("direct", "float32"), ("direct", "float64"), ("winograd", "float32"), ("amx", "float32")]


@pytest.mark.parametrize("algorithm, dtype", ALGORITHMS)
@pytest.mark.parametrize("kind", [LINEAR, RELU, TANH], ids=lambda kind: kind[0])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_normalized_convolution_equals_separate_kernels(name, kind, algorithm, dtype, isa, prefer, guarded_results):
    prefer(algorithm)
    x_shape, w_shape, settings = CONVOLUTIONS[name]
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(dtype) for shape in (x_shape, w_shape))
    bias, gamma, beta, mean, var = (rng.normal(size=w_shape[3]).astype(dtype) for _ in range(5))
    var = np.abs(var) + np.asarray(0.5, dtype)
    scale = apply(norm.SCALE, gamma, var, epsilon=1e-3)
    geometry = conv._geometry("conv2d", **{"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **settings})

    v = ops.conv2d(x, w, bias, **settings)
    plain = ops.batch_norm(v, gamma, beta, mean, var)
    residual = rng.normal(size=v.shape).astype(dtype)
    for shift, other, wanted in (
        (beta, residual, ops.add(plain, residual)),
        (beta, None, plain),
        (None, None, ops.batch_norm(v, gamma, None, mean, var)),
    ):
        found = apply(conv.NORMALIZED, x, w, bias, mean, scale, shift, other, activation=kind, **geometry)
        np.testing.assert_array_equal(found, activation.activate(wanted, kind))
