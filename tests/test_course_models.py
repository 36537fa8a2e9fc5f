"""The numeric examples of the course decks that need a model (course_cases.md: N11, N15, N16, N19, N21 to N23)."""

import numpy as np
import pytest

from fastconv import layers, losses, models, optimizers, random
from fastconv.callbacks import Callback


@pytest.mark.parametrize("dtype,final", [("float64", 2.1919999999999997), ("float32", 2.1920002)])
def test_n11_gradient_descent_on_one_weight(dtype, final):
    """w = 0.5, rate 0.1, E = (xw - y)^2: the weights and losses of the slide."""
    model = models.Sequential([layers.Input((1,), dtype=dtype), layers.Dense(1, use_bias=False, dtype=dtype)])
    model.compile(optimizers.SGD(0.1), "mse")
    model.set_weights([[[0.5]]])
    seen = []
    for x, y in ((2, 4), (1, 2), (3, 6)):
        loss = model.train_on_batch(np.array([[x]]), np.array([[y]]))
        seen.append((loss, model.get_weights()[0].item()))
    np.testing.assert_allclose([loss for loss, _ in seen], [9, 0.09, 0.5184], rtol=2e-6)
    np.testing.assert_allclose([w for _, w in seen], [1.7, 1.76, 2.192], rtol=1e-6)
    assert seen[-1][1] == np.dtype(dtype).type(final).item()


def test_n11_ten_epochs_by_fit():
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizers.SGD(0.1), "mse")
    model.set_weights([[[0.5]]])
    model.fit([[2], [1], [3]], [4, 2, 6], batch_size=1, epochs=10, shuffle=False, verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(1.9999999982291123, abs=1e-13)


def test_n11_with_the_halved_cost_of_the_other_decks():
    """T5: half the cost, half the gradient: 0.5 -> 1.1 -> 1.19 -> 1.919."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizers.SGD(0.1), losses.MeanSquaredError(half=True))
    model.set_weights([[[0.5]]])
    weights = []
    for x, y in ((2, 4), (1, 2), (3, 6)):
        model.train_on_batch([[x]], [[y]])
        weights.append(model.get_weights()[0].item())
    np.testing.assert_allclose(weights, [1.1, 1.19, 1.919], rtol=1e-12)


def test_n12_linear_regression_finds_the_line():
    """5 = 2a + b and 9 = 4a + b."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, dtype="float64")])
    model.compile(optimizers.SGD(0.08), "mse")
    model.fit([[2], [4]], [5, 9], epochs=1500, shuffle=False, verbose=0)
    np.testing.assert_allclose([w.item() for w in model.get_weights()], [2, 1], atol=1e-6)


def test_n15_weights_and_biases_of_3_4_5_3_2():
    model = models.Sequential([layers.Input((3,)), *(layers.Dense(units) for units in (4, 5, 3, 2))])
    sizes = [w.size for w in model.get_weights()]
    assert (sizes[::2], sum(sizes[::2])) == ([12, 20, 15, 6], 53)
    assert (sizes[1::2], sum(sizes[1::2])) == ([4, 5, 3, 2], 14)
    assert model.count_params() == 67
    lines = []
    model.summary(print_fn=lines.append)
    assert "weights 53, biases 14" in "\n".join(lines)


class Counter(Callback):
    """Counts the training batches, and keeps the size of each in one epoch."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def test_n16_epochs_batches_iterations():
    """T10: 1000 samples in batches of 128 are 8 batches per epoch, 400 iterations in 50 epochs."""
    model = models.Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    counter = Counter()
    x = np.linspace(0, 1, 1000)[:, None]
    history = model.fit(x, x, batch_size=128, epochs=50, verbose=0, callbacks=[counter])
    assert counter.batches == 400
    assert model.optimizer.iterations == 400
    assert (history.steps_per_epoch, history.total_steps, history.steps) == (8, 400, 400)
    assert len(history.history["loss"]) == 50


def fully_connected(inputs):
    """As many hidden neurons as inputs, without biases, and one output (T8)."""
    return [layers.Input((inputs,)), layers.Dense(inputs, use_bias=False), layers.Dense(1)]


def test_n18_weights_of_one_neuron_on_an_image():
    """One neuron on 200 x 200 x 3 inputs has 120,000 weights."""
    with layers.sizes_only():
        body = [layers.Input((200, 200, 3)), layers.Flatten(), layers.Dense(1, use_bias=False)]
        assert models.Sequential(body).count_params() == 120_000


def test_n19_parameters_of_a_fully_connected_network():
    assert models.Sequential(fully_connected(4)).count_params() == 21


def test_n19_parameters_of_a_network_that_no_machine_holds():
    """400 x 400 x 3 inputs: counted without memory; building it for real is refused before anything is allocated."""
    with layers.sizes_only():
        model = models.Sequential(fully_connected(400 * 400 * 3))
    assert model.count_params() == 230_400_480_001
    lines = []
    model.summary(print_fn=lines.append)
    assert "230,400,480,001" in lines[0]
    model.compile("sgd", "mse")
    for use in (model.get_weights, lambda: model.predict(np.zeros((1, 480_000)))):
        with pytest.raises(RuntimeError, match="without memory"):
            use()
    with pytest.raises(MemoryError, match=r"\(480000, 480000\)"):
        models.Sequential(fully_connected(400 * 400 * 3))


def test_n21_keras_snippet_8_12_8_1():
    """Verbatim, but for the epochs."""
    random.seed(0)
    X = np.random.default_rng(0).normal(size=(768, 8))
    Y = (X.sum(1) > 0).astype(int)

    from fastconv.layers import Dense
    from fastconv.models import Sequential

    model = Sequential()
    model.add(Dense(12, input_dim=8, activation="relu"))
    model.add(Dense(8, activation="relu"))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(X, Y, epochs=12, batch_size=10, verbose=0)
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    predictions = model.predict(X)

    assert model.count_params() == 221
    assert [layer.count_params() for layer in model.layers] == [108, 104, 9]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert loss < history.history["loss"][0]
    assert accuracy == pytest.approx(((predictions[:, 0] > 0.5) == Y).mean())
    assert accuracy > 0.9


def test_n22_keras_snippet_2_3_3_1():
    """Verbatim, but for the epochs."""
    random.seed(1)
    X = np.random.default_rng(1).uniform(size=(64, 2))
    y = X[:, 0] + 2 * X[:, 1]

    from fastconv.layers import Dense
    from fastconv.models import Sequential

    model = Sequential()
    model.add(Dense(3, input_dim=2, activation="relu"))
    model.add(Dense(3, activation="relu"))
    model.add(Dense(1, activation="linear"))
    model.compile(loss="mse", optimizer="adam")
    history = model.fit(X, y, epochs=20, verbose=0)

    assert model.count_params() == 25
    assert [layer.count_params() for layer in model.layers] == [9, 12, 4]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.predict(X).shape == (64, 1)


def test_n23_two_dense_layers_on_mnist():
    model = models.Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    assert [layer.count_params() for layer in model.layers] == [0, 401_920, 262_656, 5_130]
    assert model.count_params() == 669_706


def test_n24_counts_of_cifar10():
    """T6: 60,000 images of three channels, not two: five batches to train on and one to test with, 10,000 each."""
    from fastconv.datasets import cifar10

    assert cifar10._SET.records == (10_000,) * 6 and len(cifar10.class_names) == 10
    images, _ = cifar10._SET.parse_binary(bytes(3073), "a test")
    assert images.shape == (1, 32, 32, 3)


def test_n24_counts_of_the_real_cifar10(needs_data):
    """6,000 images of each class, 5,000 of them to train on."""
    needs_data("cifar10/data_batch_1.bin")
    from fastconv.datasets import cifar10

    (x, y), (x_test, y_test) = cifar10.load_data()
    assert x.shape == (50_000, 32, 32, 3) and x_test.shape == (10_000, 32, 32, 3)
    assert np.bincount(np.ravel(y)).tolist() == [5000] * 10 and np.bincount(np.ravel(y_test)).tolist() == [1000] * 10
