"""Linear and logistic regression, as networks of one neuron, beside the textbook's answers.

The line is compared with least squares. The logistic one tells versicolor from virginica (Iris, without the easy third
species) by petal lengths and widths, penalised as scikit-learn does by default: C = 1, half the squared length of the weights.
"""

import numpy as np
from _example import percent, run
from iris import load

from fastconv import layers, models, optimizers, random, regularizers, schedules


def linear(epochs):
    """y = X a + b for three variables with noise; the largest difference from the least-squares solution."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [2.0, -1.0, 0.5] + 3 + rng.normal(0, 0.3, 200)
    model = models.Sequential([layers.Input((3,), dtype="float64"), layers.Dense(1, dtype="float64")])
    model.compile(optimizers.SGD(0.3), "mse")
    model.fit(x, y, batch_size=200, epochs=epochs, verbose=0)
    best, *_ = np.linalg.lstsq(np.c_[x, np.ones(200)], y, rcond=None)
    return float(np.abs(np.concatenate([w.ravel() for w in model.get_weights()]) - best).max())


def logistic(epochs):
    """The hundred flowers, and a neuron fitted to all of them at once."""
    x, y = load()
    x, y = x[y > 0][:, 2:], y[y > 0] - 1
    penalty = regularizers.L2(0.5 / len(y))  # beside a mean of losses, where scikit-learn has a sum and 1/2
    neuron = layers.Dense(1, "sigmoid", kernel_regularizer=penalty, dtype="float64")
    model = models.Sequential([layers.Input((2,), dtype="float64"), neuron])
    model.compile(optimizers.Adam(schedules.CosineDecay(0.5, epochs)), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=len(y), epochs=epochs, verbose=0)
    return x, y, model


def main(epochs=100, logistic_epochs=1500):
    random.seed(0)
    x, y, model = logistic(logistic_epochs)
    accuracy = model.evaluate(x, y, verbose=0)[1]
    results = {"linear_distance_to_least_squares": linear(epochs), "logistic_accuracy": percent(accuracy)}
    ours = np.array([v for w in model.get_weights() for v in w.ravel()])
    results["logistic_weights"] = ours.round(3).tolist()
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return results
    theirs = LogisticRegression(max_iter=1000).fit(x, y)
    results["scikit_learn_accuracy"] = percent(theirs.score(x, y))
    weights = np.array([*theirs.coef_[0], theirs.intercept_[0]])
    results["scikit_learn_weights"] = weights.round(3).tolist()
    results["largest_difference_of_weights"] = percent(np.abs(ours / weights - 1).max())
    return results


if __name__ == "__main__":
    run(main)
