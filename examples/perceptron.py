"""Rosenblatt's perceptron of 1957: one neuron that fires above zero, and a rule that needs no gradient.

It learns AND and OR, whose answers a line separates, and never XOR. After F. Rosenblatt, "The perceptron: a probabilistic
model for information storage and organization in the brain", 1958.
"""

import numpy as np
from _example import run

from fastconv import ops

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TABLES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


class Perceptron:
    """``y = 1 if x · w + b > 0 else 0``."""

    def __init__(self, inputs: int):
        self.w = np.zeros((inputs, 1), np.float32)
        self.b = np.zeros(1, np.float32)

    def predict(self, x):
        return ops.threshold(ops.dense(x, self.w, self.b))[:, 0]

    def fit(self, x, y, epochs):
        """Goes over the samples until all are right; returns the epochs that it took, or None."""
        for epoch in range(1, epochs + 1):
            mistakes = 0
            for sample, target in zip(x, y, strict=True):
                error = target - self.predict(sample[None])[0]  # 0, 1 or -1
                self.w += error * sample[:, None]
                self.b += error
                mistakes += error != 0
            if not mistakes:
                return epoch
        return None


def main(epochs=20):
    results = {}
    for name, table in TABLES.items():
        perceptron = Perceptron(2)
        taken = perceptron.fit(INPUTS, table, epochs)
        right = int((perceptron.predict(INPUTS) == table).sum())
        results[name] = {"epochs": taken, "right_of_4": right}
    return results


if __name__ == "__main__":
    run(main)
