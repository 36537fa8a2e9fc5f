"""Deck 004, a deep-learning course: data, layers and losses (rows 1 to 27)."""

import os

import numpy as np
import pytest

from fastconv import datasets, layers, losses, metrics, models, ops, optimizers, random, utils


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def compiled(*body, loss="mse", optimizer="sgd", **keywords):
    model = models.Sequential(list(body))
    model.compile(optimizer, loss, **keywords)
    return model


def test_004_1_three_layers_and_more():
    """A network of three and more layers trains."""
    random.seed(0)
    model = compiled(layers.Input((3,)), *(layers.Dense(6, activation="tanh") for _ in range(3)), layers.Dense(1))
    x = normal(40, 3)
    found = model.fit(x, x[:, 0], epochs=8, verbose=0).history["loss"]
    assert len(model.layers) == 4 and found[-1] < found[0]


def test_004_2_linear_regression():
    """y = a x + b, and with many variables: `Dense(1)` finds the least-squares solution to 1e-3."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [2.0, -1.0, 0.5] + 3 + rng.normal(0, 0.3, 200)
    model = compiled(layers.Input((3,)), layers.Dense(1), optimizer=optimizers.SGD(0.3))
    model.fit(x, y, batch_size=200, epochs=80, verbose=0)
    best, *_ = np.linalg.lstsq(np.c_[x, np.ones(200)], y, rcond=None)
    np.testing.assert_allclose(np.concatenate([w.ravel() for w in model.get_weights()]), best, atol=1e-3)


def test_004_3_logistic_regression(example, needs_data):
    """Two species of Iris: the accuracy of scikit-learn's LogisticRegression (95 %)."""
    needs_data("small/iris.csv")
    found = example("regression", logistic_epochs=6000)
    assert found["logistic_accuracy"] == pytest.approx(95, abs=1) and found["linear_distance_to_least_squares"] < 1e-3


def test_004_4_trial_and_error():
    """10 = 3a + b: six trials, their values and errors, and gradient descent as the trial that ends."""
    trials = np.array([(1, 1), (4, 3), (2, 2), (3, 2), (2, 3), (2, 4)], np.float32)
    model = compiled(layers.Input((2,)), layers.Dense(1, use_bias=False), optimizer=optimizers.SGD(0.04))
    model.set_weights([[[3.0], [1.0]]])
    values = model.predict(trials)[:, 0]
    assert values.tolist() == [4, 15, 8, 11, 9, 10] and (10 - values).tolist() == [6, -5, 2, -1, 1, 0]
    model.set_weights([[[1.0], [1.0]]])
    model.fit([[3, 1]], [10], epochs=60, verbose=0)
    assert model.predict([[3, 1]]).item() == pytest.approx(10, abs=1e-3)


def test_004_5_step():
    """The perceptron's activation: 1 above 0, 0 at 0 and below."""
    model = models.Sequential([layers.Input((1,)), layers.Dense(1, activation="step", use_bias=False)])
    model.set_weights([[[1.0]]])
    assert model.predict([[-1.0], [0.0], [1e-6], [2.0]]).ravel().tolist() == [0, 0, 1, 1]


def test_004_6_every_node_to_every_node():
    """3-4-5-3-2: 12, 20, 15 and 6 weights; changing one input moves every node of the next layer."""
    model = models.Sequential([layers.Input((3,)), *(layers.Dense(n) for n in (4, 5, 3, 2))])
    assert [w.size for w in model.get_weights()[::2]] == [12, 20, 15, 6]
    hidden = [next(iter(list(model.activations(x).values())[1:2])) for x in (np.zeros((1, 3)), np.eye(3)[:1])]
    assert (hidden[0] != hidden[1]).all()


def test_004_7_parameters_and_hyperparameters(tmp_path):
    """A model's config holds both: sizes and rates as text, weights as numbers."""
    model = compiled(
        layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(1), optimizer=optimizers.Adam(0.003)
    )
    config = model.get_config()
    assert config["layers"][0]["config"]["units"] == 4 and model.optimizer.get_config()["learning_rate"] == 0.003
    assert len(model.get_weights()) == 4


@pytest.mark.parametrize(
    "shape, layer", [((5,), layers.Dense(2)), ((5, 3), layers.Conv1D(2, 2)), ((5, 5, 3), layers.Conv2D(2, 2))]
)
def test_004_8_inputs_of_every_rank(shape, layer):
    """Vectors, sequences and images are inputs."""
    model = models.Sequential([layers.Input(shape), layer])
    assert model.predict(normal(4, *shape)).shape[0] == 4


class Exporter:
    """An array of another library: DLPack alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("form", [list, tuple, np.asarray, Exporter], ids=["list", "tuple", "numpy", "dlpack"])
def test_004_9_vectors(form):
    """A vector may be a list, a tuple, a NumPy array, or come by DLPack."""
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    x = normal(2, 3).astype(np.float32)
    given = form(x) if form in (np.asarray, Exporter) else form(form(float(v) for v in row) for row in x)
    np.testing.assert_array_equal(model.predict(given), model.predict(x))


def test_004_10_tables(tmp_path):
    """A CSV file: samples in its rows, features in its columns, one column the target."""
    path = tmp_path / "t.csv"
    path.write_text("age,income,bought\n28,40000,no\n\n47,60000,yes\n35,55000.5,no\n")
    x, y, names = datasets.load_csv(path)
    assert x.tolist() == [[28, 40000], [47, 60000], [35, 55000.5]] and y.tolist() == ["no", "yes", "no"]
    assert names == ("age", "income") and datasets.load_csv(path, "bought")[2] == names
    path.write_text("1,2,3\n4,5,6\n")
    x, y, names = datasets.load_csv(path, target=0)
    assert x.tolist() == [[2, 3], [5, 6]] and y.dtype == np.int64 and y.tolist() == [1, 4] and names == ("1", "2")
    assert datasets.load_csv(path, None)[1] is None


@pytest.mark.parametrize(
    "text, target, message",
    [
        ("", -1, "empty file"),
        ("a,b\n1,2\n3\n", -1, "line 3: expected 2 fields, got 1"),
        ("1,2\nx,3\n", -1, "line 2, column '0' must be a number: got 'x'"),
        ("1,2\n3,4\n", 5, "column's number"),
        ("a,b\n3,4\n", "c", "name a column"),
        ("\\xff", -1, "UTF-8"),
    ],
)
def test_004_10_tables_that_are_none(tmp_path, text, target, message):
    """Errors name the line and the column."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe" if text.startswith("\\") else text.encode())
    with pytest.raises((ValueError, OSError), match=message):
        datasets.load_csv(path, target)


TABLE = np.array([[28, 40000, 5], [47, 60000, 20], [35, 55000, 10]], float)
SCALED = [[-1.10, -1.37, -1.07], [1.32, 0.98, 1.34], [-0.21, 0.39, -0.27]]


def test_004_11_centre_and_scale():
    """Numbers centred and scaled by the population's deviation, as the slide's table has them (T7)."""
    np.testing.assert_allclose((TABLE - TABLE.mean(0)) / TABLE.std(0), SCALED, atol=0.005)
    layer = layers.Normalization()
    layer.adapt(TABLE)
    np.testing.assert_allclose(layer(TABLE), SCALED, atol=0.005)


def test_004_12_categories():
    """Names to numbers and back; numbers to one-hot vectors and back."""
    encoder = utils.LabelEncoder()
    names = ["red", "green", "blue", "green"]
    numbers = encoder.fit_transform(names)
    assert numbers.tolist() == [2, 1, 0, 1] and encoder.inverse_transform(numbers).tolist() == names
    one_hot = utils.to_categorical(numbers)
    assert one_hot.sum(1).tolist() == [1] * 4 and one_hot.argmax(1).tolist() == numbers.tolist()


def test_004_13_text_as_vectors(example):
    """scikit-learn's TF-IDF features of sentences go into a dense net (speech as a series: 003-1)."""
    pytest.importorskip("sklearn", reason="makes the features; pip install scikit-learn")
    assert example("texts", epochs=10)["test_accuracy"] > 90


def test_004_14_pixels():
    """An image is pixels of three numbers."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0] = 255, 128, 0
    assert [int(c[0, 0]) for c in utils.split_channels(image)] == [255, 128, 0]


def test_004_15_samples_in_rows():
    """Rows are samples; the transposed view of a table with samples in columns is taken as it is."""
    columns = normal(4, 10).astype(np.float32)
    model = models.Sequential([layers.Input((4,)), layers.Dense(2)])
    assert not columns.T.flags.c_contiguous
    np.testing.assert_array_equal(model.predict(columns.T), model.predict(np.ascontiguousarray(columns.T)))


def test_004_16_architecture_by_experiment(example):
    """Several architectures are tried on validation data, and the best one is tested."""
    assert len(example("tune", epochs=4)["validation"]) == 6


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
