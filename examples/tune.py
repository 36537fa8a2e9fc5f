"""Hyper-parameters by trial: every pair of hidden units and learning rate, chosen on validation data, then tested once."""

import itertools

from _example import percent, run

from fastconv import datasets, layers, models, optimizers, random, utils


def trained(units, rate, train, epochs, seed):
    random.seed(seed)
    hidden = [layers.Dense(n, activation="relu") for n in units]
    model = models.Sequential([layers.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, epochs=epochs, verbose=0)
    return model


def main(epochs=10, seed=0):
    x, y = datasets.digits.load_data(0)[0]
    x = x.reshape(len(x), 64) / 16
    train, validation, test = utils.train_val_test_split(x, y, (0.8, 0.1, 0.1), stratify=True, seed=seed)
    scores, best = {}, None
    for units, rate in itertools.product([(8,), (64,), (64, 64)], [1e-3, 1e-2]):
        model = trained(units, rate, train, epochs, seed)
        name = f"{'-'.join(map(str, units))} at {rate:g}"
        scores[name] = percent(model.evaluate(*validation, verbose=0)[1])
        if best is None or scores[name] > scores[best[0]]:
            best = name, model
    return {
        "validation_samples": len(validation[0]),
        "validation": scores,
        "best": best[0],
        "test_accuracy": percent(best[1].evaluate(*test, verbose=0)[1]),
    }


if __name__ == "__main__":
    run(main)
