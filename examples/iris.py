"""Iris: the species of 150 flowers from four lengths, by a network 4-8-3.

The table is small/iris.csv in FASTCONV_DATA (R. A. Fisher 1936; four numbers and the species in each row), or scikit-learn's.
"""

import os
from pathlib import Path

from _example import percent, run

from fastconv import datasets, layers, models, random, utils


def load():
    """(150, 4) centimetres, the species' number of each flower."""
    path = Path(os.environ.get("FASTCONV_DATA", "/nowhere"), "small/iris.csv")
    if path.exists():
        x, y, _ = datasets.load_csv(path)
        return x, utils.LabelEncoder().fit_transform(y)
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def main(epochs=150, seed=0):
    random.seed(seed)
    (x, y), _, (x_test, y_test) = utils.train_val_test_split(*load(), ratios=(0.7, 0, 0.3), stratify=True, seed=seed)
    mean, deviation = x.mean(0), x.std(0)  # of the training part alone
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.02
    model.fit((x - mean) / deviation, y, epochs=epochs, batch_size=16, verbose=0)
    _, accuracy = model.evaluate((x_test - mean) / deviation, y_test, verbose=0)
    return {
        "test_accuracy": percent(accuracy),
        "right": round(accuracy * len(y_test)),
        "test_samples": len(y_test),
        "parameters": model.count_params(),
    }


if __name__ == "__main__":
    run(main)
