"""Deck 003, a seminar on deep learning: its first half, about neurons, losses and optimizers (rows 1 to 27)."""

import itertools

import numpy as np
import pytest

from fastconv import explanation, layers, losses, models, ops, optimizers, random, schedules, utils


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def slope_agrees(f, backward, x, tolerance=1e-7):
    numeric = utils.numeric_gradient(lambda v: f(v).sum(), x)
    np.testing.assert_allclose(backward(np.ones_like(x), x)[0], numeric, atol=tolerance)


def test_003_1_images_and_voices(example):
    """Images of two kinds (000-1), and low and high voices from their waves by Conv1D."""
    assert example("voices", count=200, epochs=6)["test_accuracy"] > 90


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
    assert "2/2" in terminal.getvalue() and "step/s" in terminal.getvalue()


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


@pytest.mark.parametrize("layer", ["LeakyReLU", "PReLU", "ELU"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "relu6"])
def test_003_15_modified_relus(name, layer):
    """LeakyReLU, PReLU, ELU, SELU and ReLU6, as layers or by name, with the slopes that differences give."""
    x = np.array([-3.0, -1.5, -0.25, 0.25, 1.5, 5.5, 7.0])
    slope_agrees(getattr(ops, name), getattr(ops, f"{name}_backward"), x)
    made = getattr(layers, layer)()
    assert made(np.array([[-1.0, 2.0]], np.float32))[0, 1] == 2
    alpha = np.array([0.1])
    np.testing.assert_allclose(
        ops.prelu_backward(np.ones((7, 1)), x[:, None], alpha)[0][:, 0], np.where(x > 0, 1, 0.1), atol=1e-12
    )


def test_003_16_losses_of_regression():
    """Squared, absolute and Huber's (delta 1), as NumPy has them."""
    y, p = normal(20, 3), 2 * normal(20, 3, seed=1)
    e = np.abs(p - y)
    np.testing.assert_allclose(losses.mean_squared_error(y, p), (e**2).mean(1), rtol=1e-12)
    np.testing.assert_allclose(losses.mean_absolute_error(y, p), e.mean(1), rtol=1e-12)
    np.testing.assert_allclose(losses.huber(y, p), np.where(e <= 1, e**2 / 2, e - 0.5).mean(1), rtol=1e-12)
    assert losses.Huber().delta == 1.0
    numeric = utils.numeric_gradient(lambda v: losses.huber(y, v).sum(), p)
    np.testing.assert_allclose(ops.huber_backward(np.ones(20), y, p)[1], numeric, atol=1e-7)


def test_003_17_losses_of_two_classes():
    """Binary cross-entropy is finite at 0 and 1, and takes logits; hinge takes targets -1 and 1, or 0 and 1."""
    y = np.array([[0.0], [1], [0], [1]])
    assert np.isfinite(losses.binary_crossentropy(y, np.array([[0.0], [0], [1], [1]]))).all()
    z = np.array([[-800.0], [800], [0.3], [-0.3]])
    found = losses.binary_crossentropy(y, z, from_logits=True)
    np.testing.assert_allclose(found, np.logaddexp(0, np.where(y == 1, -z, z))[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(losses.hinge(y, z), losses.hinge(2 * y - 1, z))
    np.testing.assert_allclose(losses.hinge(y, z), np.maximum(1 - (2 * y - 1) * z, 0)[:, 0])


def test_003_18_losses_of_many_classes():
    """Categorical and sparse cross-entropy agree; with softmax the gradient is p - y; Kullback-Leibler's distance."""
    labels = np.array([0, 2, 1, 2])
    y, z = utils.to_categorical(labels, 3).astype(float), normal(4, 3)
    p = ops.softmax(z)
    np.testing.assert_allclose(losses.categorical_crossentropy(y, p), -np.log(p[range(4), labels]), rtol=1e-7)
    np.testing.assert_allclose(
        losses.sparse_categorical_crossentropy(labels, p), -np.log(p[range(4), labels]), rtol=1e-7
    )
    found = ops.categorical_crossentropy_backward(np.ones(4), y, z, from_logits=True)[1]
    np.testing.assert_allclose(found, p - y, atol=1e-14)
    q = ops.softmax(normal(4, 3, seed=1))
    np.testing.assert_allclose(losses.kl_divergence(q, p), (q * np.log(q / p)).sum(1), rtol=1e-6)


def test_003_19_gradient_descent():
    """w <- w - rate * gradient, exactly."""
    model = models.Sequential([layers.Input((3,), dtype="float64"), layers.Dense(2, dtype="float64")])
    model.compile(optimizers.SGD(0.25), "mse")
    x, y = normal(8, 3), normal(8, 2, seed=1)
    _, gradients = model.gradients(x, y)
    before = model.get_weights()
    model.train_on_batch(x, y)
    for w, new, gradient in zip(before, model.get_weights(), gradients.values(), strict=True):
        np.testing.assert_allclose(new, w - 0.25 * gradient, rtol=1e-13, atol=1e-15)


def test_003_20_partial_derivatives():
    """`numeric_gradient` of f(x, y) = x² y + sin(y) equals the vector of its partial derivatives."""
    point = np.array([1.5, -0.7])
    found = utils.numeric_gradient(lambda v: v[0] ** 2 * v[1] + np.sin(v[1]), point)
    np.testing.assert_allclose(found, [2 * 1.5 * -0.7, 1.5**2 + np.cos(-0.7)], rtol=1e-8)
    assert point.tolist() == [1.5, -0.7]
    for wrong, error in (({"f": 3}, TypeError), ({"epsilon": 0}, ValueError), ({"f": lambda v: v}, ValueError)):
        with pytest.raises(error, match="numeric_gradient"):
            utils.numeric_gradient(**{"f": np.sum, "x": [1.0, 2.0], **wrong})


def way(optimizer, slopes, start=1.0):
    """Where an optimizer takes one weight whose gradient is each of ``slopes`` in turn."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizer, lambda y, p: ops.reshape(ops.multiply(y, p), (y.shape[0],)))  # slope: y
    model.set_weights([[[start]]])
    found = []
    for slope in slopes:
        model.train_on_batch([[1.0]], [[slope]])
        found.append(model.get_weights()[0].item())
    return np.array(found)


SLOPES = [0.5, -1.0, 2.0, 0.25]


@pytest.mark.parametrize("nesterov", [False, True])
def test_003_21_momentum(nesterov):
    """v <- m v - rate g; w <- w + v, or with Nesterov w + m v - rate g."""
    w, v, expected = 1.0, 0.0, []
    for g in SLOPES:
        v = 0.9 * v - 0.1 * g
        w += 0.9 * v - 0.1 * g if nesterov else v
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.SGD(0.1, momentum=0.9, nesterov=nesterov), SLOPES), expected, rtol=1e-12)


def test_003_22_backpropagation_is_gradient_descent():
    """Steps along the gradients that `model.gradients` gives are the steps that `fit` takes."""
    random.seed(0)
    model = models.Sequential(
        [
            layers.Input((3,), dtype="float64"),
            layers.Dense(4, "tanh", dtype="float64"),
            layers.Dense(1, dtype="float64"),
        ]
    )
    model.compile(optimizers.SGD(0.1), "mse")
    x, y, by_hand = normal(16, 3), normal(16), model.get_weights()
    for _ in range(3):
        model.set_weights(by_hand)
        _, gradients = model.gradients(x, y)
        by_hand = [w - 0.1 * g for w, g in zip(by_hand, gradients.values(), strict=True)]
    random.seed(0)
    again = models.Sequential(
        [
            layers.Input((3,), dtype="float64"),
            layers.Dense(4, "tanh", dtype="float64"),
            layers.Dense(1, dtype="float64"),
        ]
    )
    again.compile(optimizers.SGD(0.1), "mse")
    again.fit(x, y, batch_size=16, epochs=3, verbose=0)
    for a, b in zip(again.get_weights(), by_hand, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_003_23_adagrad():
    """Steps of rate g / sqrt(sum g² + epsilon): for one slope they never grow (T9: the slide calls this Adam)."""
    found = way(optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-30), [0.5] * 6)
    steps = -np.diff(np.concatenate([[1.0], found]))
    np.testing.assert_allclose(steps, 0.1 / np.sqrt(np.arange(1, 7)), rtol=1e-9)


def test_003_24_adam():
    """Adam's formula (Kingma and Ba 2015), step by step, in Keras's form."""
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(SLOPES, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.Adam(0.01), SLOPES), expected, rtol=1e-9)


def test_003_25_rmsprop():
    """RMSprop keeps an exponential mean of squares (T9: not a fixed window)."""
    w, v, expected = 1.0, 0.0, []
    for g in SLOPES:
        v = 0.9 * v + 0.1 * g * g
        w -= 0.01 * g / np.sqrt(v + 1e-7)
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.RMSprop(0.01), SLOPES), expected, rtol=1e-9)


def test_003_25_adadelta():
    """Adadelta (the slide's "Adaprop"): steps in the ratio of two exponential means, without a rate of its own."""
    w, v, d, expected = 1.0, 0.0, 0.0, []
    for g in SLOPES:
        v = 0.95 * v + 0.05 * g * g
        step = np.sqrt(d + 1e-7) / np.sqrt(v + 1e-7) * g
        d = 0.95 * d + 0.05 * step * step
        w -= step
        expected.append(w)
    np.testing.assert_allclose(way(optimizers.Adadelta(1.0), SLOPES), expected, rtol=1e-9)


def test_003_26_parameters_are_saved(tmp_path):
    """A saved model comes back with every bit of its weights and predictions."""
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    model.save(tmp_path / "m.safetensors")
    back = models.load_model(tmp_path / "m.safetensors")
    for a, b in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model.predict(normal(5, 4)), back.predict(normal(5, 4)))


def test_003_27_hyper_parameters(tmp_path, example):
    """They are external: written beside the weights as JSON, restored, and searched in a grid."""
    model = models.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.3), layers.Dense(1)])
    model.compile(optimizers.Adam(schedules.CosineDecay(0.01, 100)), "mse")
    model.save(tmp_path / "m.safetensors")
    back = models.load_model(tmp_path / "m.safetensors")
    assert back.layers[1].rate == 0.3 and back.optimizer.get_config() == model.optimizer.get_config()
    assert example("tune", epochs=4)["best"]
