"""Cats versus dogs: 370 photographs of 64 x 64 pixels, crops of the Oxford-IIIT Pet set (Parkhi et al. 2012, CC BY-SA 4.0), from
cats_dogs/oxford_pets_370_64.npz in FASTCONV_DATA. So few teach a small network from scratch little: look at AUC, and at what
always saying "dog" gives."""

import os
from pathlib import Path

import numpy as np
from _example import percent, run

from fastconv import layers, models, random, utils


def network():
    return models.Sequential(
        [
            layers.Input((64, 64, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.1, 0.1),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def main(epochs=60, folds=5, seed=0):
    data = np.load(Path(os.environ["FASTCONV_DATA"], "cats_dogs/oxford_pets_370_64.npz"))
    x, y = data["x"], data["y"].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(y))
    scores = []
    for held in np.array_split(order, folds):  # every photograph is tested once
        random.seed(seed)
        rest = np.setdiff1d(order, held)
        model = network()
        model.compile("adam", "binary_crossentropy", metrics=["accuracy", "AUC"])
        weights = {0: len(rest) / (2 * (y[rest] == 0).sum()), 1: len(rest) / (2 * (y[rest] == 1).sum())}
        model.fit(x[rest], y[rest], epochs=epochs, batch_size=16, class_weight=weights, verbose=0)
        scores.append(model.evaluate(x[held], y[held], verbose=0, return_dict=True))
    first = utils.prediction_text(model.predict(x[held[:1]], verbose=0)[0], class_names=("cat", "dog"))
    return {
        "accuracy": percent(np.mean([s["accuracy"] for s in scores])),
        "auc": round(float(np.mean([s["AUC"] for s in scores])), 3),
        "always_dog": percent(y.mean()),
        f"photograph_of_a_{('cat', 'dog')[y[held[0]]]}": first,
    }


if __name__ == "__main__":
    run(main)
