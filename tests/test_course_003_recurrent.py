"""Decks 002 to 004: recurrent networks and embeddings (rows 002-29, 003-35, 004-13)."""

import numpy as np
import pytest

from fastconv import layers, random
from fastconv.testing.small import assert_gradients, compiled, normal


@pytest.mark.parametrize("kind", ["recurrent", "dense", "convolutional"])
def test_002_29_three_kinds_of_networks(kind, example):
    """Recurrent, dense and convolutional networks train on the same digits."""
    if kind == "recurrent":
        found = example("digits_rnn", epochs=12)["test_accuracy"]
    else:
        found = example("digits", epochs=12 if kind == "convolutional" else 20, network=kind)[kind]
    assert found > 90


def test_003_35_digits_row_by_row(example):
    """Digits, read row by row as a sequence, reach 95 %."""
    assert example("digits_rnn", epochs=12)["test_accuracy"] >= 95


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(kind, x, w, u, b):
    """The last state, step by step, from Keras's weights: gates i f c o of LSTM, z r h of GRU (reset after)."""
    n = u.shape[0]
    h = c = np.zeros((len(x), n))
    for t in range(x.shape[1]):
        if kind == "SimpleRNN":
            h = np.tanh(x[:, t] @ w + h @ u + b)
        elif kind == "LSTM":
            i, f, g, o = np.split(x[:, t] @ w + h @ u + b, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (xz, xr, xh), (hz, hr, hh) = (np.split(v, 3, axis=1) for v in (x[:, t] @ w + b[0], h @ u + b[1]))
            z = sigmoid(xz + hz)
            h = z * h + (1 - z) * np.tanh(xh + sigmoid(xr + hr) * hh)
    return h


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_003_35_recurrent_layers(kind):
    """SimpleRNN, LSTM and GRU equal their formulas, step by step, and their gradients equal differences."""
    random.seed(0)
    layer = getattr(layers, kind)(3, dtype="float64", bias_initializer="random_normal")
    model = compiled(layers.Input((4, 2), dtype="float64"), layer)
    x, y = normal(5, 4, 2), normal(5, 3, seed=1)
    np.testing.assert_allclose(model.predict(x), by_hand(kind, x, *layer.get_weights()), rtol=1e-12, atol=1e-14)
    assert_gradients(model, x, y, rtol=1e-6, atol=1e-9)


def test_004_13_embedding():
    """Words become rows of a table; only the rows of words that occur have a gradient."""
    random.seed(0)
    model = compiled(layers.Input((3,)), layers.Embedding(10, 4, name="table"), layers.Flatten(), layers.Dense(1))
    ids = np.array([[1, 4, 4], [7, 1, 9]])
    table = model.get_weights()[0]
    np.testing.assert_array_equal(model.activations(ids)["table"], table[ids])
    gradient = model.gradients(ids, [1.0, 2.0])[1]["table/embeddings"]
    assert set(np.flatnonzero(np.abs(gradient).sum(1))) == {1, 4, 7, 9}
    model.fit(ids, [1.0, 2.0], epochs=3, verbose=0)
    same = (model.get_weights()[0] == table).all(1)
    assert set(np.flatnonzero(~same)) == {1, 4, 7, 9}
