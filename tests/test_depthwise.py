"""Depthwise convolutions: windows that have loops of their own, lines longer and shorter than their blocks, channels that fill
no vector. Integers, so that every order of summation gives the same."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastconv import ops
from fastconv import reference as ref
from fastconv.ops import conv
from fastconv.ops.registry import apply

PROPERTIES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def problems(draw):
    """x, w, dy and the settings."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    window = draw(st.sampled_from((1, 2, 3, 3, 4, 5, 5, 7)))
    stride, dilation = draw(st.sampled_from((1, 1, 2, 3))), draw(st.sampled_from((1, 1, 1, 2)))
    channels, multiplier = draw(st.sampled_from((1, 5, 8, 16, 17, 32, 33, 48, 70))), draw(st.sampled_from((1, 1, 2)))
    reach = (window - 1) * dilation
    pads = tuple((max(0, reach + 1 - n), draw(st.integers(0, reach))) for n in (height, width))
    options = {"stride": stride, "dilation": dilation, "padding": pads, "groups": channels}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    dtype = draw(st.sampled_from((np.float32, np.float32, np.float64)))
    x = rng.integers(-4, 5, (draw(st.integers(1, 2)), height, width, channels)).astype(dtype)
    w = rng.integers(-4, 5, (window, window, 1, channels * multiplier)).astype(dtype)
    dy = rng.integers(-4, 5, ref.conv2d(x, w, **options).shape).astype(dtype)
    return x, w, dy, options


@given(problems())
@PROPERTIES
def test_integers_give_the_reference_exactly(isa, guarded_results, problem):
    x, w, dy, options = problem
    np.testing.assert_array_equal(ops.conv2d(x, w, **options), ref.conv2d(x, w, **options))
    for actual, expected in zip(
        ops.conv2d_backward(dy, x, w, **options)[:2], ref.conv2d_backward(dy, x, w, **options)[:2], strict=True
    ):
        np.testing.assert_array_equal(actual, expected)


@given(problems(), st.sampled_from(("relu", "relu6", "tanh")), st.booleans())
@PROPERTIES
def test_what_follows_in_the_same_kernel_follows_every_sum_once(isa, guarded_results, problem, kind, added):
    x, w, _, options = problem
    y = ops.conv2d(x, w, **options)
    rng = np.random.default_rng(0)
    bias, mean, scale, shift = (rng.normal(size=y.shape[3]).astype(x.dtype) for _ in range(4))
    residual = rng.normal(size=y.shape).astype(x.dtype) if added else None
    geometry = conv._geometry("conv2d", **options)
    kind = (kind, 1.0, 0.0)
    actual = apply(conv.NORMALIZED, x, w, bias, mean, scale, shift, residual, activation=kind, **geometry)
    alone = apply(
        conv.NORMALIZED,
        y.reshape(-1, 1, 1, y.shape[3]),
        np.ones((1, 1, 1, y.shape[3]), x.dtype),
        bias,
        mean,
        scale,
        shift,
        None if residual is None else residual.reshape(-1, 1, 1, y.shape[3]),
        activation=kind,
        **conv._geometry("conv2d", stride=1, dilation=1, padding=0, groups=y.shape[3]),
    )
    np.testing.assert_array_equal(actual, alone.reshape(actual.shape))
