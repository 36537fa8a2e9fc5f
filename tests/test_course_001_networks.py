"""Deck 001, convolutional networks in Keras: its first half, about neurons and training. The rest: test_course_001_images.py."""

import importlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from fastconv import callbacks, explanation, initializers, layers, metrics, models, ops, optimizers, random, utils
from fastconv.testing.small import normal

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.float32)


def test_001_1_digits(example):
    """A classifier of the digits in the package reaches 97 %."""
    assert example("digits", epochs=12, network="convolutional")["convolutional"] >= 97


def test_001_1_digits_of_mnist():
    """A CNN reaches 98.5 % of MNIST's test digits: bench/results/accuracy_mnist.json, five epochs, three seeds."""
    path = Path(__file__).parents[1] / "bench/results/accuracy_mnist.json"
    if not path.exists():
        pytest.skip("the records of benches are not in the package")
    record = json.loads(path.read_text("utf-8"))
    assert record["epochs"] == 5 and min(run["accuracy"][-1] for run in record["runs"]["fastconv"]) >= 0.985


def test_001_2_recall_of_scikit_learn():
    """Recall, Precision and FalsePositives equal scikit-learn's, on random labels."""
    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 200), rng.random(200)
    guess = score > 0.5
    true, false = (guess & (truth == 1)).sum(), (guess & (truth == 0)).sum()
    found = {name: getattr(metrics, name)()(truth, score) for name in ("Recall", "Precision", "FalsePositives")}
    assert found == {
        "Recall": pytest.approx(true / truth.sum()),
        "Precision": pytest.approx(true / guess.sum()),
        "FalsePositives": false,
    }
    theirs = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn; pip install scikit-learn")
    assert found["Recall"] == pytest.approx(theirs.recall_score(truth, guess))
    assert found["Precision"] == pytest.approx(theirs.precision_score(truth, guess))
    assert found["FalsePositives"] == theirs.confusion_matrix(truth, guess)[0, 1]


def test_001_3_perceptron(example):
    """Rosenblatt's rule learns AND and OR within 20 epochs, and never XOR."""
    found = example("perceptron")
    for name in ("AND", "OR"):
        assert found[name]["epochs"] <= 20 and found[name]["right_of_4"] == 4
    assert found["XOR"]["epochs"] is None and found["XOR"]["right_of_4"] < 4


def learns_xor(*hidden):
    random.seed(1)
    model = models.Sequential([layers.Input((2,)), *hidden, layers.Dense(1, activation="sigmoid")])
    model.compile(optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    model.fit(*XOR, batch_size=4, epochs=200, verbose=0)
    return model.evaluate(*XOR, verbose=0)[1]


def test_001_4_activations_must_bend():
    """XOR: linear layers stay at 75 % or less, one hidden layer with tanh gets all."""
    assert learns_xor(layers.Dense(8)) <= 0.75
    assert learns_xor(layers.Dense(8, activation="tanh")) == 1


def test_001_5_rectifiers_and_glorot():
    """Glorot's initialisers have Keras's variance 2 / (fan_in + fan_out); a fresh relu layer is silent by half."""
    random.seed(0)
    for name in ("glorot_uniform", "glorot_normal"):
        w = initializers.get(name)((300, 500))
        assert w.var() == pytest.approx(2 / 800, rel=0.02) and abs(w.mean()) < 1e-3
    model = models.Sequential([layers.Input((64,)), layers.Dense(256, activation="relu", name="hidden")])
    assert model.sparsity(normal(64, 64))["hidden"] == pytest.approx(0.5, abs=0.05)
    assert {ops.sigmoid(np.zeros(1))[0], ops.tanh(np.zeros(1))[0], ops.relu(np.ones(1))[0]} == {0.5, 0, 1}


def test_001_6_an_activation_per_layer():
    """`Sequential` mixes relu, tanh and sigmoid."""
    kinds = ["relu", "tanh", "sigmoid"]
    model = models.Sequential([layers.Input((4,)), *(layers.Dense(5, activation=kind, name=kind) for kind in kinds)])
    found = model.activations(normal(30, 4))
    assert (
        found["relu"].min() == 0 and found["tanh"].min() < 0 and 0 < found["sigmoid"].min() < found["sigmoid"].max() < 1
    )


STUDY = np.array(
    [[12, 6, 78], [22, 6.5, 24], [115, 4, 100], [31, 9, 67], [0, 10, 58], [5, 8, 78], [92, 6, 82], [57, 8, 91]]
)
EXAM = np.array([0.93, 0.68, 0.95, 0.75, 0.51, 0.60, 0.89, 0.97])


def test_001_7_study_hours():
    """A regression net fits eight rows (study, sleep, quiz: exam) to less than 1 % of mean absolute error."""
    random.seed(0)
    x = (STUDY - STUDY.mean(0)) / STUDY.std(0)
    model = models.Sequential([layers.Input((3,)), layers.Dense(16, activation="tanh"), layers.Dense(1)])
    model.compile(optimizers.Adam(0.02), "mse", metrics=["mae"])
    model.fit(x, EXAM, batch_size=8, epochs=600, verbose=0)
    assert model.evaluate(x, EXAM, verbose=0)[1] < 0.01


def test_001_8_gradient_descent_in_two_dimensions():
    """The way of (w1, w2) is recorded, and ends at the bottom of the bowl."""
    way = []
    model = models.Sequential([layers.Input((2,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizers.SGD(0.2), "mse")
    model.set_weights([[[3.0], [-2.0]]])
    record = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: way.append(model.get_weights()[0].ravel()))
    x = np.array([[1.0, 0], [0, 1], [1, 1]])
    model.fit(x, x @ [1.0, 0.5], batch_size=3, epochs=150, verbose=0, callbacks=[record])
    distances = np.linalg.norm(np.array(way) - [1, 0.5], axis=1)
    assert (np.diff(distances[:50]) < 0).all() and distances[-1] < 1e-6


@pytest.mark.parametrize("size, updates", [(100, 1), (1, 100), (32, 4)])
def test_001_9_batch_stochastic_and_mini_batch(size, updates):
    """All rows a batch: one update in an epoch; one row: N; 32: ceil(N / 32)."""
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(normal(100, 2), normal(100), batch_size=size, epochs=1, verbose=0)
    assert history.steps == model.optimizer.iterations == updates


def test_001_10_the_six_steps_of_backpropagation(monkeypatch):
    """Weights start small and random; a training step then runs forward, compares, goes back, and updates, in this order."""
    random.seed(0)
    model = models.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(64, activation="sigmoid", kernel_initializer="random_normal"),
            layers.Dense(1),
        ]
    )
    start = model.get_weights()[0]
    assert 0 < start.std() < 0.1 and len(np.unique(start)) > 200
    uniform = initializers.RandomUniform(-0.05, 0.05)((100, 100))
    assert np.abs(uniform).max() <= 0.05
    model.compile("sgd", "mse")
    monkeypatch.setattr(explanation, "_SECONDS", 0)
    kernels = [row.kernel for row in explanation.explain(model, batch_size=8).rows]
    phases = ("dense_forward", "loss_forward", "backward", "sgd")
    places = [[i for i, kernel in enumerate(kernels) if phase in kernel] for phase in phases]
    assert all(max(one) < min(after) for one, after in itertools.pairwise(places))
    model.fit(normal(8, 4), normal(8), epochs=3, verbose=0)  # and again
    assert (model.get_weights()[0] != start).all()


def test_001_11_more_epochs():
    """Two `fit` of five epochs go on as one of ten would: the same bits."""

    def trained(*parts):
        random.seed(2)
        model = models.Sequential([layers.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(1)])
        model.compile("adam", "mse")
        for begin, end in parts:
            model.fit(normal(50, 4), normal(50), epochs=end, initial_epoch=begin, batch_size=8, verbose=0)
        return model.get_weights()

    for parts in (((0, 5), (5, 10)), ((0, 5), (0, 5))):  # counted on, or simply `fit(epochs=5)` again
        for a, b in zip(trained(*parts), trained((0, 10)), strict=True):
            np.testing.assert_array_equal(a, b)


def test_001_12_decision_boundary(tmp_path):
    """What a model makes of the plane, as a picture: `plots.decision_boundary`."""
    pytest.importorskip("matplotlib", reason="draws; pip install 'fastconv[plots]'")
    from fastconv import plots

    model = models.Sequential([layers.Input((2,)), layers.Dense(1, activation="sigmoid")])
    plots.decision_boundary(model, *XOR, path=tmp_path / "plane.svg", steps=20)
    assert "<svg" in (tmp_path / "plane.svg").read_text("utf-8")


def test_001_13_the_keras_snippet(example):
    """8-12-8-1, binary cross-entropy, Adam: runs as it stands but for the imports, has 221 parameters, and learns."""
    found = example("keras_snippet", epochs=15)
    assert found["parameters"] == 221 and found["last_loss"] < found["first_loss"] and found["accuracy"] > 65


def test_001_14_the_modules_of_keras():
    """`fastconv` has models, layers, optimizers, losses, metrics, callbacks, utils, datasets, initializers."""
    for name in (
        "models",
        "layers",
        "optimizers",
        "losses",
        "metrics",
        "callbacks",
        "utils",
        "datasets",
        "initializers",
    ):
        assert importlib.import_module(f"fastconv.{name}").__all__


def test_001_15_mnist_without_a_network(tmp_path, monkeypatch):
    """`mnist.load_data()` reads local files, checks them, and says what is missing where there are none."""
    import gzip
    import struct

    from fastconv.datasets import mnist
    from fastconv.errors import DatasetError

    monkeypatch.setenv("FASTCONV_OFFLINE", "1")
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte"):
        mnist.load_data(tmp_path)
    for name, n in (("train", 60), ("t10k", 10)):
        images = struct.pack(">IIII", 0x803, n, 28, 28) + bytes(n * 784)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">II", 0x801, n) + bytes(n)))
    with pytest.raises(DatasetError, match=r"SHA-256|60,?000"):
        mnist.load_data(tmp_path)


def test_001_16_two_dense_layers_of_512(example, needs_data):
    """669,706 parameters; over 93 % of MNIST's test digits after two epochs on a third of them."""
    needs_data("mnist")
    found = example("mnist_dense", samples=20000, epochs=2)
    assert found["parameters"] == 669_706 and found["test_accuracy"] > 93


def test_001_16_the_record_of_a_whole_run():
    """At least 97.5 % of MNIST's test digits within five epochs: examples/results/mnist_dense.json."""
    path = Path(__file__).parents[1] / "examples/results/mnist_dense.json"
    if not path.exists():
        pytest.skip("the records of examples are not in the package")
    found = json.loads(path.read_text("utf-8"))["results"]
    assert found["parameters"] == 669_706 and max(found["test_accuracy_by_epoch"][:5]) >= 97.5


def test_001_17_pictures_are_arrays(tmp_path):
    """A grey picture of 2 x 2 loads as (2, 2), a colour one as (2, 2, 3), uint8; `add_channel` adds the axis."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8)
    image.fromarray(pixels).save(tmp_path / "two.png")
    colour = np.asarray(utils.load_img(tmp_path / "two.png"))
    grey = np.asarray(utils.load_img(tmp_path / "two.png", color_mode="grayscale"))
    assert colour.dtype == grey.dtype == np.uint8 and grey.shape == (2, 2)
    np.testing.assert_array_equal(colour, pixels)
    assert utils.add_channel(grey).shape == (2, 2, 1)
