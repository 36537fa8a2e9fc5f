"""Rows of the course about recurrent networks, beside dense and convolutional ones."""

import numpy as np
import pytest

import fastconv
from fastconv import datasets, layers, models, ops, reference


@pytest.mark.parametrize("layer", ["SimpleRNN", "LSTM", "GRU"])
def test_003_35_recurrent_layers_compute_their_formulas(layer):
    """SimpleRNN, LSTM and GRU are the formulas, forward and backward (beside Keras on copied weights: test_keras_parity.py)."""
    made = getattr(layers, layer)(5, return_sequences=True, dtype="float64")
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    y = made(x)
    name = {"SimpleRNN": "simple_rnn"}.get(layer, layer.lower())
    np.testing.assert_allclose(y, getattr(reference, name)(x, *made.get_weights(), return_sequences=True), atol=1e-14)
    dy = np.random.default_rng(1).normal(size=y.shape)
    found, wanted = (
        getattr(library, f"{name}_backward")(dy, x, *made.get_weights(), return_sequences=True)
        for library in (ops, reference)
    )
    for ours, expected in zip(found, wanted, strict=True):
        if expected is not None:
            np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_003_35_digits_read_row_by_row(example):
    """Digits read row by row as a sequence reach 95 % and more."""
    assert example("digits_rnn", epochs=8)["test_accuracy"] >= 95


def test_002_29_three_kinds_of_networks():
    """Dense, convolutional and recurrent networks train on the same digits."""
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    bodies = {
        "dense": [layers.Flatten(), layers.Dense(64, activation="relu")],
        "convolutional": [layers.Reshape((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten()],
        "recurrent": [layers.LSTM(48)],
    }
    for name, body in bodies.items():
        fastconv.random.seed(0)
        model = models.Sequential(
            [layers.Input((8, 8)), layers.Rescaling(1 / 16), *body, layers.Dense(10, activation="softmax")]
        )
        optimizer = fastconv.optimizers.Adam(0.01)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x_train, y_train, epochs=5, verbose=0)
        assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.9, name
