"""A network with one hidden layer fits sin(x) on [0, 2 pi]: universal approximation, seen at work."""

import numpy as np
from _example import run

from fastconv import layers, models, optimizers, random


def main(epochs=800, units=32, seed=0):
    random.seed(seed)
    x = np.linspace(0, 2 * np.pi, 256, dtype=np.float32)[:, None]
    model = models.Sequential(
        [layers.Input((1,)), layers.Rescaling(1 / np.pi, -1), layers.Dense(units, "tanh"), layers.Dense(1)]
    )
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(x, np.sin(x), epochs=epochs, batch_size=64, verbose=0)
    between = np.linspace(0.01, 6.27, 1001, dtype=np.float32)[:, None]  # points that it has not seen
    error = model.predict(between, verbose=0) - np.sin(between)
    return {"mean_squared_error": float(np.square(error).mean()), "largest_error": float(np.abs(error).max())}


if __name__ == "__main__":
    run(main)
