"""Optimizer kernels beside the reference where gradients vanish: state decays to 0, never through subnormal numbers."""

import numpy as np
import pytest

from fastconv import _cpu, optimizers
from fastconv import reference as ref

MAKERS = {
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "torch sgd": lambda: optimizers.TorchSGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
}


def _expected(name, w, g, states):
    if name == "adam":
        return ref.adam_step(w, g, *states, step=3, learning_rate=0.01)
    if name == "rmsprop":
        return ref.rmsprop_step(w, g, *states, learning_rate=0.01, momentum=0.5, centered=True)
    if name == "torch sgd":
        return ref.torch_sgd_step(w, g, *states, learning_rate=0.1, momentum=0.9, nesterov=True)
    return ref.sgd_step(w, g, *states, learning_rate=0.1, momentum=0.9, nesterov=name == "nesterov")


def _program(name, g, w, states):
    """One step, and the arrays that it changes."""
    optimizer = MAKERS[name]()
    program = _cpu.Program()
    spec = _cpu.VectorSpec.make(w.dtype.name, optimizer.kernel, w.shape)
    unused = [None] * (name == "adam")  # v_hat, amsgrad's
    program.add(optimizer.kernel, spec, [g, optimizer.hyper(3), w, *states, *unused])
    return program


def _faint(dtype, n):
    """Magnitudes from the largest number that is set to 0 down to subnormal ones, and some above; v of Adam stays positive."""
    info = np.finfo(dtype)
    limit = float(info.tiny / info.eps)
    return (limit * np.resize([0.4, 0.03, 2.0, 3e-4, 1e-7, 40.0, 0.0, 1e5], n)).astype(dtype)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_faint_state_becomes_zero_as_in_the_reference(name, dtype, isa):
    w, g = np.linspace(-1, 1, 37).astype(dtype), np.zeros(37, dtype)
    states = [_faint(dtype, 37) for _ in MAKERS[name]().slots()]
    expected = _expected(name, w, g, states)
    _program(name, g, w, states).run()
    limit = np.finfo(dtype).tiny / np.finfo(dtype).eps
    for actual, wanted in zip((w, *states), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=8 * np.finfo(dtype).eps, atol=0)
    for state in states:
        assert ((state == 0) | (abs(state) >= limit)).all()
        assert (state == 0).any() and (state != 0).any()


@pytest.mark.parametrize("name", MAKERS)
def test_vanished_gradients_leave_the_weights_and_no_state(name, isa):
    w, g = np.linspace(0.5, 1, 19).astype(np.float32), np.zeros(19, np.float32)
    before = w.copy()
    states = [np.full(19, 1e-28, np.float32) for _ in MAKERS[name]().slots()]
    program = _program(name, g, w, states)
    for _ in range(8000):
        program.run()
    np.testing.assert_array_equal(w, before)
    assert all((state == 0).all() for state in states)


@pytest.mark.parametrize("name", MAKERS)
def test_nan_in_the_state_stays(name, isa):
    w, g = np.ones(19, np.float32), np.zeros(19, np.float32)
    states = [np.zeros(19, np.float32) for _ in MAKERS[name]().slots()]
    states[0][5] = np.nan
    _program(name, g, w, states).run()
    assert np.isnan(states[0][5]) and np.isnan(w[5]) and np.isfinite(np.delete(w, 5)).all()


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("nesterov", (False, True))
@pytest.mark.parametrize("n", (1, 37, 40_000))
def test_torch_sgd_is_the_references(n, nesterov, dtype, isa):
    rng = np.random.default_rng(n)
    w, g, velocity = (rng.normal(size=n).astype(dtype) for _ in range(3))
    how = {"learning_rate": 0.3, "momentum": 0.85, "nesterov": nesterov, "weight_decay": 0.02}
    expected = ref.torch_sgd_step(w, g, velocity, **how)
    spec = _cpu.VectorSpec.make(w.dtype.name, "torch_sgd_update", w.shape)
    _cpu.run("torch_sgd_update", spec, [g, optimizers.TorchSGD(**how).hyper(1), w, velocity])
    for actual, wanted in zip((w, velocity), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=16 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("overwrite", (False, True))
@pytest.mark.parametrize("momentum", (0.0, 0.3, 0.99, 1.0))
@pytest.mark.parametrize("n", (0, 1, 37, 40_000))
def test_average_is_the_references(n, momentum, overwrite, dtype, isa):
    rng = np.random.default_rng(n)
    w, average = (rng.normal(size=n).astype(dtype) for _ in range(2))
    w[:9], average[:9] = 1e-35, -1e-35  # settled
    before = w.copy(), average.copy()
    expected = ref.average_step(w, average, momentum=momentum, overwrite=overwrite)
    _cpu.run(
        "average_update",
        _cpu.VectorSpec.make(w.dtype.name, "average_update", w.shape),
        [np.array([momentum, overwrite, *[0.0] * 6]), w, average],
    )
    if momentum == 1 and not overwrite:
        expected = before
    for actual, wanted in zip((w, average), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=8 * np.finfo(dtype).eps)
    if momentum == 0:
        np.testing.assert_array_equal(average[9:], before[0][9:])
    if overwrite:
        np.testing.assert_array_equal(w, average)
