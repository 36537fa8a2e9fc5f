"""Handwritten digits, read row by row as a sequence of eight steps: what a recurrent network makes of images.

`--layer` is SimpleRNN, LSTM or GRU.
"""

from _example import percent, run

import fastconv
from fastconv import datasets, layers, models, optimizers


def network(layer):
    """Eight steps of eight pixels; the layer's state behind the last row decides."""
    return models.Sequential(
        [layers.Input((8, 8)), layers.Rescaling(1 / 16), layer, layers.Dense(10, activation="softmax")]
    )


def main(layer="GRU", units=48, epochs=25, seed=0):
    fastconv.random.seed(seed)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    model = network(getattr(layers, layer)(units))
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=32, epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    return {"layer": layer, "parameters": model.count_params(), "test_accuracy": percent(accuracy)}


if __name__ == "__main__":
    run(main)
