"""Loss curves of whole training runs against a training loop in NumPy that shares nothing with graphs and plans."""

import numpy as np
import pytest

import fastconv
from fastconv import optimizers, random
from fastconv.testing.training import NETWORKS, reference_losses

STEPS, BATCH, SAMPLES = 100, 16, 64


def batches(x, y):
    """The batches of STEPS steps, in the order of the data, over and over."""
    for step in range(STEPS):
        rows = slice(step * BATCH % SAMPLES, step * BATCH % SAMPLES + BATCH)
        yield x[rows], y[rows]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_hundred_steps_give_the_reference_s_loss_curve(name):
    network = NETWORKS[name]
    random.seed(1)
    model = network.build(fastconv)
    kind, settings = network.optimizer
    model.compile(getattr(optimizers, kind)(**settings), network.loss)
    x, y = network.data(SAMPLES)
    expected, weights = reference_losses(network, model.get_weights(), batches(x, y))
    curve = [model.train_on_batch(*batch) for batch in batches(x, y)]
    assert expected[-1] < 0.9 * expected[0]  # something is learnt
    np.testing.assert_allclose(curve, expected, rtol=1e-4)
    for actual, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-3, atol=1e-4)


def test_fit_takes_the_same_steps():
    network = NETWORKS["cnn"]
    random.seed(1)
    model = network.build(fastconv)
    model.compile(optimizers.Adam(0.01), network.loss)
    x, y = network.data(SAMPLES)
    expected, _ = reference_losses(network, model.get_weights(), batches(x, y))
    history = model.fit(x, y, BATCH, epochs=STEPS * BATCH // SAMPLES, shuffle=False, verbose=0).history["loss"]
    per_epoch = np.reshape(expected, (-1, SAMPLES // BATCH)).mean(-1)
    np.testing.assert_allclose(history, per_epoch, rtol=1e-4)
