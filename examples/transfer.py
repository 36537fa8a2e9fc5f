"""Is a digit odd? Asked of a body that has learned the ten digits, and of the same network from scratch, with one, two and ten
answered pictures of each digit. And a question that the body is no help for: digits of which it has never seen one."""

import tempfile
from pathlib import Path

import numpy as np
from _example import percent, run

from fastconv import datasets, layers, models, optimizers, random


def body():
    return models.Sequential(
        [
            layers.Input((8, 8)),
            layers.Rescaling(1 / 16),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
        ],
        name="body",
    )


def under(body, classes):
    """The body under a new last layer."""
    return models.Sequential([layers.Input((8, 8)), body, layers.Dense(classes, activation="softmax")])


def fit(model, x, y, rate, epochs=60, batch_size=8):
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)


def learned(x, y, path):
    """A body that has learned these digits, in a file."""
    known = body()
    fit(under(known, 10), x, y, rate=0.002, epochs=10, batch_size=32)
    known.save_weights(path)


def three_ways(path, few, test, classes, seed):
    """Accuracies on the test digits: from scratch, over the frozen body, and after that with the body set free."""
    random.seed(seed)
    scratch = under(body(), classes)
    fit(scratch, *few, rate=0.002)
    random.seed(seed)
    known = body()
    known.load_weights(path)
    known.trainable = False
    model = under(known, classes)
    fit(model, *few, rate=0.01)
    frozen = model.evaluate(*test, verbose=0)[1]
    known.trainable = True  # the new layer has settled: now the body may follow
    fit(model, *few, rate=0.0005, epochs=20)
    return scratch.evaluate(*test, verbose=0)[1], frozen, model.evaluate(*test, verbose=0)[1]


def summary(found):
    scratch, frozen, tuned = np.array(found).T
    return {
        "from_scratch": percent(scratch.mean()),
        "frozen": percent(frozen.mean()),
        "fine_tuned": percent(tuned.mean()),
        "seeds_where_the_body_helps": int((tuned > scratch).sum()),
    }


def some_of_each(y, count, rng):
    """Indices of so many samples of each class."""
    return np.concatenate([rng.permutation(np.flatnonzero(y == label))[:count] for label in np.unique(y)])


def main(seeds=20):
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    low, high, high_test = y < 5, y >= 5, y_test >= 5
    odd, other = {1: [], 2: [], 10: []}, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "body.safetensors")
        for seed in range(seeds):
            random.seed(seed)
            learned(x, y, path)
            for count, found in odd.items():
                few = some_of_each(y, count, np.random.default_rng(seed))
                found.append(three_ways(path, (x[few], y[few] % 2), (x_test, y_test % 2), 2, seed))
            random.seed(seed)
            learned(x[low], y[low], path)
            few = np.flatnonzero(high)[some_of_each(y[high], 2, np.random.default_rng(seed))]
            test = x_test[high_test], y_test[high_test] - 5
            other.append(three_ways(path, (x[few], y[few] - 5), test, 5, seed))
    results = {f"{count}_of_each_digit": summary(found) for count, found in odd.items()}
    return {"seeds": seeds, **results, "digits_that_the_body_never_saw": summary(other)}


if __name__ == "__main__":
    run(main)
