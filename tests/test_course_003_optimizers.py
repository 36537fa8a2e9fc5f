"""Deck 003, a seminar on deep learning: optimizers (rows 21, 23 to 25), by formula, beside Keras's numbers and ONNX's own tests."""

import numpy as np
import pytest

from fastconv import layers, models, ops, optimizers


def way(optimizer, slopes, start=1.0):
    """Where an optimizer takes one weight whose gradient is each of ``slopes`` in turn."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizer, lambda y, p: ops.reshape(ops.multiply(y, p), (y.shape[0],)))  # slope: y
    model.set_weights([[[start]]])
    found = []
    for slope in slopes:
        model.train_on_batch([[1.0]], [[slope]])
        found.append(model.get_weights()[0].item())
    return np.array(found)


SLOPES = [0.5, -1.0, 2.0, 0.25]


@pytest.mark.parametrize("nesterov", [False, True])
def test_003_21_momentum(nesterov):
    """v <- m v - rate g; w <- w + v, or with Nesterov w + m v - rate g."""
    w, v, expected = 1.0, 0.0, []
    for g in SLOPES:
        v = 0.9 * v - 0.1 * g
        w += 0.9 * v - 0.1 * g if nesterov else v
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.SGD(0.1, momentum=0.9, nesterov=nesterov), SLOPES), expected, rtol=1e-12)


def test_003_23_adagrad():
    """Steps of rate g / sqrt(sum g² + epsilon): for one slope they never grow (T9: the slide calls this Adam)."""
    found = way(optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-30), [0.5] * 6)
    steps = -np.diff(np.concatenate([[1.0], found]))
    np.testing.assert_allclose(steps, 0.1 / np.sqrt(np.arange(1, 7)), rtol=1e-9)


def test_003_24_adam():
    """Adam's formula (Kingma and Ba 2015), step by step, in Keras's form."""
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(SLOPES, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.Adam(0.01), SLOPES), expected, rtol=1e-9)


def test_003_25_rmsprop():
    """RMSprop keeps an exponential mean of squares (T9: not a fixed window)."""
    w, v, expected = 1.0, 0.0, []
    for g in SLOPES:
        v = 0.9 * v + 0.1 * g * g
        w -= 0.01 * g / np.sqrt(v + 1e-7)
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.RMSprop(0.01), SLOPES), expected, rtol=1e-9)


def test_003_25_adadelta():
    """Adadelta (the slide's "Adaprop"): steps in the ratio of two exponential means, without a rate of its own."""
    w, v, d, expected = 1.0, 0.0, 0.0, []
    for g in SLOPES:
        v = 0.95 * v + 0.05 * g * g
        step = np.sqrt(d + 1e-7) / np.sqrt(v + 1e-7) * g
        d = 0.95 * d + 0.05 * step * step
        w -= step
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.Adadelta(1.0), SLOPES), expected, rtol=1e-9)


KERAS = {  # where Keras 3.15 on torch takes a weight from 1.0 along SLOPES, in float64 with hyper-parameters in float32
    "momentum": (optimizers.SGD(0.1, momentum=0.9), [0.95, 1.005, 0.8545, 0.69405]),
    "nesterov": (optimizers.SGD(0.1, momentum=0.9, nesterov=True), [0.905, 1.0545, 0.71905, 0.549645]),
    "adagrad": (optimizers.Adagrad(0.1), [0.9154845853, 1.0015508800, 0.9150833393, 0.9043374823]),
    "adam": (optimizers.Adam(0.01), [0.9900000635, 0.9936610883, 0.9894645380, 0.9854165639]),
    "rmsprop": (optimizers.RMSprop(0.01), [0.9683772874, 0.9969487036, 0.9689499669, 0.9652856606]),
    "adadelta": (optimizers.Adadelta(1.0), [0.9985857921, 1.0003836533, 0.9980358430, 0.9976415197]),
}


@pytest.mark.thread_unsafe(reason="its parameters are optimizers")
@pytest.mark.parametrize("name", KERAS)
def test_003_21_003_23_003_24_003_25_the_way_of_keras(name):
    """Momentum, Nesterov, Adagrad, Adam, RMSprop and Adadelta go where Keras's go, with Keras's defaults."""
    optimizer, expected = KERAS[name]
    np.testing.assert_allclose(way(optimizer, SLOPES), expected, rtol=2e-7)


@pytest.mark.filterwarnings("ignore")  # the onnx package's own
@pytest.mark.parametrize("operator, count", [("Momentum", 3), ("Adagrad", 2), ("Adam", 2)])
def test_003_21_003_23_003_24_the_tests_of_onnx(operator, count, strict):
    """ONNX's own tests of these operators: Momentum three, Adagrad two, Adam two."""
    pytest.importorskip("onnx", reason="runs ONNX's tests; pip install 'fastconv[onnx]'")
    from fastconv.testing import onnx_suite

    named = {f"ai.onnx.preview.training.{operator}"}
    found = [case for case in onnx_suite.cases("node") if set(case.operators) == named]
    assert len(found) >= count
    for case in found:
        if case.excluded:
            pytest.skip(f"not in scope: {case.excluded}")
        onnx_suite.run(case)
