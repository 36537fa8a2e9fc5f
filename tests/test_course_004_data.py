"""Deck 004, a deep-learning course: regression, inputs, preprocessing (rows 1 to 16)."""

import tracemalloc

import numpy as np
import pytest

from fastconv import datasets, layers, models, ops, optimizers, random, utils
from fastconv.testing.small import compiled, normal


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
    """Two species of Iris: the accuracy of scikit-learn's LogisticRegression (95 %), and its weights."""
    needs_data("small/iris.csv")
    found = example("regression")
    assert found["logistic_accuracy"] == 95 and found["linear_distance_to_least_squares"] < 1e-3
    pytest.importorskip("sklearn", reason="the real one; pip install scikit-learn")
    assert found["scikit_learn_accuracy"] == found["logistic_accuracy"]
    np.testing.assert_allclose(found["logistic_weights"], found["scikit_learn_weights"], rtol=0.01)


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


RANKS = {
    "vectors": ((5,), lambda: layers.Dense(2)),
    "sequences": ((5, 3), lambda: layers.Conv1D(2, 2)),
    "images": ((5, 5, 3), lambda: layers.Conv2D(2, 2)),
    "volumes": ((5, 5, 5, 3), lambda: layers.Conv3D(2, 2)),
}


@pytest.mark.parametrize("kind", RANKS)
def test_004_8_inputs_of_every_rank(kind):
    """Inputs of rank 2 to 5: vectors, sequences, images, volumes."""
    shape, layer = RANKS[kind]
    model = models.Sequential([layers.Input(shape), layer()])
    assert model.predict(normal(4, *shape)).shape[0] == 4


def test_004_9_vectors_on_a_gpu(any_gpu):
    """CuPy's arrays are taken, too."""
    x, w = normal(2, 3).astype(np.float32), normal(3, 2, seed=1).astype(np.float32)
    found = ops.dense(any_gpu.asarray(x), any_gpu.asarray(w))
    np.testing.assert_allclose(found.get(), ops.dense(x, w), rtol=1e-6)


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
        ('1,"' + "2" * 200_000, -1, "no table"),
    ],
    ids=["empty", "short row", "text", "number of no column", "name of no column", "bytes", "open quote"],
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


def test_004_15_without_a_copy():
    """A transposed table of 16 MB is predicted and learned from without a second one."""
    columns = np.zeros((64, 65_536), np.float32)
    model = compiled(layers.Input((64,)), layers.Dense(1))
    how = {"batch_size": 4096, "verbose": 0}
    for use in (lambda: model.predict(columns.T, **how), lambda: model.fit(columns.T, columns[0], **how)):
        use()
        tracemalloc.start()
        use()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < columns.nbytes / 4


def test_004_16_architecture_by_experiment(example):
    """Several architectures are tried on validation data, and the best one is tested."""
    assert len(example("tune", epochs=4)["validation"]) == 6
