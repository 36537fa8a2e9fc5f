"""Cats versus dogs on 370 photographs of 64 x 64 pixels, too few to learn from alone: a body that has learned CIFAR-10's 10,000 cats
and dogs is judged on them as it is, and after fine-tuning, beside the same network from scratch.

The photographs are crops of the Oxford-IIIT Pet set (Parkhi et al. 2012, CC BY-SA 4.0): cats_dogs/oxford_pets_370_64.npz in
FASTCONV_DATA, which CIFAR-10 is looked for in, too. No photograph is judged by a network that has seen it.
"""

import os
from pathlib import Path

import numpy as np
from _example import percent, run

from fastconv import datasets, layers, models, optimizers, random, schedules

SIZES = (32, 40, 48)  # of the photographs, for a body that knows animals in pictures of 32 x 32


def network(size):
    model = models.Sequential(
        [
            layers.Input((size, size, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomTranslation(0.12, 0.12, fill_mode="reflect"),
            layers.RandomZoom((-0.3, 0.1), fill_mode="reflect"),
            layers.Rescaling(1 / 127.5, -1),
        ]
    )
    for filters in (32, 64, 128):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
            model.add(layers.BatchNormalization())
            model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())  # whatever the size of the picture, 128 numbers
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(1, activation="sigmoid"))
    return model


def photographs():
    """x (370, 64, 64, 3) uint8; y 0 for a cat, 1 for a dog."""
    data = np.load(Path(os.environ["FASTCONV_DATA"], "cats_dogs/oxford_pets_370_64.npz"))
    return data["x"], data["y"].astype(np.int64)


def cifar_animals():
    """CIFAR-10's cats and dogs to learn from, and those to test with."""
    chosen = []
    for x, y in datasets.cifar10.load_data():
        animal = np.isin(y[:, 0], (3, 5))
        chosen.append((x[animal], (y[animal, 0] == 5).astype(np.int64)))
    return chosen


def shrunk(x, size):
    return layers.Resizing(size, size, antialias=True)(x.astype(np.float32))


def train(model, x, y, epochs, rate, batch_size):
    """By Adam at a rate that rises and falls; each kind counts the same, however many there are of it."""
    steps = epochs * -(-len(x) // batch_size)
    plan = schedules.CosineDecay(rate / 30, steps - steps // 10, warmup_target=rate, warmup_steps=steps // 10)
    model.compile(optimizers.Adam(plan), "binary_crossentropy", metrics=["accuracy"])
    weights = {kind: len(y) / (2 * (y == kind).sum()) for kind in (0, 1)}
    model.fit(x, y, epochs=epochs, batch_size=batch_size, class_weight=weights, verbose=0)


def dogness(model, x):
    """The mean of what the network says of each picture and of its mirror image."""
    return np.mean([model.predict(view, verbose=0)[:, 0] for view in (x, x[:, :, ::-1])], axis=0)


def area(score, y):
    """Under the ROC curve: how often a dog has a higher score than a cat."""
    dogs, cats = score[y == 1][:, None], score[y == 0]
    return (dogs > cats).mean() + (dogs == cats).mean() / 2


def figures(scores, y, resamples=1000):
    """Means over repetitions (R, N), with 95 % intervals by drawing photographs with replacement (bootstrap)."""

    def measured(rows):
        right, truth = (scores[:, rows] > 0.5) == y[rows], y[rows]
        balanced = (right[:, truth == 0].mean() + right[:, truth == 1].mean()) / 2
        return right.mean(), balanced, np.mean([area(score, truth) for score in scores[:, rows]])

    rng = np.random.default_rng(0)
    kinds = [np.flatnonzero(y == kind) for kind in (0, 1)]
    drawn = [measured(np.concatenate([rng.choice(kind, len(kind)) for kind in kinds])) for _ in range(resamples)]
    ends = np.percentile(drawn, (2.5, 97.5), axis=0).T
    found = {}
    names, told = ("accuracy", "balanced_accuracy", "auc"), (percent, percent, lambda share: round(float(share), 3))
    for name, tell, value, interval in zip(names, told, measured(np.arange(len(y))), ends, strict=True):
        found[name], found[f"{name}_interval"] = tell(value), [tell(end) for end in interval]
    return found


def folds(y, count, seed):
    """For each sample the number of its part; all parts have the same shares of cats and dogs."""
    part, rng = np.empty(len(y), int), np.random.default_rng(seed)
    for kind in (0, 1):
        rows = rng.permutation(np.flatnonzero(y == kind))
        part[rows] = np.arange(len(rows)) % count
    return part


def held_out(y, count, repeats, judge):
    """``judge(rows to learn from, rows to judge, seed)`` for every part of every repetition: scores (repeats, N)."""
    scores = np.empty((repeats, len(y)))
    for repeat in range(repeats):
        part = folds(y, count, repeat)
        for k in range(count):
            seed = repeat * count + k
            scores[repeat, part == k] = judge(np.flatnonzero(part != k), np.flatnonzero(part == k), seed)
    return scores


def main(epochs=20, scratch_epochs=40, tune_epochs=15, parts=5, repeats=2, seed=0):
    x, y = photographs()
    views = {size: shrunk(x, size) for size in SIZES}
    (x_cifar, y_cifar), test = cifar_animals()
    random.seed(seed)
    body = network(32)
    train(body, x_cifar, y_cifar, epochs, rate=3e-3, batch_size=128)

    learned = {size: network(size) for size in SIZES}
    for model in learned.values():
        model.set_weights(body.get_weights())
    as_it_is = {size: dogness(learned[size], views[size]) for size in SIZES}

    def from_scratch(rows, rest, seed):
        random.seed(seed)
        model = network(32)
        train(model, views[32][rows], y[rows], scratch_epochs, rate=3e-3, batch_size=16)
        return dogness(model, views[32][rest])

    sizes = []

    def fine_tuned(rows, rest, seed):
        size = max(SIZES, key=lambda size: area(as_it_is[size][rows], y[rows]))  # the photographs to judge have no say
        sizes.append(size)
        random.seed(seed)
        model = network(size)
        model.set_weights(body.get_weights())
        train(model, views[size][rows], y[rows], tune_epochs, rate=5e-4, batch_size=16)
        return dogness(model, views[size][rest])

    return {
        "photographs": len(y),
        "always_dog": percent(y.mean()),
        "cifar10_test_accuracy": percent(body.evaluate(*test, verbose=0)[1]),
        "from_scratch": figures(held_out(y, parts, repeats, from_scratch), y),
        "body_as_it_is": figures(as_it_is[32][None], y),
        "fine_tuned": figures(held_out(y, parts, repeats, fine_tuned), y),
        "sizes_chosen": {str(size): sizes.count(size) for size in SIZES},
    }


if __name__ == "__main__":
    run(main)
