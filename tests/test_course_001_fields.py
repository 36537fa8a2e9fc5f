"""Deck 001, convolutional networks in Keras: fields of use and other networks that it names (rows 35 and 36)."""

import numpy as np

from fastconv import layers, models, optimizers, random
from fastconv.testing.small import compiled, normal

SIZE = 16


def scenes(count, rng):
    """Pictures with one shape somewhere, its kind, and its box: top, left, bottom, right, as shares of the picture."""
    x, kind = rng.normal(0, 0.15, (count, SIZE, SIZE, 1)).astype(np.float32), rng.integers(0, 3, count)
    half, place = rng.integers(2, 4, count), rng.integers(3, SIZE - 3, (count, 2))
    for image, k, h, (row, column) in zip(x, kind, half, place, strict=True):
        r, c = np.abs(np.arange(-h, h + 1))[:, None], np.abs(np.arange(-h, h + 1))[None]
        drawn = [(r == h) | (c == h), r + c <= h, (r == 0) | (c == 0)][k]
        image[row - h : row + h + 1, column - h : column + h + 1, 0] += drawn
    boxes = np.concatenate([place - half[:, None], place + half[:, None] + 1], axis=1) / SIZE
    return x, kind, boxes.astype(np.float32)


def overlap(a, b):
    """Intersection over union of boxes (N, 4)."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    area, other = (np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b))
    return common / (area + other - common)


def test_001_35_what_it_is_and_where():
    """Detection of an object, as cars and robots need it: a body with two heads says which shape, and its box."""
    random.seed(0)
    rng = np.random.default_rng(0)
    image = y = layers.Input((SIZE, SIZE, 1))
    for filters in (16, 32):
        y = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu")(y))
    y = layers.Dense(64, activation="relu")(layers.Flatten()(y))
    kind = layers.Dense(3, activation="softmax", name="kind")(y)
    box = layers.Dense(4, activation="sigmoid", name="box")(y)
    model = models.Model(image, [kind, box])
    model.compile(optimizers.Adam(0.005), ["sparse_categorical_crossentropy", "mse"], loss_weights=[1, 20])
    x, kinds, boxes = scenes(900, rng)
    model.fit(x[:800], [kinds[:800], boxes[:800]], epochs=12, verbose=0)
    said, found = model.predict(x[800:], verbose=0)
    assert (said.argmax(1) == kinds[800:]).mean() > 0.9
    assert overlap(found, boxes[800:]).mean() > 0.6


def test_001_36_an_echo_state_network():
    """A reservoir of random recurrent neurons that never learn, and a dense layer that does: it foretells a series."""
    random.seed(0)
    rng = np.random.default_rng(0)
    t = np.arange(1200)
    series = (np.sin(0.2 * t) * np.cos(0.053 * t)).astype(np.float32)[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(series[:, 0], 41)  # forty values, and the one that follows
    x, y = windows[:, :40, None], windows[:, 40]
    reservoir = layers.SimpleRNN(60, trainable=False, name="reservoir")
    model = compiled(layers.Input((40, 1)), reservoir, layers.Dense(1), optimizer=optimizers.Adam(0.01))
    w, u, b = reservoir.get_weights()
    u = rng.normal(size=u.shape)
    echoes = [rng.uniform(-0.5, 0.5, w.shape), 0.9 * u / np.abs(np.linalg.eigvals(u)).max(), b]  # what it hears fades
    reservoir.set_weights(echoes)
    model.fit(x[:900], y[:900], epochs=15, verbose=0)
    assert model.evaluate(x[900:], y[900:], verbose=0) < 0.02 * y[900:].var()
    for now, then in zip(reservoir.get_weights(), echoes, strict=True):
        np.testing.assert_array_equal(now, then.astype(np.float32))


def routed(u, kernel, count, size, rounds):
    """Sabour et al. 2017, procedure 1, in NumPy: the lengths of the capsules."""
    samples, parts, numbers = u.shape
    w = kernel.reshape(numbers, parts, count, size)
    foretold = np.einsum("nid,dijs->nijs", u, w)
    trust = np.zeros((samples, parts, count))
    for _ in range(rounds):
        share = np.exp(trust) / np.exp(trust).sum(-1, keepdims=True)
        s = np.einsum("nij,nijs->njs", share, foretold)
        square = (s**2).sum(-1, keepdims=True)
        v = square / (1 + square) * s / np.sqrt(square)
        trust = trust + np.einsum("nijs,njs->nij", foretold, v)
    return np.sqrt((v**2).sum(-1))


def test_001_36_capsules(example, examples):
    """Capsules with routing by agreement, a layer of one's own: equal to the paper's procedure, its gradients to
    differences; on the digits they reach 90 %."""
    random.seed(0)
    layer = examples("capsules").Capsules(3, 4, dtype="float64")
    model = compiled(layers.Input((5, 6), dtype="float64"), layer)
    x, y = normal(7, 5, 6), normal(7, 3, seed=1)
    np.testing.assert_allclose(model.predict(x), routed(x, layer.get_weights()[0], 3, 4, 3), rtol=1e-5)
    report = model.gradcheck(x, y)
    assert report.passed, str(report)
    assert example("capsules", epochs=4)["test_accuracy"] > 90
