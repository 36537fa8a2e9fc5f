"""Deck 004, a deep-learning course: training in practice and image recognition (rows 28 to 50)."""

import io
import json
import os
import pickle

import numpy as np
import pytest

from fastconv import datasets, layers, models, ops, optimizers, random, utils
from fastconv.testing.small import compiled, normal


def test_004_28_from_the_output_back():
    """Deltas by hand, from the output to the first layer, are the gradients that the model gives."""
    model = compiled(
        layers.Input((3,), dtype="float64"),
        layers.Dense(4, "sigmoid", dtype="float64"),
        layers.Dense(1, dtype="float64"),
    )
    x, y = normal(5, 3), normal(5, 1, seed=1)
    w0, b0, w1, b1 = model.get_weights()
    h = 1 / (1 + np.exp(-(x @ w0 + b0)))
    delta = 2 * (h @ w1 + b1 - y) / 5
    back = (delta @ w1.T) * h * (1 - h)
    expected = [x.T @ back, back.sum(0), h.T @ delta, delta.sum(0)]
    for found, by_hand in zip(model.gradients(x, y)[1].values(), expected, strict=True):
        np.testing.assert_allclose(found, by_hand, rtol=1e-12, atol=1e-15)


def test_004_29_the_loop():
    """Forward, loss, backward, update, again: `train_on_batch` in a loop is what `fit` does."""

    def fresh():
        random.seed(0)
        return compiled(layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1), optimizer="adam")

    x, y = normal(24, 3), normal(24)
    a, b = fresh(), fresh()
    a.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for i in range(0, 24, 8):
            b.train_on_batch(x[i : i + 8], y[i : i + 8])
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size, steps", [(None, 7), (64, 4), (128, 2), (200, 1)])
def test_004_30_batches(size, steps):
    """32 by default; 64 and 128; all rows: batch gradient descent."""
    model = compiled(layers.Input((2,)), layers.Dense(1))
    assert model.fit(normal(200, 2), normal(200), batch_size=size, verbose=0).steps == steps


def test_004_31_channels():
    """A picture comes apart into red, green and blue, and together again; the parts are views."""
    image = np.random.default_rng(0).integers(0, 256, (23, 24, 3), np.uint8)
    parts = utils.split_channels(image)
    assert len(parts) == 3 and all(part.shape == (23, 24) for part in parts)
    np.testing.assert_array_equal(utils.merge_channels(parts), image)
    assert all(np.shares_memory(part, image) for part in parts)


def test_004_32_epochs():
    """1000 samples in batches of 128 are 8 steps an epoch, which the bar shows; 50 epochs are 400."""
    from fastconv.callbacks.progress import ProgressCallback

    pytest.importorskip("tqdm", reason="the bar; pip install 'fastconv[progress]'")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    model, screen = compiled(layers.Input((1,)), layers.Dense(1)), Terminal()
    x = np.linspace(0, 1, 1000)[:, None]
    model.fit(x, x, batch_size=128, epochs=1, verbose=0, callbacks=[ProgressCallback(1, screen)])
    assert "8/8" in screen.getvalue()
    assert model.fit(x, x, batch_size=128, epochs=50, verbose=0).steps == 400


def test_004_33_validation():
    """After each epoch, on `validation_data`, or on the last rows before any shuffle."""
    x, y = normal(40, 2), normal(40)
    for keywords in ({"validation_data": (x[30:], y[30:])}, {"validation_split": 0.25}):
        random.seed(0)
        model = compiled(layers.Input((2,)), layers.Dense(1))
        train = (x[:30], y[:30]) if "validation_data" in keywords else (x, y)
        history = model.fit(*train, epochs=3, verbose=0, **keywords)
        assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(x[30:], y[30:], verbose=0), rel=1e-6)
        assert len(history.history["val_loss"]) == 3


def test_004_34_evaluation():
    """`evaluate` returns the loss and the metrics."""
    model = compiled(layers.Input((2,)), layers.Dense(1), metrics=["mae", "rmse"])
    found = model.evaluate(normal(20, 2), normal(20), verbose=0)
    assert len(found) == 3 and found[2] == pytest.approx(np.sqrt(found[0]), rel=1e-5)


def test_004_35_a_file_lists_both(tmp_path):
    """The saved file begins with JSON that people can read: layers, sizes and rates; then the weights by name."""
    model = compiled(
        layers.Input((3,)), layers.Dense(4, name="hidden"), layers.Dense(1), optimizer=optimizers.Adam(0.003)
    )
    model.save(tmp_path / "m.safetensors")
    raw = (tmp_path / "m.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    text = json.dumps(header["__metadata__"])
    assert "hidden" in text and "0.003" in text and "units" in text
    assert any("hidden/kernel" in name for name in header)


def test_004_36_preprocessing_travels_along(tmp_path):
    """Rescaling within the model is saved with it: predictions of raw pixels are the same after loading."""
    model = models.Sequential(
        [layers.Input((4, 4, 1)), layers.Rescaling(1 / 127.5, -1), layers.Flatten(), layers.Dense(2)]
    )
    model.save(tmp_path / "m.safetensors")
    x = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), np.uint8)
    back = models.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(model.predict(x), back.predict(x))
    np.testing.assert_allclose(back.activations(x)[back.layers[0].name], x / 127.5 - 1, atol=1e-6)


def test_004_38_the_second_keras_snippet():
    """2-3-3-1 with mse and Adam, as it stands: 25 parameters, and it learns."""
    from fastconv.layers import Dense
    from fastconv.models import Sequential

    random.seed(1)
    X = np.random.default_rng(1).uniform(size=(64, 2))
    y = X[:, 0] + 2 * X[:, 1]
    model = Sequential()
    model.add(Dense(3, input_dim=2, activation="relu"))
    model.add(Dense(3, activation="relu"))
    model.add(Dense(1, activation="linear"))
    model.compile(loss="mse", optimizer="adam")
    found = model.fit(X, y, epochs=20, verbose=0).history["loss"]
    assert model.count_params() == 25 and found[-1] < found[0]


def test_004_39_inputs_of_an_image():
    """256 x 256 x 3 are 196,608 inputs."""
    with layers.sizes_only():
        x = layers.Input((256, 256, 3))
        assert layers.Flatten()(x).shape == (None, 196_608)


@pytest.mark.parametrize("how", ["nearest", "bilinear", "area"])
def test_004_40_scaled_down(how):
    """`Resizing` makes the picture smaller as Pillow does: by nearest cells, bilinearly with all cells counted, by area."""
    image = pytest.importorskip("PIL.Image")
    x = np.random.default_rng(0).integers(0, 256, (24, 36), np.uint8)
    layer = layers.Resizing(8, 12, interpolation=how, antialias=how == "bilinear")
    assert layer.compute_output_shape((None, 24, 36, 1)) == (None, 8, 12, 1)
    found = layer(x[None, :, :, None].astype(np.float32))[0, :, :, 0]
    kind = {"nearest": "NEAREST", "bilinear": "BILINEAR", "area": "BOX"}[how]
    theirs = np.asarray(image.fromarray(x).resize((12, 8), image.Resampling[kind]))
    np.testing.assert_allclose(found, theirs, atol=1)


def test_004_41_eight_or_not(example):
    """Folders of PNG files, "8" and not: a CNN of two classes reaches 98 %."""
    found = example("eight_or_not", epochs=12)
    assert found["test_accuracy"] >= 98 > found["always_not_eight"]


@pytest.fixture
def pictures(tmp_path):
    """20 PNG files of two classes; the pixel in the corner is the file's number."""
    image = pytest.importorskip("PIL.Image")
    for k, name in enumerate(("eight", "other")):
        (tmp_path / name).mkdir()
        for i in range(10):
            pixels = np.full((4, 5, 3), 10 * k + i, np.uint8)
            image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


def numbers(data):
    return [int(v) for x, _ in data for v in x[:, 0, 0, 0]]


def test_004_41_folders_as_keras_reads_them(pictures):
    """`utils.image_dataset_from_directory`: batches of uint8, labels as asked for, two parts of one split."""
    read = utils.image_dataset_from_directory
    data = read(pictures, image_size=(4, 5), batch_size=8, shuffle=False)
    assert data.class_names == ("eight", "other") and len(data) == 3 and numbers(data) == list(range(20))
    x, y = next(iter(data))
    assert x.dtype == np.uint8 and x.shape == (8, 4, 5, 3) and y.tolist() == [0] * 8
    mixed = read(pictures, image_size=(4, 5), seed=3)
    assert numbers(mixed) != numbers(mixed) and sorted(numbers(mixed)) == list(range(20))
    parts = [
        read(pictures, image_size=(4, 5), seed=3, validation_split=0.25, subset=subset)
        for subset in ("training", "validation")
    ]
    assert [len(numbers(part)) for part in parts] == [15, 5]
    assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(20))
    one_hot = read(pictures, image_size=(4, 5), label_mode="categorical", shuffle=False)
    assert next(iter(one_hot))[1].shape == (20, 2)
    binary = read(pictures, image_size=(4, 5), label_mode="binary", shuffle=False)
    assert next(iter(binary))[1].shape == (20, 1)
    alone = read(pictures, image_size=(4, 5), labels=None, color_mode="grayscale")
    assert next(iter(alone)).shape == (20, 4, 5, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"subset": "training"}, "validation_split"),
        ({"validation_split": 0.2}, "subset"),
        ({"validation_split": 0.2, "subset": "training"}, "seed"),
        ({"validation_split": 2, "subset": "training", "seed": 1}, "validation_split"),
        ({"validation_split": 0.01, "subset": "validation", "seed": 1}, "empty"),
        ({"label_mode": "three"}, "label_mode"),
        ({"labels": [1, 2]}, "labels"),
        ({"label_mode": "binary", "class_names": ["eight"]}, "two classes"),
    ],
)
def test_004_41_folders_refuse(pictures, arguments, message):
    """Arguments that contradict each other are named."""
    with pytest.raises((ValueError, OSError), match=message):
        utils.image_dataset_from_directory(pictures, image_size=(4, 5), **arguments)


def test_004_42_training_and_inference():
    """`training=` changes dropout and batch normalisation, and nothing else."""
    x = normal(16, 6, 6, 2).astype(np.float32)
    body = [layers.Conv2D(3, 3), layers.ReLU(), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)]
    same = models.Sequential([layers.Input((6, 6, 2)), *body])
    np.testing.assert_array_equal(same(x, training=True), same(x, training=False))
    for layer in (layers.Dropout(0.5), layers.BatchNormalization()):
        assert (layer(x, training=True) != layer(x, training=False)).any()


def test_004_43_stacking():
    """Networks stack: a model is a layer of another."""
    inner = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="tanh")])
    outer = models.Sequential([layers.Input((4,)), inner, layers.Dense(2)])
    assert outer.count_params() == 15 + 8 and outer.predict(normal(3, 4)).shape == (3, 2)


def test_004_44_translation_invariance(example):
    """Moved digits: a CNN with global pooling keeps far more of its accuracy than a dense network."""
    found = example("pixels_or_features", epochs=10)
    assert found["cnn"]["moved"] > 1.5 * found["dense"]["moved"]


@pytest.mark.parametrize("stride", [1, 2])
def test_004_45_convolution_is_a_small_network_on_tiles(stride):
    """A convolution is a dense layer on overlapping tiles, exactly."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-4, 5, shape).astype(float) for shape in ((2, 9, 8, 3), (3, 3, 3, 5), (5,)))
    tiles = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::stride, ::stride]  # ..., C, R, S
    rows = np.moveaxis(tiles, 3, -1)  # N, P, Q, R, S, C
    dense = ops.dense(np.ascontiguousarray(rows).reshape(-1, 27), w.reshape(27, 5), b)
    np.testing.assert_array_equal(ops.conv2d(x, w, b, stride=stride), dense.reshape(*rows.shape[:3], 5))


def test_004_46_max_pooling_worked():
    """4 x 4 to 2 x 2: the largest of each window."""
    x = np.array([[0.1, 0.2, 0.5, 0.9], [0.1, 0.3, 0.8, 0.9], [0, 0, 0.4, 0.4], [0, 0, 0, 0.1]])[None, :, :, None]
    assert layers.MaxPooling2D(dtype="float64")(x)[0, :, :, 0].tolist() == [[0.3, 0.9], [0, 0.4]]


def test_004_47_architecture(example):
    """Input, convolution, pooling, dense, output."""
    assert list(example("cnn_steps", epochs=3)["shapes"].values())[-1] == [10]


def test_004_48_cifar():
    """CIFAR-10 and -100: images 32 x 32 x 3 (T6) from binary batches, the names of their classes; nothing is unpickled."""
    from fastconv.datasets import cifar10, cifar100

    assert len(cifar10.class_names) == 10 and cifar10.class_names[3] == "cat" and len(cifar100.class_names) == 100
    record = np.random.default_rng(0).integers(0, 10, (4, 3073), np.uint8)
    x, y = cifar10._SET.parse_binary(record.tobytes(), "a test")
    assert x.shape == (4, 32, 32, 3) and x.dtype == np.uint8 and np.ravel(y).tolist() == record[:, 0].tolist()
    np.testing.assert_array_equal(x[0, :, :, 0].ravel(), record[0, 1:1025])  # red first, row by row


class Attack:
    """What would run if it were unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def test_004_48_pickled_batches(tmp_path):
    """The Python batches are read, and one that would run something is refused, without running it."""
    from fastconv.datasets import cifar10
    from fastconv.errors import DatasetError

    rows = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
    batch = {b"data": rows, b"labels": [3, 5, 3, 9]}
    x, y = cifar10._SET.parse_pickled(pickle.dumps(batch, 2), "a test", 4)
    assert np.ravel(y).tolist() == [3, 5, 3, 9]
    np.testing.assert_array_equal(x, rows.reshape(4, 3, 32, 32).transpose(0, 2, 3, 1))
    with pytest.raises(DatasetError, match="asks for"):
        cifar10._SET.parse_pickled(pickle.dumps({**batch, b"x": Attack(tmp_path / "victim")}, 2), "a test", 4)
    assert not (tmp_path / "victim").exists()


def test_004_48_cifar_cnn(example, needs_data):
    """The tutorial's CNN learns CIFAR-10 (here a part of it; all: see the record)."""
    needs_data("cifar10/data_batch_1.bin")
    assert example("cifar10_cnn", samples=2000, epochs=1)["train_accuracy"] > 15


def test_004_49_explore_your_data():
    """`describe` counts classes, ranges, copies, NaN, and hints at raw pixels."""
    x = np.random.default_rng(0).integers(0, 256, (12, 4, 4), np.uint8)
    x[5], x[6] = x[1], x[1]
    y = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0])
    found = datasets.Dataset(x, y).batch(4).describe()
    assert (found.samples, found.shape, found.dtype, found.duplicates, found.conflicts) == (12, (4, 4), "uint8", 2, 1)
    assert found.classes == {"0": 7, "1": 5} and found.mean == pytest.approx(x.mean())
    assert any("Rescaling" in hint for hint in found.hints) and "raw pixels" in str(found)
    bad = normal(5, 3)
    bad[1, 1], bad[2, 2] = np.nan, np.inf
    found = datasets.describe(bad, ["a", "b", "b", "b", "b"])
    assert (found.nan, found.infinite) == (1, 1) and found.classes == {"a": 1, "b": 4}
    assert np.isfinite([found.low, found.high, found.mean]).all() and "2 cells are no finite numbers" in found.hints[0]
    uneven = datasets.describe(normal(11, 2), [0] + [1] * 10, class_names=["cat", "dog"])
    assert uneven.classes == {"cat": 1, "dog": 10} and "stratify" in uneven.hints[-1]
    empty = datasets.describe(np.zeros((0, 3)))
    assert empty.samples == 0 and np.isnan(empty.mean)


def test_004_49_a_grid_of_images(tmp_path):
    """The images and their classes as a picture."""
    pytest.importorskip("matplotlib", reason="draws; pip install 'fastconv[plots]'")
    from fastconv import plots

    plots.image_grid(normal(6, 8, 8), np.arange(6), path=tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes()[:4] == b"\x89PNG"


def test_004_50_scikit_learn():
    """A network is an estimator: in a pipeline behind StandardScaler, cloned, scored."""
    pytest.importorskip("sklearn", reason="the real one; pip install scikit-learn")
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fastconv.sklearn import FastconvClassifier, FastconvRegressor

    x = 50 + 20 * normal(80, 3)
    pipeline = make_pipeline(StandardScaler(), FastconvClassifier(learning_rate=0.05, epochs=15, random_state=0))
    assert clone(pipeline).fit(x, x[:, 1] > 50).score(x, x[:, 1] > 50) > 0.9
    line = make_pipeline(StandardScaler(), FastconvRegressor(learning_rate=0.05, epochs=60, random_state=0))
    assert line.fit(x, (x[:, 0] - 50) / 20).score(x, (x[:, 0] - 50) / 20) > 0.9
