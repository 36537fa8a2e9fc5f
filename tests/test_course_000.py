"""Deck 000, an introduction to deep learning: every row of it that is a technique, a name or a system.

Each test's name holds its row, each first line what the row asks for; docs/course.md is made of them.
"""

import numpy as np
import pytest

from fastconv import layers, losses, models, ops, optimizers, random, reference, utils
from fastconv.cli import main as command
from fastconv.testing import single_layers
from fastconv.testing.networks import inputs_for, targets_for
from fastconv.testing.small import assert_gradients, assert_slope, normal


def network(*rest, inputs=4, dtype="float64"):
    """A Sequential in float64 on vectors."""
    return models.Sequential([layers.Input((inputs,), dtype=dtype), *rest])


def dense(units, activation=None, **keywords):
    return layers.Dense(units, activation, dtype="float64", **keywords)


def test_000_1_image_recognition(example):
    """A model trained on a folder of two classes (happy and sad faces) recognises at least 90 % of held-out images."""
    results = example("faces", each=250, epochs=12)
    assert results["accuracy"] >= 90 and results["a_sad_face_is"].endswith("% sad")


@pytest.mark.parametrize("what", ["", "sad/0000.png"], ids=["folder", "file"])
def test_000_1_predict_takes_a_folder_or_a_file(what, examples, tmp_path, capsys):
    """`fastconv predict` says the class of one picture, or of all in a folder."""
    faces = examples("faces")

    faces.write(tmp_path / "faces", 1)
    path = tmp_path / "model.safetensors"
    faces.network().save(path)
    assert command(["predict", str(path), str(tmp_path / "faces" / what)]) in (0, None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (1 if what else 2) and all(line.endswith("%") for line in lines)


def test_000_2_training_never_sees_the_held_out_rows():
    """`fit` with validation_split learns nothing from the last rows: whatever they hold, the weights have the same bits."""
    x, y = normal(40, 4), normal(40, 1, seed=1)
    found = []
    for held_out in (0.0, 1e3):
        x[30:], y[30:] = held_out, held_out
        random.seed(0)
        model = network(dense(3, "tanh"), dense(1))
        model.compile("adam", "mse")
        history = model.fit(x, y, validation_split=0.25, epochs=2, batch_size=8, verbose=0)
        found.append(model.get_weights())
    assert history.steps_per_epoch == 4 and len(history.history["val_loss"]) == 2
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_000_3_weighted_sum_and_bias():
    """A neuron without activation is x·w + b: equal in float64, within 1e-6 in float32."""
    x, w, b = normal(5, 4), normal(4, 1, seed=1), normal(1, seed=2)
    np.testing.assert_array_equal(reference.dense(x, w, b), x @ w + b)  # not a bit apart
    layer = dense(1)
    model = network(layer)
    layer.set_weights([w, b])
    np.testing.assert_allclose(model.predict(x), x @ w + b, rtol=1e-15, atol=1e-15)
    few = [a.astype(np.float32) for a in (x, w, b)]
    bound = 1e-6 * (np.abs(x) @ np.abs(w) + np.abs(b))
    assert (np.abs(ops.dense(*few) - (x @ w + b)) <= bound).all()
    whole = np.arange(20.0).reshape(5, 4), np.array([[1.0], [2], [3], [4]]), np.array([7.0])
    np.testing.assert_array_equal(ops.dense(*whole), whole[0] @ whole[1] + whole[2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_000_4_activation_of_the_sum(dtype):
    """A fused sigmoid gives the bits of a sigmoid behind the neuron."""
    x, w, b = (a.astype(dtype) for a in (normal(5, 4), normal(4, 3, seed=1), normal(3, seed=2)))
    np.testing.assert_array_equal(ops.dense(x, w, b, activation="sigmoid"), ops.sigmoid(ops.dense(x, w, b)))
    x, w, b = (a.astype("float64") for a in (x, w, b))  # what the reference computes in
    fused = reference.dense(x, w, b, activation="sigmoid")
    np.testing.assert_array_equal(fused, reference.sigmoid(reference.dense(x, w, b)))


def test_000_5_sigmoid():
    """Between 0 and 1, 0.5 at 0, no overflow at 1e4; its derivative is the numeric one."""
    x = np.linspace(-30, 30, 1001)
    y = ops.sigmoid(x)
    assert ((y > 0) & (y < 1)).all() and ops.sigmoid(np.zeros(1)) == 0.5
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(ops.sigmoid(np.array([-1e4, 1e4], np.float32)), [0, 1])
    assert_slope(ops.sigmoid, ops.sigmoid_backward, np.linspace(-5, 5, 21))


def test_000_6_threshold():
    """1 above a value, else 0; its gradient is 0, and fit through it says what to do instead."""
    x = np.array([-1, 0, 0.25, 0.26, 3])
    np.testing.assert_array_equal(ops.threshold(x), [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(ops.threshold(x, 0.25), [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(ops.threshold_backward(np.ones(5), x)[0], np.zeros(5))
    for name in ("threshold", "step"):
        model = network(dense(3, name), dense(1))
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match=r"no slope to learn by.*sigmoid or relu"):
            model.fit(normal(8, 4), normal(8), verbose=0)
    behind = network(dense(3, "step", trainable=False), dense(1))  # nothing below the step learns: that is fine
    behind.compile("sgd", "mse")
    behind.fit(normal(8, 4), normal(8), verbose=0)


def test_000_7_relu():
    """x above 0, else 0; derivative 0 at 0; NaN stays."""
    x = np.array([-2, 0, 3, np.nan])
    np.testing.assert_array_equal(ops.relu(x), [0, 0, 3, np.nan])
    np.testing.assert_array_equal(ops.relu_backward(np.ones(3), x[:3])[0], [0, 0, 1])


def test_000_8_tanh():
    """Odd, between -1 and 1; its derivative is the numeric one."""
    x = np.linspace(-20, 20, 401)
    np.testing.assert_array_equal(ops.tanh(-x), -ops.tanh(x))
    assert np.abs(ops.tanh(x)).max() <= 1
    assert_slope(ops.tanh, ops.tanh_backward, np.linspace(-3, 3, 21))


def small_cnn():
    return models.Sequential(
        [
            layers.Input((6, 6, 1), dtype="float64"),
            layers.Conv2D(3, 3, activation="tanh", dtype="float64"),
            layers.AveragePooling2D(dtype="float64"),
            layers.Flatten(dtype="float64"),
            dense(2, "softmax"),
        ]
    )


def test_000_9_every_layer_can_be_looked_at():
    """`model.activations(x)` returns every layer's output."""
    model, x = small_cnn(), normal(5, 6, 6, 1)
    found = model.activations(x)
    assert [a.shape for a in found.values()] == [(5, 6, 6, 1), (5, 4, 4, 3), (5, 2, 2, 3), (5, 12), (5, 2)]
    np.testing.assert_allclose(list(found.values())[-1], model.predict(x), rtol=1e-12)


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "kl_divergence", losses.RootMeanSquaredError()])
def test_000_10_backpropagation(loss):
    """Gradients of a whole CNN equal central differences to 1e-6, in float64."""
    random.seed(3)
    model, x = small_cnn(), normal(4, 6, 6, 1)
    y = utils.to_categorical([0, 1, 1, 0], 2).astype(float)
    model.compile("sgd", loss)
    assert_gradients(model, x, y, rtol=1e-6, atol=1e-9)


class Gain(layers.Layer):
    """A weight for every input, so that what comes behind needs the gradient of its input."""

    def build(self, input_shape):
        self.gain = self.add_weight(tuple(input_shape[1:]), "ones", "gain")

    def call(self, inputs):
        return ops.multiply(inputs, self.gain)


WITHOUT_SLOPE = {"threshold", "random crop"}  # 000-6; an augmentation, nothing with weights stands before it


@pytest.mark.parametrize("name", single_layers.LAYERS)
def test_000_10_backpropagation_through_every_layer(name):
    """Every layer, in each of its settings: gradients of its weights and of its input equal central differences."""
    random.seed(0)
    alone = single_layers.build(name)
    x, y = inputs_for(alone, 3)[0], targets_for(alone, 3)[0]
    gains = [] if name in WITHOUT_SLOPE or x.dtype.kind in "iu" else [Gain()]
    model = models.Sequential([layers.Input(x.shape[1:]), *gains, *alone.layers])
    if not any(weight.trainable for weight in model.weights_by_path().values()):
        assert name in WITHOUT_SLOPE
        return
    model.compile("sgd", "mse")
    report = model.gradcheck(x, y, samples=6)
    assert report.passed, str(report)


def test_000_11_half_the_squared_difference():
    """C = 1/2 (y' - y)²: `MeanSquaredError(half=True)`; 0 where equal, its gradient is y' - y."""
    half = losses.MeanSquaredError(half=True)
    assert half([[3.0]], [[5.0]]) == 2 and half([[5.0]], [[5.0]]) == 0
    gradient = utils.numeric_gradient(lambda p: half(np.array([[3.0]]), p), [[5.0]])
    assert gradient.item() == pytest.approx(2)


def test_000_12_gradients_of_weights_and_biases():
    """`model.gradients(x, y)` gives dW and db of every layer."""
    model = network(dense(3, "tanh", name="a"), dense(1, name="b"))
    model.compile("sgd", "mse")
    loss, found = model.gradients(normal(6, 4), normal(6))
    assert {k: g.shape for k, g in found.items()} == {
        "a/kernel": (4, 3),
        "a/bias": (3,),
        "b/kernel": (3, 1),
        "b/bias": (1,),
    }
    assert loss > 0 and all(np.abs(g).max() > 0 for g in found.values())


def deep(activation, initializer):
    random.seed(0)
    model = network(*(dense(16, activation, kernel_initializer=initializer) for _ in range(9)), dense(1), inputs=16)
    model.compile("sgd", "mse")
    norms = model.gradient_norms(normal(64, 16), normal(64, seed=1))
    kernels = [norm for name, norm in norms.items() if name.endswith("kernel")]
    return kernels[0] / kernels[-1]


def test_000_13_vanishing_gradient():
    """Ten layers: sigmoids leave the first less than 1e-3 of the last one's gradient, relu with He's weights over 1e-1."""
    assert deep("sigmoid", "glorot_uniform") < 1e-3
    assert deep("relu", "he_normal") > 1e-1


def test_000_14_gradient_descent():
    """On a bowl it converges to the bottom, and a steeper place makes a larger step."""
    bowl = network(dense(1, use_bias=False), inputs=2)
    bowl.compile(optimizers.SGD(0.1), "mse")
    bowl.set_weights([[[4.0], [-3.0]]])
    bowl.fit([[1.0, 0], [0, np.sqrt(3)]], [2.0, -np.sqrt(3)], batch_size=2, epochs=250, verbose=0)
    np.testing.assert_allclose(bowl.get_weights()[0].ravel(), [2, -1], atol=1e-9)  # where both errors are 0
    model = network(dense(1, use_bias=False), inputs=1)
    model.compile(optimizers.SGD(0.1), "mse")
    moves = []
    for start in (1.0, 2.0, 4.0):  # the slope of w² doubles with w
        model.set_weights([[[start]]])
        model.train_on_batch([[1.0]], [0.0])
        moves.append(start - model.get_weights()[0].item())
    np.testing.assert_allclose(moves, [0.2, 0.4, 0.8], rtol=1e-12)


def test_000_15_which_nodes_fire():
    """Features of a hidden layer, by a model that ends there, and the share of its units that are silent."""
    x = layers.Input((4,), dtype="float64")
    hidden = dense(32, "relu", name="hidden")(x)
    model = models.Model(x, dense(2)(hidden))
    extractor, data = models.Model(x, hidden), normal(50, 4)
    features = extractor.predict(data)
    np.testing.assert_array_equal(features, np.maximum(features, 0))
    np.testing.assert_allclose(features, model.activations(data)["hidden"], rtol=1e-12)
    assert model.sparsity(data)["hidden"] == (features == 0).mean() and 0.3 < (features == 0).mean() < 0.7


def test_000_16_a_step_lowers_the_cost():
    """The cost after one small step is lower than before."""
    model = network(dense(8, "tanh"), dense(1))
    model.compile(optimizers.SGD(0.01), "mse")
    x, y = normal(32, 4), normal(32, seed=1)
    before = model.evaluate(x, y, verbose=0)
    model.train_on_batch(x, y)
    assert model.evaluate(x, y, verbose=0) < before


def test_000_17_classes_of_predictions():
    """`predict_classes` is the argmax, or above 0.5 for a single output."""
    many, one, x = network(dense(3, "softmax")), network(dense(1, "sigmoid")), normal(20, 4)
    np.testing.assert_array_equal(many.predict_classes(x), many.predict(x).argmax(1))
    np.testing.assert_array_equal(one.predict_classes(x), one.predict(x)[:, 0] > 0.5)


@pytest.mark.parametrize("shape", [(4,), (6, 6, 1)])
def test_000_18_tables_and_images(shape):
    """Tables and images run through the same calls."""
    body = [layers.Dense(8, "relu")] if len(shape) == 1 else [layers.Conv2D(4, 3), layers.Flatten()]
    model = models.Sequential([layers.Input(shape), *body, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = normal(12, *shape)
    history = model.fit(x, np.arange(12) % 3, epochs=2, verbose=0)
    assert len(history.history["accuracy"]) == 2 and model.predict(x).shape == (12, 3)


def test_000_19_applications(example):
    """Of the applications named, images: a binary classifier with recall, precision and AUC."""
    results = example("faces", each=250, epochs=12)
    assert results["auc"] > 0.95 and {"precision", "recall"} <= set(results)


@pytest.mark.parametrize("up", ["transposed", "repeated"])
def test_000_20_colorization(up):
    """Grey images in, colours out: a net with transposed convolutions, or with upsampling, learns it; the extent stays."""
    random.seed(0)
    grey = np.random.default_rng(1).random((60, 8, 8, 1), np.float32)
    model = models.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            *(
                [layers.Conv2DTranspose(2, 2, strides=2, padding="same")]
                if up == "transposed"
                else [layers.UpSampling2D(), layers.Conv2D(2, 3, padding="same")]
            ),
        ]
    )
    colours = np.concatenate([grey * 0.5, 1 - grey], axis=-1)
    model.compile("adam", "mse")
    history = model.fit(grey, colours, epochs=12, batch_size=10, verbose=0).history["loss"]
    assert model.predict(grey).shape == (60, 8, 8, 2) and history[-1] < 0.6 * history[0]
