"""Linear and logistic regression, as networks of one neuron, beside the textbook's answers.

The line is compared with least squares. The logistic one tells versicolor from virginica (Iris, without the easy third
species) by petal lengths and widths, penalised as scikit-learn does by default: C = 1, half the squared length of the weights.
"""

import numpy as np
from _example import percent, run
from iris import load

from fastconv import layers, models, optimizers, random


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
    """Accuracy on the 100 flowers, of ours and, where it is installed, of scikit-learn's LogisticRegression."""
    x, y = load()
    x, y = x[y > 0][:, 2:], y[y > 0] - 1
    model = models.Sequential([layers.Input((2,), dtype="float64"), layers.Dense(1, "sigmoid", dtype="float64")])
    # Weights that shrink by rate / N each step minimise the mean loss + |w|² / 2N, as scikit-learn's C = 1 does.
    model.compile(optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    for _ in range(epochs):
        model.train_on_batch(x, y)
        kernel, bias = model.get_weights()
        model.set_weights([kernel * (1 - 0.1 / len(y)), bias])
    return x, y, model


def main(epochs=100, logistic_epochs=20000):
    random.seed(0)
    x, y, model = logistic(logistic_epochs)
    _, accuracy = model.evaluate(x, y, verbose=0)
    results = {"linear_distance_to_least_squares": linear(epochs), "logistic_accuracy": percent(accuracy)}
    results["logistic_weights"] = [round(float(v), 3) for w in model.get_weights() for v in w.ravel()]
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        return results
    theirs = LogisticRegression(max_iter=1000).fit(x, y)
    results["scikit_learn_accuracy"] = percent(theirs.score(x, y))
    results["scikit_learn_weights"] = [round(float(v), 3) for v in [*theirs.coef_[0], theirs.intercept_[0]]]
    return results


if __name__ == "__main__":
    run(main)
