"""A hundred digits and a network that learns them by heart: what moving them, dropout and stopping in time change, over ten seeds,
on test digits as they are, and on the same moved by a pixel."""

import numpy as np
from _example import percent, run

from fastconv import callbacks, datasets, layers, models, optimizers, random

WAYS = {
    "plain": {},
    "moved": {"first": lambda: [layers.RandomTranslation(0.13, 0.13, fill_mode="constant")]},
    "dropout": {"last": lambda: [layers.Dropout(0.5)]},
    "stopped": {"stop": lambda: [callbacks.EarlyStopping(patience=5, restore_best_weights=True)]},
}


def nothing():
    return []


def trained(few, held, epochs, first=nothing, last=nothing, stop=nothing):
    """The model, and how many epochs it took."""
    model = models.Sequential(
        [
            layers.Input((8, 8)),
            layers.Rescaling(1 / 16),
            layers.Reshape((8, 8, 1)),
            *first(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            *last(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(*few, epochs=epochs, validation_data=held, callbacks=stop(), verbose=0)
    return model, len(history.epoch)


def moved(x, rng):
    """Each image moved by one pixel, up, down, left or right; what comes in is empty."""
    framed = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    places = np.array([(0, 1), (2, 1), (1, 0), (1, 2)])[rng.integers(0, 4, len(x))]
    return np.stack([image[r : r + 8, c : c + 8] for image, (r, c) in zip(framed, places, strict=True)])


def main(seeds=10, epochs=60):
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    x_moved = moved(x_test, np.random.default_rng(0))
    results = {}
    for name, way in WAYS.items():
        scores = []
        for seed in range(seeds):
            random.seed(seed)
            order = np.random.default_rng(seed).permutation(len(x))
            few, held = ((x[rows], y[rows]) for rows in (order[:100], order[1000:]))
            model, length = trained(few, held, epochs, **way)
            scores.append([model.evaluate(images, y_test, verbose=0)[1] for images in (x_test, x_moved)] + [length])
        here, there, length = np.mean(scores, axis=0)
        results[name] = {
            "test_accuracy": percent(here),
            "deviation_over_seeds": percent(np.std(scores, axis=0, ddof=1)[0]),
            "moved_test_accuracy": percent(there),
            "epochs": round(float(length), 1),
        }
    return {"seeds": seeds, **results}


if __name__ == "__main__":
    run(main)
