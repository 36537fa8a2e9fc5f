"""Grey images get their colours back: a network from image to image learns that discs are red, squares green, crosses blue.

It sees the luminance alone and paints the two chroma channels, as colourisation does with photographs: convolutions make the
image smaller, so that a cell sees a whole shape, and UpSampling2D brings it back to its size.
"""

import numpy as np
from _example import percent, run

from fastconv import layers, models, random

SIDE = 16
# Of every shape, all of one luminance: nothing but its form tells a shape's colour.
COLOURS = np.array([[0.85, 0.25, 0.25], [0.2, 0.6, 0.2], [0.3, 0.38, 0.95]])
TO_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def draw(count, rng):
    """Luminance (N, 16, 16, 1), chroma blue - Y and red - Y (N, 16, 16, 2), and the shape of each cell, -1 on the ground."""
    row, column = np.mgrid[:SIDE, :SIDE]
    kind = rng.integers(3, size=(count, 1, 1))
    y, x = rng.integers(5, SIDE - 5, (2, count, 1, 1))
    radius = rng.integers(3, 6, (count, 1, 1))
    down, right = np.abs(row - y), np.abs(column - x)
    disc = down**2 + right**2 <= radius**2 + 1
    square = np.maximum(down, right) <= radius - 1
    cross = (np.minimum(down, right) <= 1) & (np.maximum(down, right) <= radius)
    shape = np.where(np.select([kind == 0, kind == 1], [disc, square], cross), kind, -1)
    same = COLOURS - (COLOURS @ TO_LUMA)[:, None] + 0.45
    rgb = np.where(shape[..., None] >= 0, same[shape], 0.15)
    luma = rgb @ TO_LUMA
    chroma = np.stack([rgb[..., 2] - luma, rgb[..., 0] - luma], axis=-1)
    grey = luma[..., None] + rng.normal(0, 0.02, (count, SIDE, SIDE, 1))
    return grey.astype(np.float32), chroma.astype(np.float32), shape


def network():
    return models.Sequential(
        [
            layers.Input((SIDE, SIDE, 1)),
            layers.GaussianNoise(0.02),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.UpSampling2D(interpolation="bilinear"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.UpSampling2D(),
            layers.Conv2D(2, 3, padding="same"),
        ]
    )


def painted(chroma):
    """The shape whose colour is nearest, by the two chroma channels."""
    same = COLOURS - (COLOURS @ TO_LUMA)[:, None] + 0.45
    wanted = np.stack([same[:, 2] - 0.45, same[:, 0] - 0.45], axis=-1)
    return np.square(chroma[..., None, :] - wanted).sum(-1).argmin(-1)


def main(images=1500, epochs=8, seed=0):
    random.seed(seed)
    rng = np.random.default_rng(seed)
    x, y, _ = draw(images, rng)
    x_test, y_test, shape = draw(300, rng)
    model = network()
    model.compile("adam", "mean_squared_error")
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    predicted = model.predict(x_test, verbose=0)
    assert predicted.shape == y_test.shape == (300, SIDE, SIDE, 2)
    inside = shape >= 0
    return {
        "loss at first": round(history.history["loss"][0], 5),
        "loss at last": round(history.history["loss"][-1], 5),
        "test loss of grey": round(float(np.square(y_test).mean()), 5),
        "test loss": round(float(np.square(predicted - y_test).mean()), 5),
        "cells with the right colour": percent((painted(predicted) == shape)[inside].mean()),
    }


if __name__ == "__main__":
    run(main)
