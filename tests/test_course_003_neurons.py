"""Deck 003, a seminar on deep learning: neurons, networks, activations (rows 1 to 15)."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from fastconv import explanation, layers, losses, models, ops, optimizers, random, utils
from fastconv.testing.small import assert_slope, normal


def test_003_1_images_and_voices(example):
    """Images of two kinds (000-1), and low and high voices from their waves by Conv1D."""
    assert example("voices", count=200, epochs=6)["test_accuracy"] > 90


def animals(count, size):
    """Pictures of two kinds: bright above, or not."""
    x, y = np.random.default_rng(size).integers(0, 120, (count, size, size, 3)).astype(np.uint8), np.arange(count) % 2
    x[y == 1, : size // 2] += 90
    return x, y


def test_003_1_cats_and_dogs(examples, monkeypatch):
    """The program for cats and dogs, on made-up animals: a body that has learned one set, tuned on few of another."""
    module = examples("cats_dogs")
    monkeypatch.setattr(module, "photographs", lambda: animals(30, 64))
    monkeypatch.setattr(module, "cifar_animals", lambda: [animals(96, 32), animals(20, 32)])
    found = module.main(epochs=4, scratch_epochs=1, tune_epochs=2, parts=2, repeats=1)
    assert found["body_as_it_is"]["auc"] > 0.9 and found["fine_tuned"]["auc"] > 0.9
    low, high = found["from_scratch"]["auc_interval"]
    assert low <= found["from_scratch"]["auc"] <= high and sum(found["sizes_chosen"].values()) == 2


def test_003_1_the_record_of_cats_and_dogs():
    """370 photographs: better than always "dog", beyond what chance explains: examples/results/cats_dogs.json."""
    path = Path(__file__).parents[1] / "examples/results/cats_dogs.json"
    if not path.exists():
        pytest.skip("the records of examples are not in the package")
    found = json.loads(path.read_text("utf-8"))["results"]
    tuned = found["fine_tuned"]
    assert tuned["accuracy_interval"][0] > found["always_dog"] and tuned["balanced_accuracy_interval"][0] > 70
    assert tuned["auc_interval"][0] > 0.8 and tuned["auc_interval"][0] > found["from_scratch"]["auc"]


def test_003_2_hand_crafted_or_learned_features(example):
    """Logistic regression on raw pixels beside a CNN on the same digits: both numbers, and the CNN's is higher."""
    found = example("pixels_or_features", epochs=10)
    assert found["cnn"]["in_place"] > found["logistic_regression"]["in_place"] > 80


def test_003_3_topology():
    """`summary()` names layers, output shapes, parameters."""
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(2, name="out")])
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert all(part in text for part in ("hidden", "out", "Dense", "(None, 3)", "(None, 2)", "15", "23"))


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_003_4_a_neuron(name):
    """a = f(w1 x1 + ... + w4 x4), with f relu or sigmoid, equals NumPy's."""
    model = models.Sequential(
        [layers.Input((4,), dtype="float64"), layers.Dense(1, name, use_bias=False, dtype="float64")]
    )
    x = normal(10, 4)
    z = x @ model.get_weights()[0]
    np.testing.assert_allclose(
        model.predict(x), np.maximum(z, 0) if name == "relu" else 1 / (1 + np.exp(-z)), rtol=1e-14
    )


def test_003_5_parameter_counts():
    """4·4 + 4 + 1 = 21; 230,400,480,001 are counted without memory, and refused by their size."""

    def fully_connected(n):
        return [layers.Input((n,)), layers.Dense(n, use_bias=False), layers.Dense(1)]

    assert models.Sequential(fully_connected(4)).count_params() == 21
    with layers.sizes_only():
        assert models.Sequential(fully_connected(480_000)).count_params() == 230_400_480_001
    with pytest.raises(MemoryError, match=r"480000, 480000"):
        models.Sequential(fully_connected(480_000))


def test_003_6_transfer_learning(tmp_path):
    """Layers that are frozen keep every bit; their weights come from a file; a new head is fine-tuned on them."""

    def base():
        return models.Sequential(
            [layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu", name="features"), layers.Flatten()],
            name="base",
        )

    random.seed(0)
    x, y = normal(40, 8, 8, 1), np.arange(40) % 2
    first = base()
    old = models.Sequential([layers.Input((8, 8, 1)), first, layers.Dense(5, activation="softmax")])
    old.compile("adam", "sparse_categorical_crossentropy")
    old.fit(x, np.arange(40) % 5, epochs=2, verbose=0)
    first.save_weights(tmp_path / "base.safetensors")

    body = base()
    body.load_weights(tmp_path / "base.safetensors")
    body.trainable = False
    new = models.Sequential([layers.Input((8, 8, 1)), body, layers.Dense(1, activation="sigmoid")])
    new.compile("adam", "binary_crossentropy")
    head = new.get_weights()[2]
    new.fit(x, y, epochs=3, verbose=0)
    for now, then in zip(body.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)
    assert (new.get_weights()[2] != head).all()
    body.trainable = True
    new.compile(optimizers.Adam(1e-4), "binary_crossentropy")
    new.fit(x, y, epochs=1, verbose=0)
    assert (body.get_weights()[0] != first.get_weights()[0]).any()


def test_003_7_time_to_go(capsys):
    """A line per epoch tells the seconds and the time per step; on a terminal a bar shows the remaining time."""
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(normal(64, 2), normal(64), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Epoch 1/2 - ") and "/step" in lines[0] and "loss:" in lines[1]

    import io

    from fastconv.callbacks.progress import ProgressCallback

    pytest.importorskip("tqdm", reason="the bar; pip install 'fastconv[progress]'")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    model.fit(normal(64, 2), normal(64), epochs=1, verbose=0, callbacks=[ProgressCallback(1, terminal)])
    assert re.search(r"2/2 \[\d\d:\d\d<\d\d:\d\d, .*step/s", terminal.getvalue())  # time taken < time to go, speed


def test_003_8_forward_and_backward():
    """Both directions are public: `op(x, w)`, and `op_backward(dy, x, w)` with what the forward pass had."""
    x, w, b = normal(2, 5, 5, 2), normal(3, 3, 2, 3), normal(3)
    dy = normal(*ops.conv2d(x, w, b).shape, seed=1)
    for i, gradient in enumerate(ops.conv2d_backward(dy, x, w, b)):

        def total(v, i=i):
            return (dy * ops.conv2d(*[v if i == j else a for j, a in enumerate((x, w, b))])).sum()

        np.testing.assert_allclose(gradient, utils.numeric_gradient(total, (x, w, b)[i]), atol=1e-7)


def test_003_9_weight_and_bias():
    """sigmoid(w x + b) crosses 0.5 at -b/w: the bias moves the curve left and right."""
    for w, b in itertools.product((0.5, 2.0), (-1.0, 0.0, 3.0)):
        assert ops.sigmoid(ops.dense(np.array([[-b / w]]), np.array([[w]]), np.array([b]))).item() == pytest.approx(0.5)


def test_003_10_no_gradient_for_the_input(monkeypatch):
    """A training step of three layers computes three gradients of weights, and two of inputs: none for what comes in."""
    monkeypatch.setattr(explanation, "_SECONDS", 0)
    model = models.Sequential([layers.Input((6,)), *(layers.Dense(6) for _ in range(3))])
    model.compile("sgd", "mse")
    kernels = [row.kernel for row in explanation.explain(model, batch_size=4).rows]
    assert kernels.count("dense_backward_input") == 2 and kernels.count("dense_backward_weight") == 3


def test_003_10_a_gradient_for_the_input_where_it_is_asked_for():
    """`model.input_gradients(x)` gives it, for saliency maps: W of a linear layer."""
    model = models.Sequential([layers.Input((6,), dtype="float64"), layers.Dense(1, dtype="float64")])
    found = model.input_gradients(normal(4, 6))
    np.testing.assert_allclose(found, np.repeat(model.get_weights()[0].T, 4, 0), rtol=1e-12)


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_003_11_the_network_evaluates_itself(name):
    """The loss of a prediction comes back as a gradient for every weight, equal to differences."""
    model = models.Sequential([layers.Input((3,), dtype="float64"), layers.Dense(2, dtype="float64")])
    model.compile("sgd", name)
    x, y = normal(5, 3), normal(5, 2, seed=1)
    loss, found = model.gradients(x, y)
    kernel, bias = model.get_weights()
    numeric = utils.numeric_gradient(lambda w: losses.get(name)(y, x @ w + bias), kernel)
    np.testing.assert_allclose(next(iter(found.values())), numeric, atol=1e-7)
    assert loss == pytest.approx(losses.get(name)(y, x @ kernel + bias))


def test_003_12_car_or_truck():
    """Weight and goods: (15, 2) a car, (34, 67) and (42, 54) trucks; a binary net learns all three."""
    random.seed(0)
    model = models.Sequential([layers.Input((2,)), layers.Rescaling(0.02), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizers.Adam(0.1), "binary_crossentropy")
    x, y = [[15, 2], [34, 67], [42, 54]], [0, 1, 1]
    model.fit(x, y, epochs=150, verbose=0)
    assert model.predict_classes(x).tolist() == y


def test_003_13_the_learning_algorithm():
    """Random weights, feed, compare, go back, update, again: the loss falls until it is small, and the same seed repeats it."""

    def losses_of(seed):
        random.seed(seed)
        model = models.Sequential([layers.Input((3,)), layers.Dense(8, activation="tanh"), layers.Dense(1)])
        model.compile(optimizers.Adam(0.02), "mse")
        x = normal(64, 3)
        return model.fit(x, np.tanh(x[:, 0] - x[:, 1]), epochs=30, verbose=0).history["loss"]

    first = losses_of(1)
    assert first == losses_of(1) != losses_of(2) and first[-1] < 0.1 * first[0]


def test_003_14_figures_of_activations(tmp_path):
    """Linear and bent functions with their slopes: `plots.activation_functions`."""
    pytest.importorskip("matplotlib", reason="draws; pip install 'fastconv[plots]'")
    from fastconv import plots

    plots.activation_functions(["linear", "relu", "sigmoid", "tanh"], path=tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text("utf-8")


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "relu6"])
def test_003_15_slopes_of_modified_relus(name):
    """Leaky ReLU, ELU, SELU and ReLU6 have the slopes that differences give."""
    x = np.array([-3.0, -1.5, -0.25, 0.25, 1.5, 5.5, 7.0])
    assert_slope(getattr(ops, name), getattr(ops, f"{name}_backward"), x)


@pytest.mark.parametrize(
    "layer, below, above",
    [
        (layers.LeakyReLU(), -0.3, 8),
        (layers.PReLU(alpha_initializer="ones"), -1, 8),
        (layers.ELU(), np.expm1(-1), 8),
        (layers.Activation("selu"), 1.0507009873554805 * 1.6732632423543772 * np.expm1(-1), 8 * 1.0507009873554805),
        (layers.Activation("relu6"), 0, 6),
        (layers.ReLU(max_value=6), 0, 6),
    ],
)
def test_003_15_modified_relus(layer, below, above):
    """As layers, or by name: what they make of -1 and 8."""
    np.testing.assert_allclose(layer(np.array([[-1.0, 8.0]], np.float32))[0], [below, above], rtol=1e-6)


def test_003_15_prelu_learns_its_slope():
    """PReLU's slope below 0 is a weight: its gradient, and that of what comes in, equal differences."""
    x = np.array([-3.0, -1.5, -0.25, 0.25, 1.5, 5.5, 7.0])
    alpha = np.array([0.1])
    np.testing.assert_allclose(
        ops.prelu_backward(np.ones((7, 1)), x[:, None], alpha)[0][:, 0], np.where(x > 0, 1, 0.1), atol=1e-12
    )
    slope = ops.prelu_backward(np.ones((7, 1)), x[:, None], alpha)[1]
    np.testing.assert_allclose(
        slope, utils.numeric_gradient(lambda a: ops.prelu(x[:, None], a).sum(), alpha), atol=1e-7
    )
