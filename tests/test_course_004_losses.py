"""Deck 004, a deep-learning course: layers, losses, accuracies (rows 17 to 27, 37)."""

import os

import numpy as np
import pytest

from fastconv import layers, losses, metrics, models, ops, optimizers, utils
from fastconv.testing.small import compiled, normal


def test_004_17_weights_and_biases():
    """`summary()` prints 53 weights and 14 biases of 3-4-5-3-2."""
    lines = []
    models.Sequential([layers.Input((3,)), *(layers.Dense(n) for n in (4, 5, 3, 2))]).summary(print_fn=lines.append)
    assert "weights 53, biases 14" in "\n".join(lines)


def test_004_18_transposed_weights():
    """Y = Wᵀ X + B for 4 inputs and 5 nodes, samples in columns, equals a dense layer (T11)."""
    w, x, b = normal(4, 5), normal(4, 7), normal(5)
    np.testing.assert_allclose(ops.dense(x.T, w, b).T, w.T @ x + b[:, None], rtol=1e-13, atol=1e-14)


def test_004_19_ranges_of_activations():
    """sigmoid 0..1, tanh -1..1, relu from 0, softmax sums to 1 and stands 1e4."""
    x = np.concatenate([normal(100) * 20, [-1e4, 1e4]])
    with np.errstate(all="raise"):
        assert ops.sigmoid(x).min() >= 0 and ops.sigmoid(x).max() <= 1
        assert ops.tanh(x).min() >= -1 and ops.tanh(x).max() <= 1 and ops.relu(x).min() == 0
        np.testing.assert_allclose(ops.softmax(x[None]).sum(), 1, atol=1e-12)


def test_004_20_size_of_the_output():
    """Nine outputs for labels 0..9: the error says what was expected."""
    model = compiled(layers.Input((4,)), layers.Dense(9, activation="softmax"), loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"labels.*9"):
        model.fit(normal(20, 4), np.arange(20) % 10, verbose=0)
    with pytest.raises(ValueError, match=r"shape.*to_categorical"):
        compiled(layers.Input((4,)), layers.Dense(9)).fit(normal(20, 4), np.zeros((20, 10)), verbose=0)


@pytest.mark.parametrize("n, stratify", [(100, True), (97, False), (53, True)])
def test_004_21_three_parts(n, stratify):
    """80:10:10: the sizes add up, no sample is in two parts, classes keep their shares, the seed repeats it."""
    x, y = np.arange(n), np.arange(n) % 3
    parts = utils.train_val_test_split(x, y, ratios=(0.8, 0.1, 0.1), stratify=stratify, seed=1)
    assert sorted(np.concatenate([a for a, _ in parts])) == list(range(n))
    assert [len(a) for a, _ in parts] == pytest.approx([0.8 * n, 0.1 * n, 0.1 * n], abs=1)
    again = utils.train_val_test_split(x, y, stratify=stratify, seed=1)
    assert all((a[0] == b[0]).all() for a, b in zip(parts, again, strict=True))
    if stratify:
        assert np.ptp(np.bincount(parts[0][1])) <= 2


def test_004_22_defaults():
    """Keras's sane defaults: Glorot's uniform weights, zero biases, batches of 32, Adam's rate 0.001."""
    layer = layers.Dense(3)
    assert (
        type(layer.kernel_initializer).__name__ == "GlorotUniform" and type(layer.bias_initializer).__name__ == "Zeros"
    )
    assert optimizers.Adam().learning_rate == pytest.approx(0.001) and optimizers.SGD().learning_rate == pytest.approx(
        0.01
    )
    model = compiled(layers.Input((2,)), layers.Dense(1))
    assert model.fit(normal(33, 2), normal(33), verbose=0).steps == 2


def test_004_23_initial_weights():
    """From zeros all hidden nodes stay alike; random normal weights have the mean and deviation asked for."""
    model = compiled(
        layers.Input((3,)), layers.Dense(4, activation="sigmoid", kernel_initializer="zeros"), layers.Dense(1)
    )
    start = model.get_weights()
    model.set_weights([start[0], start[1], np.full_like(start[2], 0.5), start[3]])
    model.fit(normal(32, 3), normal(32), epochs=5, verbose=0)
    kernel = model.get_weights()[0]
    assert (kernel == kernel[:, :1]).all() and (kernel != 0).any()
    from fastconv.initializers import RandomNormal

    w = RandomNormal(0.0, 1.0, seed=3)((200, 200))
    assert abs(w.mean()) < 0.02 and w.std() == pytest.approx(1, abs=0.02)


def test_004_24_one_sample_or_all():
    """The result of all samples is that of each, to the last bit."""
    model = models.Sequential(
        [layers.Input((6,)), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    x = normal(21, 6)
    np.testing.assert_array_equal(model.predict(x), np.concatenate([model.predict(row[None]) for row in x]))


def test_004_25_loss_and_cost():
    """`reduction=None` gives the loss of each sample, the default their mean: the cost."""
    y, p = normal(6, 2), normal(6, 2, seed=1)
    for cls in (losses.MeanSquaredError, losses.MeanAbsoluteError, losses.Huber):
        each = cls(reduction=None)(y, p)
        assert each.shape == (6,) and cls()(y, p) == pytest.approx(each.mean())


def test_004_26_cost_functions():
    """Mean squares and their root, as loss and metric; binary and categorical cross-entropy."""
    y, p = normal(10, 2), normal(10, 2, seed=1)
    root = np.sqrt(np.square(p - y).mean())
    assert losses.get("rmse")(y, p) == pytest.approx(root) == metrics.RootMeanSquaredError()(y, p)
    assert losses.MeanSquaredError()(y, p) == pytest.approx(root**2)
    numeric = utils.numeric_gradient(lambda v: losses.RootMeanSquaredError()(y, v), p)
    np.testing.assert_allclose(numeric, (p - y) / (p.size * root), atol=1e-8)
    q, t = ops.softmax(p), utils.to_categorical(np.arange(10) % 2, 2).astype(float)
    expected = -np.log(q[range(10), np.arange(10) % 2]).mean()
    for loss in ("binary_crossentropy", "categorical_crossentropy"):  # of two classes that sum to 1 they are the same
        assert losses.get(loss)(t, q) == pytest.approx(expected, rel=1e-6)


def test_004_26_training_with_the_root(tmp_path):
    """The root of mean squares trains, is saved by name, and is 0 with gradient 0 where all is right."""
    model = compiled(
        layers.Input((3,)), layers.Dense(1), loss="root_mean_squared_error", optimizer=optimizers.Adam(0.05)
    )
    x = normal(64, 3)
    y = x @ [1.0, -2, 0.5] + 1
    found = model.fit(x, y, epochs=60, verbose=0).history["loss"]
    assert found[-1] < 0.1 * found[0]
    model.save(tmp_path / "m.safetensors")
    back = models.load_model(tmp_path / "m.safetensors")
    assert back.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    exact = compiled(layers.Input((3,)), layers.Dense(1, kernel_initializer="zeros"), loss="rmse")
    loss, gradients = exact.gradients(x, np.zeros(64))
    assert loss == 0 and not any(g.any() for g in gradients.values())


def test_004_27_accuracies():
    """Binary, categorical, sparse and top-k accuracy: the share of right answers."""
    rng = np.random.default_rng(0)
    p, labels = ops.softmax(normal(50, 4)), rng.integers(0, 4, 50)
    right = (p.argmax(1) == labels).mean()
    assert metrics.SparseCategoricalAccuracy()(labels, p) == pytest.approx(right)
    assert metrics.CategoricalAccuracy()(utils.to_categorical(labels, 4), p) == pytest.approx(right)
    top = np.mean([label in row.argsort()[-2:] for label, row in zip(labels, p, strict=True)])
    assert metrics.SparseTopKCategoricalAccuracy(k=2)(labels, p) == pytest.approx(top)
    binary = rng.integers(0, 2, 50)
    assert metrics.BinaryAccuracy()(binary, p[:, 0]) == pytest.approx(((p[:, 0] > 0.5) == binary).mean())
    theirs = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn; pip install scikit-learn")
    assert theirs.accuracy_score(labels, p.argmax(1)) == pytest.approx(right)
    assert theirs.top_k_accuracy_score(labels, p, k=2) == pytest.approx(top)


def test_004_37_iris(example):
    """Four lengths to the species, by a net 4-8-3: at least 93 % of the test flowers."""
    if not os.environ.get("FASTCONV_DATA"):
        pytest.importorskip("sklearn", reason="holds the table; or set FASTCONV_DATA to a folder with small/iris.csv")
    found = example("iris")
    assert found["test_accuracy"] >= 93 and found["parameters"] == 67
