"""Sounds by Conv1D: low and high voices, told apart by their waves. They are made up: a pitch (85 to 155 Hz, or 165 to 255 Hz, the
usual ranges of men and women), its overtones, a loudness that swells, and noise; a quarter of a second at 4 kHz."""

import numpy as np
from _example import percent, run

from fastconv import layers, models, random

RATE, LENGTH = 4000, 1024


def voices(count, seed):
    """Waves (count, 1024, 1), and 0 for a low voice, 1 for a high one."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    pitch = np.where(y, rng.uniform(165, 255, count), rng.uniform(85, 155, count))
    t = np.arange(LENGTH) / RATE
    overtones = np.arange(1, 6)
    phase = 2 * np.pi * (pitch[:, None, None] * overtones[:, None] * t + rng.random((count, 5, 1)))
    wave = (np.sin(phase) * rng.uniform(0.2, 1, (count, 5, 1)) / overtones[:, None]).sum(1)
    wave *= np.sin(np.pi * t / t[-1]) * rng.uniform(0.3, 1, (count, 1))
    return (wave + rng.normal(0, 0.05, wave.shape)).astype(np.float32)[..., None], y


def main(count=400, epochs=10, seed=0):
    random.seed(seed)
    model = models.Sequential(
        [
            layers.Input((LENGTH, 1)),
            layers.Conv1D(16, 64, strides=8, activation="relu"),
            layers.MaxPooling1D(4),
            layers.Conv1D(32, 5, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.003
    model.fit(*voices(count, seed), epochs=epochs, batch_size=16, verbose=0)
    _, accuracy = model.evaluate(*voices(200, seed + 1), verbose=0)
    return {"test_accuracy": percent(accuracy)}


if __name__ == "__main__":
    run(main)
