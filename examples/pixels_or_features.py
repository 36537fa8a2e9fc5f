"""What learned features are worth: logistic regression on raw pixels, the classifier of old, beside a CNN that finds its own
features, on the same digits: first in their places, then moved by up to two pixels."""

import numpy as np
from _example import percent, run

from fastconv import datasets, layers, models, random

NETWORKS = {
    "logistic_regression": lambda: [layers.Flatten()],
    "dense": lambda: [layers.Flatten(), layers.Dense(64, activation="relu")],
    "cnn": lambda: [
        layers.Conv2D(24, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(48, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.GlobalMaxPooling2D(),
    ],
}


def moved(x, by, seed):
    """Each image somewhere else, by up to ``by`` pixels, on a black ground of 12 x 12."""
    out = np.zeros((len(x), 12, 12, 1), np.float32)
    for image, target, (down, right) in zip(
        x, out, np.random.default_rng(seed).integers(-by, by + 1, (len(x), 2)), strict=True
    ):
        target[2 + down : 10 + down, 2 + right : 10 + right, 0] = image / 16
    return out


def main(epochs=20, seed=0):
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    results = {}
    for name, body in NETWORKS.items():
        random.seed(seed)
        model = models.Sequential([layers.Input((12, 12, 1)), *body(), layers.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(moved(x, 0, 0), y, epochs=epochs, verbose=0)
        here, there = (model.evaluate(moved(x_test, by, 1), y_test, verbose=0)[1] for by in (0, 2))
        results[name] = {"in_place": percent(here), "moved": percent(there)}
    return results


if __name__ == "__main__":
    run(main)
