"""Convolutions on a GPU that sum up their results for a batch normalisation, and normalisations that take the sums."""

import numpy as np
import pytest

from fastconv import _gpu
from fastconv.ops import conv, norm
from fastconv.ops.registry import apply
from fastconv.testing.emulation import emulated_gpu

# x, w, stride, padding, groups: what has kernels of its own; and whether the tiles sum up, forward and backward, or a
# pass over the results does: there is none in first layers, depthwise ones, where a tile has a part of the depth alone,
# where results are no chunks, and where one launch does not have all results
CASES = {
    "narrow": ((2, 9, 8, 16), (3, 3, 16, 24), 1, 1, 1, True, True),
    "small": ((2, 9, 7, 24), (3, 3, 24, 40), 1, 1, 1, True, False),  # backwards the depth is in parts
    "few pixels": ((1, 3, 1, 8), (1, 1, 8, 8), 1, 0, 1, True, True),
    "strided": ((2, 12, 11, 16), (3, 3, 16, 32), 2, 1, 1, True, True),
    "unreached": ((2, 9, 8, 16), (1, 1, 16, 24), 2, 0, 1, True, False),
    "nine phases": ((1, 11, 10, 16), (3, 3, 16, 8), 3, 1, 1, True, False),
    "groups": ((2, 7, 7, 32), (3, 3, 16, 48), 1, 1, 2, True, True),
    "tails": ((2, 11, 10, 21), (3, 3, 21, 37), 1, 1, 1, False, False),
    "parts": ((1, 5, 5, 136), (3, 3, 136, 72), 1, 1, 1, False, False),
    "first layer": ((2, 12, 11, 3), (3, 3, 3, 64), 1, 1, 1, False, False),
    "depthwise": ((2, 9, 8, 32), (3, 3, 1, 32), 2, 1, 32, False, False),
    "empty": ((0, 9, 9, 16), (3, 3, 16, 16), 1, 1, 1, False, False),
}
# What is too slow for all of it, or for other kernels: large tiles; Hopper's of 64 and 128 columns
MORE_CASES = {
    "large forward": ((1, 92, 92, 16), (1, 1, 16, 136), 1, 0, 1, True, True),
    "large backward": ((1, 92, 92, 136), (1, 1, 136, 16), 1, 0, 1, True, True),
    "few pixels at once": ((1, 3, 1, 40), (1, 1, 40, 32), 1, 0, 1, True, True),
    "wide": ((3, 9, 9, 64), (2, 2, 64, 136), 1, 0, 1, True, True),
    "four phases": ((2, 12, 11, 72), (2, 3, 72, 32), 2, 1, 1, True, True),
}
DTYPES = ("float32", "float16")
RELU = ("relu", 1.0, 0.0)


def _problem(name, dtype):
    x, w, stride, pad, groups = {**CASES, **MORE_CASES}[name][:5]
    geometry = {"stride": (stride,) * 2, "padding": ((pad,) * 2,) * 2, "dilation": (1, 1), "groups": groups}
    rng = np.random.default_rng(len(name))
    return (*(rng.standard_normal(shape).astype(dtype) for shape in (x, w)), geometry, rng)


def _flat(array):
    return array.reshape(-1, array.shape[-1]).astype(np.float64)


def _counted(call):
    """What ``call`` returns, and how many kernels it launches; None on a device."""
    module = _gpu.load("[tests]")[1]
    count = getattr(module, "launches_run", lambda: None)
    before, result = count(), call()
    return result, None if before is None else count() - before


def _shifted(gpu, array):
    """The same numbers where no chunk of 16 bytes begins."""
    there = gpu.empty((array.size + 1,), array.dtype)[1:].reshape(array.shape)
    there.set(array)
    return there


class _Forward:
    def __init__(self, gpu, name, dtype):
        x, w, self.geometry, rng = _problem(name, dtype)
        self.bias = 100 * rng.standard_normal(w.shape[-1], np.float32)
        self.inputs = gpu.asarray(x), gpu.asarray(w)

    def plain(self, bias):
        return _counted(lambda: apply(conv.FORWARD, *self.inputs, bias, **self.geometry))

    def moments(self, bias):
        """Right ones of the results that come with them."""
        (y, moments), launches = _counted(lambda: apply(conv.FORWARD_MOMENTS, *self.inputs, bias, **self.geometry))
        y, moments = y.get(), moments.get()
        assert moments.dtype == np.float64
        if y.size == 0:
            np.testing.assert_array_equal(moments, 0)
        else:
            rows, u = _flat(y), 2.0**-23
            assert (np.abs(moments[0] - rows.mean(0)) <= 16 * u * (np.abs(rows.mean(0)) + rows.std(0))).all()
            np.testing.assert_allclose(moments[1] / len(rows), rows.var(0), rtol=256 * u)
        return y, launches


class _Backward:
    def __init__(self, gpu, name, dtype, gated):
        self.x, w, geometry, rng = _problem(name, dtype)
        gate, addend = (gpu.asarray(rng.standard_normal(self.x.shape).astype(dtype)) if gated else None for _ in "ab")
        self.attrs = {**geometry, "x_shape": self.x.shape, **({"activation": RELU} if gated else {})}
        (step, _), ((pad, _), _) = geometry["stride"], geometry["padding"]
        across = [(n + 2 * pad - taps) // step + 1 for n, taps in zip(self.x.shape[1:3], w.shape, strict=False)]
        dy = rng.standard_normal((len(self.x), *across, w.shape[-1])).astype(dtype)
        self.inputs = gpu.asarray(dy), gpu.asarray(w), gate, addend
        self.mean = rng.standard_normal(self.x.shape[-1], np.float32)
        self.mean_there = gpu.asarray(self.mean)

    def plain(self):
        return _counted(lambda: apply(conv.BACKWARD_INPUT, *self.inputs, **self.attrs))

    def sums(self, normalized):
        """Right ones of the results that come with them."""
        inputs = *self.inputs, normalized, self.mean_there
        (dx, sums), launches = _counted(lambda: apply(conv.BACKWARD_INPUT_SUMS, *inputs, **self.attrs))
        dx, sums = dx.get(), sums.get()
        terms = _flat(dx), _flat(dx) * (_flat(self.x) - self.mean)
        bound = [64 * 2.0**-23 * np.abs(t).sum(0) for t in terms]
        assert (np.abs(sums - [t.sum(0) for t in terms]) <= bound).all()
        return dx, launches


def _check_moments(gpu, name, dtype, tallied):
    problem = _Forward(gpu, name, dtype)
    bias = gpu.asarray(problem.bias)
    y, launches = problem.moments(bias)
    plain, fewer = problem.plain(bias)
    np.testing.assert_array_equal(y, plain.get())
    assert launches is None or launches - fewer == (1 if tallied else 2)
    if tallied:
        _, launches = problem.moments(_shifted(gpu, problem.bias))
        assert launches is None or launches - fewer == 2


def _check_sums(gpu, name, dtype, gated, tallied):
    problem = _Backward(gpu, name, dtype, gated)
    dx, launches = problem.sums(gpu.asarray(problem.x))
    plain, fewer = problem.plain()
    np.testing.assert_array_equal(dx, plain.get())
    assert launches is None or launches - fewer == (1 if tallied else 2)
    if tallied:
        dx_of_pass, launches = problem.sums(_shifted(gpu, problem.x))
        assert launches is None or launches - fewer == 2
        np.testing.assert_array_equal(dx_of_pass, dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_moments_of_a_forward_pass(name, dtype, gpu):
    _check_moments(gpu, name, dtype, tallied=CASES[name][5])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_sums_of_a_backward_pass(name, dtype, gpu):
    _check_sums(gpu, name, dtype, gated=True, tallied=CASES[name][6])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ("narrow", "tails"))
def test_sums_of_a_backward_pass_without_a_gate(name, dtype, gpu):
    _check_sums(gpu, name, dtype, gated=False, tallied=CASES[name][6])


@pytest.mark.parametrize("gpu", ["reversed"], indirect=True)
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_tiles_sum_up(dtype, gpu):
    forward, backward = _Forward(gpu, "large forward", dtype), _Backward(gpu, "large backward", dtype, gated=False)
    for _, launches in forward.moments(gpu.asarray(forward.bias)), backward.sums(gpu.asarray(backward.x)):
        assert launches in (None, 2)


@pytest.mark.parametrize("hopper", ["forward", "reversed"], indirect=True)
@pytest.mark.parametrize("name", ("few pixels at once", "wide", "four phases"))
def test_hoppers_tiles_sum_up(name, hopper, strict):
    _check_moments(hopper, name, "float16", tallied=True)
    _check_sums(hopper, name, "float16", gated=True, tallied=True)


@pytest.mark.parametrize("gpu", ["forward"], indirect=True)
def test_a_block_adds_up_many_parts(gpu):
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((1, 520, 509, 3)).astype("float16") for _ in range(2))
    on, ones, zeros = gpu.asarray, gpu.asarray(np.ones(3, np.float32)), gpu.asarray(np.zeros(3, np.float32))
    attrs = {"epsilon": 1e-3, "activation": ("linear", 1.0, 0.0)}
    results = apply(norm.TRAINING, on(x), ones, zeros, zeros, ones, None, momentum=0.9, **attrs)
    mean, rstd = (a.get() for a in results[3:])
    rows, g = _flat(x), _flat(dy)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(rows.var(0) + 1e-3), rtol=1e-6)
    gradients = apply(norm.TRAINING_BACKWARD, on(dy), on(x), None, ones, *results[3:], residual=False, **attrs)
    terms = g * (rows - mean) * rstd, g
    for actual, term in zip(gradients[1:3], terms, strict=True):
        assert (np.abs(actual.get() - term.sum(0)) <= 64 * 2.0**-23 * np.abs(term).sum(0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", (3, 64))
def test_normalisations_take_moments_and_sums(channels, dtype, gpu):
    """What a normalisation makes of sums that are given is what it makes of its own, up to their rounding."""
    rng = np.random.default_rng(channels)
    shape, row = (2, 7, 5, channels), (channels,)
    x, residual, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    gamma, beta, mean, variance = (rng.uniform(0.5, 2, row).astype(np.float32) for _ in range(4))
    rows = _flat(x)
    moments = np.stack([rows.mean(0), rows.var(0) * len(rows)])
    on = gpu.asarray
    inputs = [on(a) for a in (x, gamma, beta, mean, variance, residual)]
    attrs = {"epsilon": 1e-3, "momentum": 0.9, "activation": RELU}
    own = [a.get() for a in apply(norm.TRAINING, *inputs, **attrs)]
    given = [a.get() for a in apply(norm.FROM_MOMENTS, *inputs, on(moments), **attrs)]
    unit = float(np.finfo(dtype).eps)
    for a, b in zip(given, own, strict=True):
        np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=2 * unit, atol=4 * unit)

    batch_mean, batch_rstd = (on(a) for a in own[3:])
    g, centred = _flat(dy), rows - own[3]
    sums = np.stack([g.sum(0), (g * centred).sum(0)])
    common = on(dy), on(x)
    plain = {"epsilon": 1e-3, "activation": ("linear", 1.0, 0.0), "residual": False}
    own = apply(norm.TRAINING_BACKWARD, *common, None, on(gamma), batch_mean, batch_rstd, **plain)
    given = apply(norm.BACKWARD_FROM_SUMS, *common, on(gamma), batch_mean, batch_rstd, on(sums), epsilon=1e-3)
    for a, b in zip(given, own, strict=False):
        a, b = a.get().astype(float), b.get().astype(float)
        np.testing.assert_allclose(a, b, rtol=2 * unit, atol=64 * 2.0**-23 * np.abs(b).max() + unit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_order_of_threads_does_not_show(dtype, emulated_module):
    x, w, geometry, rng = _problem("groups", dtype)
    mean, found = rng.standard_normal(x.shape[-1], np.float32), set()
    for order in ("forward", "reversed", "shuffled"):
        with emulated_gpu(emulated_module, order) as gpu:
            x_there, w_there = gpu.asarray(x), gpu.asarray(w)
            y, moments = apply(conv.FORWARD_MOMENTS, x_there, w_there, None, **geometry)
            inputs = (y, w_there, None, None, x_there, gpu.asarray(mean))
            dx, sums = apply(conv.BACKWARD_INPUT_SUMS, *inputs, x_shape=x.shape, **geometry)
            found.add(b"".join(a.get().tobytes() for a in (y, moments, dx, sums)))
    assert len(found) == 1


def test_no_kernel_of_batch_norm_is_missing(cuda_module):
    assert not [name for name in cuda_module.missing_kernels("float16") if "batch_norm" in name or "conv2d" in name]
