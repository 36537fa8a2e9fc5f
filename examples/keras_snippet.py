"""The course's Keras program, 8 inputs - 12 - 8 - 1, on a table of 768 rows (the shape of the Pima diabetes data), as it stands
there but for the imports. The rows are made up: a rule of two features, and noise."""

import numpy as np
from _example import percent, run

from fastconv import random
from fastconv.layers import Dense
from fastconv.models import Sequential


def main(epochs=150, seed=7):
    random.seed(seed)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(768, 8))
    Y = (X[:, 1] + X[:, 5] ** 2 + rng.normal(0, 0.3, 768) > 0.8).astype(int)

    # create model
    model = Sequential()
    model.add(Dense(12, input_dim=8, activation="relu"))
    model.add(Dense(8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    # Compile model
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    # Fit the model
    history = model.fit(X, Y, epochs=epochs, batch_size=10, verbose=0)
    # evaluate the model
    scores = model.evaluate(X, Y, verbose=0)

    losses = history.history["loss"]
    return {
        "parameters": model.count_params(),
        "accuracy": percent(scores[1]),
        "first_loss": round(losses[0], 4),
        "last_loss": round(losses[-1], 4),
    }


if __name__ == "__main__":
    run(main)
