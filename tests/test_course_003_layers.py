"""Deck 003, a seminar on deep learning: layers, architectures, applications (rows 42 to 58)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import callbacks, layers, models, ops, optimizers, random, utils
from fastconv.testing.small import assert_gradients, compiled, normal


def test_003_42_layer_kinds():
    """Convolution, pooling and full connection stand in one model, and say what they are."""
    model = models.Sequential(
        [layers.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1)]
    )
    assert [type(layer).__name__ for layer in model.layers] == ["Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    assert [layer.count_params() for layer in model.layers] == [2 * 9 + 2, 0, 0, 8 + 1]
    assert model.predict(normal(3, 6, 6, 1)).shape == (3, 1)


def test_003_43_visible_hidden_and_output_layers():
    """Inputs, hidden layers and outputs of a model can be told apart."""
    x = layers.Input((4,), name="visible")
    model = models.Model(x, layers.Dense(2, name="output")(layers.Dense(3, name="hidden")(x)))
    assert [layer.name for layer in model.layers] == ["visible", "hidden", "output"]
    assert model.inputs[0].shape == (None, 4) and model.outputs[0].shape == (None, 2)


def test_003_44_regression_output():
    """One neuron without activation gives any number."""
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.set_weights([[[100.0], [-100.0]], [0.0]])
    assert model.predict([[9.0, 0], [0, 9.0]]).ravel().tolist() == [900, -900]


def test_003_45_binary_output():
    """One sigmoid neuron with binary cross-entropy: a probability."""
    model = compiled(layers.Input((2,)), layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy")
    y = model.predict(10 * normal(30, 2))
    assert ((y >= 0) & (y <= 1)).all() and model.train_on_batch(normal(4, 2), [0, 1, 0, 1]) > 0


def test_003_46_a_filter_is_a_neuron():
    """Each cell of a feature map is the dot product of the filter with its patch, and the bias."""
    x, w, b = normal(2, 6, 5, 3), normal(3, 2, 3, 4), normal(4)
    y = ops.conv2d(x, w, b)
    for n, p, q, k in np.ndindex(y.shape):
        patch = x[n, p : p + 3, q : q + 2]
        assert y[n, p, q, k] == pytest.approx((patch * w[..., k]).sum() + b[k], rel=1e-12, abs=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(h=st.integers(3, 12), w=st.integers(3, 12), d=st.integers(1, 4), fh=st.integers(1, 3), fw=st.integers(1, 3))
def test_003_47_size_of_a_map(h, w, d, fh, fw):
    """h x w x d and a filter fh x fw x d give (h - fh + 1) x (w - fw + 1) x 1."""
    assert layers.Conv2D(1, (fh, fw))(np.zeros((1, h, w, d), np.float32)).shape == (1, h - fh + 1, w - fw + 1, 1)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_003_48_strides(stride):
    """Every stride-th cell of what stride 1 gives."""
    x, w = normal(1, 9, 9, 2), normal(3, 3, 2, 3)
    np.testing.assert_allclose(
        ops.conv2d(x, w, stride=stride), ops.conv2d(x, w)[:, ::stride, ::stride], rtol=1e-12, atol=1e-12
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(n=st.integers(3, 14), k=st.integers(1, 3), stride=st.integers(1, 3))
def test_003_49_padding(n, k, stride):
    """ "same" gives ceil(n / stride) as TensorFlow, "valid" ceil((n - k + 1) / stride), explicit zeros what is asked for."""
    x, w = np.ones((1, n, n, 1)), np.ones((k, k, 1, 1))
    assert ops.conv2d(x, w, stride=stride, padding="same").shape[1] == -(-n // stride)
    assert ops.conv2d(x, w, stride=stride).shape[1] == -(-(n - k + 1) // stride)
    one = layers.ZeroPadding2D(1)(x.astype(np.float32))
    np.testing.assert_array_equal(ops.conv2d(x, w, padding=1), ops.conv2d(one.astype(float), w))
    total = max((-(-n // stride) - 1) * stride + k - n, 0)
    rest = ((total // 2, total - total // 2),) * 2
    np.testing.assert_array_equal(
        ops.conv2d(x, w, stride=stride, padding="same"), ops.conv2d(x, w, stride=stride, padding=rest)
    )


def test_003_50_sub_sampling():
    """Pooling keeps the channels and shrinks the map by its stride."""
    assert layers.MaxPooling2D(3, strides=2)(np.zeros((2, 11, 9, 5), np.float32)).shape == (2, 5, 4, 5)


@pytest.mark.parametrize("kind, fold", [("Max", np.max), ("Min", np.min), ("Average", np.mean), ("Sum", np.sum)])
def test_003_51_four_poolings(kind, fold):
    """Maximum, minimum, average and sum, forward and backward."""
    x = np.random.default_rng(0).permutation(64).reshape(1, 8, 8, 1).astype(float)
    expected = fold(x.reshape(4, 2, 4, 2), axis=(1, 3))
    layer = getattr(layers, f"{kind}Pooling2D")(dtype="float64")
    np.testing.assert_allclose(layer(x)[0, :, :, 0], expected)
    name = {"Average": "avg"}.get(kind, kind.lower())
    found = getattr(ops, f"{name}_pool2d_backward")(np.ones((1, 4, 4, 1)), x, 2)[0]
    numeric = utils.numeric_gradient(lambda v: getattr(ops, f"{name}_pool2d")(v, 2).sum(), x)
    np.testing.assert_allclose(found, numeric, atol=1e-6)


def test_003_52_matrix_to_vector():
    """Flatten makes x1, x2, x3, ... of a matrix, row by row."""
    assert layers.Flatten()(np.arange(12.0).reshape(1, 3, 4)).tolist() == [list(range(12))]


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_003_53_four_classes(head):
    """Cat, dog, car, truck: four classes by softmax, or by four sigmoids."""
    random.seed(0)
    names = ["cat", "dog", "car", "truck"]
    y = np.arange(160) % 4
    x = normal(160, 6, 6, 1) * 0.3
    for i, label in enumerate(y):  # each kind has a bright corner of its own
        x[i, 3 * (label // 2) :, 3 * (label % 2) :][:3, :3] += 1
    model = compiled(
        layers.Input((6, 6, 1)),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(4, activation=head),
        loss="sparse_categorical_crossentropy" if head == "softmax" else "binary_crossentropy",
        optimizer=optimizers.Adam(0.02),
    )
    model.fit(x, y if head == "softmax" else utils.to_categorical(y), epochs=12, verbose=0)
    p = model.predict(x)
    assert (p.argmax(1) == y).mean() > 0.95
    assert utils.decode_predictions(p, top=1, class_names=names)[3][0][0] == "truck"


def test_003_54_the_steps_of_a_cnn(example):
    """The list of steps as a program, which tells each step's shape."""
    shapes = example("cnn_steps", epochs=3)["shapes"]
    assert next(iter(shapes)) == "give the image" and len(shapes) == 8 and shapes["flatten"] == [256]


def test_003_55_segmentation():
    """Which pixels belong to the square: a net that ends in a transposed convolution says so for every pixel."""
    random.seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 0.2, (60, 12, 12, 1)), np.zeros((60, 12, 12, 1))
    for image, mask in zip(x, y, strict=True):
        r, c = rng.integers(0, 7, 2)
        mask[r : r + 5, c : c + 5] = 1
        image += mask * rng.uniform(0.8, 1.2)
    model = compiled(
        layers.Input((12, 12, 1)),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"),
        loss="binary_crossentropy",
        optimizer=optimizers.Adam(0.03),
    )
    model.fit(x[:50], y[:50], epochs=25, batch_size=10, verbose=0)
    assert ((model.predict(x[50:]) > 0.5) == y[50:]).mean() > 0.95


def test_003_55_video():
    """Which way does the spot move? A net of 3-D convolutions sees it in clips of four frames."""
    random.seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.normal(0, 0.1, (80, 4, 6, 8, 1))
    for clip, right in zip(x, y, strict=True):
        row, start = rng.integers(0, 6), rng.integers(0, 3)
        for t in range(4):
            clip[t, row, start + t if right else 7 - start - t] += 1
    model = compiled(
        layers.Input((4, 6, 8, 1)),
        layers.Conv3D(8, 3, activation="relu"),
        layers.GlobalMaxPooling3D(),
        layers.Dense(1, activation="sigmoid"),
        loss="binary_crossentropy",
        optimizer=optimizers.Adam(0.03),
    )
    model.fit(x[:60], y[:60], epochs=25, batch_size=10, verbose=0)
    assert (model.predict_classes(x[60:]) == y[60:]).mean() > 0.9


def test_003_56_five_steps(tmp_path):
    """Gather, preprocess, train, evaluate, optimise: a call for each, and commands for all."""
    from fastconv import cli, datasets

    random.seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    x = rng.integers(0, 90, (60, 8, 8), np.uint8) + (y[:, None, None] * 120).astype(np.uint8)
    np.savez(tmp_path / "set.npz", x=x, y=y)
    train, test = datasets.load_npz(tmp_path / "set.npz")
    body = [
        layers.Input((8, 8)),
        layers.Rescaling(1 / 127.5, -1),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    ]
    model = compiled(*body, loss="binary_crossentropy", optimizer=optimizers.Adam(0.01), metrics=["accuracy"])
    stop = callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(*train, validation_split=0.2, epochs=40, callbacks=[stop], verbose=0)
    assert model.evaluate(*test, verbose=0)[1] > 0.9
    for command in (
        ["train", "--dataset", "x.npz"],
        ["evaluate", "m.safetensors"],
        ["predict", "m.safetensors", "a.png"],
    ):
        cli._parser().parse_args(command)


class Halved(layers.Layer):
    """A layer of the user's: build, and call by ops; its gradients follow."""

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones", "w")

    def call(self, inputs):
        return ops.scale(ops.multiply(inputs, self.w), 0.5)


def test_003_57_a_layer_of_your_own():
    """A custom layer runs in `fit`, and its gradients equal differences."""
    model = compiled(layers.Input((3,), dtype="float64"), Halved(dtype="float64"), layers.Dense(2, dtype="float64"))
    x, y = normal(6, 3), normal(6, 2)
    assert_gradients(model, x, y, rtol=1e-6, atol=1e-8)
    model.fit(x, y, epochs=2, verbose=0)
    assert (model.get_weights()[0] != 1).all()


def test_003_58_universal_approximation(example):
    """A net fits sin(x) on [0, 2 pi] with a mean squared error below 1e-3."""
    assert example("sine")["mean_squared_error"] < 1e-3
