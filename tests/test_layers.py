"""Layers: names, building, weights, configs, the three ways of being called, layers of one's own."""

import numpy as np
import pytest

import fastconv
from fastconv import initializers, layers, models, ops, random
from fastconv.models.plans import as_list
from fastconv.testing.networks import NETWORKS, build, inputs_for


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_comes_back_from_its_config(name):
    for layer in build(name).layers:
        config = layer.get_config()
        twin = type(layer).from_config(config)
        assert twin.get_config() == config
        assert (twin.name, twin.dtype, twin.trainable) == (layer.name, layer.dtype, layer.trainable)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_model_comes_back_from_its_config(name):
    model = build(name)
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    x = inputs_for(model, 3)
    x = x if len(x) > 1 else x[0]
    for a, b in zip(as_list(model.predict(x)), as_list(twin.predict(x)), strict=True):
        np.testing.assert_array_equal(a, b)


CONFIGURED = [
    layers.Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal", bias_initializer="ones"),
    layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", dilation_rate=1, groups=2, activation="gelu"),
    layers.Conv2D(4, 3, padding=((1, 0), (2, 1))),
    layers.DepthwiseConv2D(3, depth_multiplier=2, padding="valid", dilation_rate=(2, 1)),
    layers.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=1),
    layers.Conv1D(6, 3, strides=2, padding="causal", dilation_rate=(1,), groups=2),
    layers.Conv1D(6, (3,), padding=(2, 1)),
    layers.Conv1D(6, 3, padding="same_lower", use_bias=False),
    layers.SeparableConv2D(4, (3, 2), depth_multiplier=2, pointwise_initializer="ones", depthwise_initializer="zeros"),
    layers.BatchNormalization(momentum=0.5, epsilon=1e-5, center=False, moving_mean_initializer="ones"),
    layers.LayerNormalization(scale=False),
    layers.MaxPooling2D((3, 2), strides=1, padding="same_lower", ceil_mode=False),
    layers.AveragePooling2D(2, padding=1, ceil_mode=True),
    layers.GlobalMaxPooling2D(keepdims=True),
    layers.Dropout(0.4),
    layers.Reshape((2, -1)),
    layers.MaxPooling1D((3,), strides=1, padding="same"),
    layers.AveragePooling1D(3),
    layers.GlobalAveragePooling1D(keepdims=True),
    layers.ZeroPadding2D((1, 2)),
    layers.ZeroPadding1D((0, 2)),
    layers.Cropping2D(((1, 0), (2, 1))),
    layers.Cropping1D(2),
    layers.Rescaling(2, offset=1),
    layers.ReLU(negative_slope=0.2),
    layers.ReLU(6),
    layers.LeakyReLU(0.2),
    layers.ELU(0.5),
    layers.GELU(approximate=True),
    layers.PReLU(shared_axes=[1, 2]),
    layers.Concatenate(axis=1),
    layers.Activation("softplus", trainable=False),
    layers.InputLayer((2, 3), dtype="float64"),
]


@pytest.mark.parametrize("layer", CONFIGURED, ids=lambda layer: layer.name)
def test_options_survive_a_config(layer):
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.thread_unsafe(reason="counts the names that the whole process has given")
def test_names_count_as_in_keras():
    class FreshLayer2D(layers.Layer):
        pass

    assert [FreshLayer2D().name for _ in range(3)] == ["fresh_layer2d", "fresh_layer2d_1", "fresh_layer2d_2"]
    assert layers.Dense(1, name="mine").name == "mine"
    assert layers.Conv2D(1, 1).name.startswith("conv2d")
    assert layers.Conv2DTranspose(1, 1).name.startswith("conv2d_transpose")
    assert layers.MaxPooling2D().name.startswith("max_pooling2d")


def test_weights_are_made_when_the_input_is_known():
    layer = layers.Dense(3)
    assert not layer.built
    assert layer.weights == []
    layer(np.ones((2, 4), np.float32))
    assert layer.built
    assert [w.shape for w in layer.weights] == [(4, 3), (3,)]
    kernel = layer.kernel
    layer(np.ones((5, 4), np.float32))
    assert layer.kernel is kernel


def test_a_layer_on_arrays_is_its_op():
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    layer = layers.Conv2D(4, 3, padding="same", strides=2, activation="relu", bias_initializer="ones")
    y = layer(x)
    expected = ops.relu(ops.conv2d(x, layer.kernel.array, layer.bias.array, stride=2, padding="same"))
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert layers.Flatten()(x).shape == (2, 108)
    assert layers.Reshape((-1, 9))(x).shape == (2, 12, 9)
    np.testing.assert_array_equal(layers.Add()([x, x]), 2 * x)


def test_float64_and_the_dtype_policy():
    assert layers.Dense(1).dtype == "float32"
    fastconv.set_dtype_policy("float64")
    try:
        layer = layers.Dense(2)
    finally:
        fastconv.set_dtype_policy("float32")
    assert layer(np.ones((1, 3))).dtype == np.float64
    assert layer.kernel.dtype == "float64"


@pytest.mark.parametrize(
    "layer,shape,expected",
    [
        (layers.Conv2D(5, 3), (None, 8, 7, 2), (None, 6, 5, 5)),
        (layers.Conv2D(5, 3, padding="same", strides=2), (None, 8, 7, 2), (None, 4, 4, 5)),
        (layers.Conv2DTranspose(5, 3, strides=2), (None, 4, 3, 2), (None, 9, 7, 5)),
        (layers.Conv2DTranspose(5, 3, strides=2, padding="same"), (None, 4, 3, 2), (None, 8, 6, 5)),
        (layers.DepthwiseConv2D(3, depth_multiplier=3), (None, 5, 5, 2), (None, 3, 3, 6)),
        (layers.MaxPooling2D(), (None, 5, 5, 2), (None, 2, 2, 2)),
        (layers.MaxPooling2D(ceil_mode=True), (None, 5, 5, 2), (None, 3, 3, 2)),
        (layers.GlobalAveragePooling2D(), (None, 5, 5, 2), (None, 2)),
        (layers.Dense(4), (None, 3, 2), (None, 3, 4)),
        (layers.Flatten(), (None, 3, 2), (None, 6)),
        (layers.Concatenate(axis=1), [(None, 3, 2), (None, 1, 2)], (None, 4, 2)),
        (layers.ZeroPadding2D(((0, 1), (2, 3))), (None, 3, 2, 1), (None, 4, 7, 1)),
        (layers.Cropping2D(((0, 1), (2, 3))), (None, 4, 7, 1), (None, 3, 2, 1)),
        (layers.ZeroPadding1D(2), (None, 4, 3), (None, 8, 3)),
        (layers.Cropping1D((1, 2)), (None, 4, 3), (None, 1, 3)),
        (layers.Conv1D(5, 3, padding="causal", dilation_rate=2), (None, 9, 4), (None, 9, 5)),
        (layers.Conv1D(5, 3, padding=(1, 2), strides=2), (None, 9, 4), (None, 5, 5)),
        (layers.SeparableConv2D(5, 3, strides=2), (None, 9, 8, 4), (None, 4, 3, 5)),
        (layers.MaxPooling1D(3), (None, 8, 4), (None, 2, 4)),
        (layers.AveragePooling1D(3, strides=2, padding="same"), (None, 8, 4), (None, 4, 4)),
        (layers.GlobalMaxPooling1D(), (None, 8, 4), (None, 4)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_output_shapes(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected


def test_a_causal_convolution_does_not_look_ahead():
    layer = layers.Conv1D(3, 4, padding="causal", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=(2, 12, 5)).astype(np.float32)
    before = layer(x)
    x[:, 7] += 1
    changed = np.abs(layer(x) - before).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(np.flatnonzero(changed), [7, 9, 11])  # taps 0, 2, 4 and 6 steps back


def test_conv1d_is_numpys_correlation():
    layer = layers.Conv1D(1, 3)
    x = np.arange(8, dtype=np.float32)
    layer.ensure_built((None, 8, 1))
    layer.set_weights([np.array([1, -2, 3], np.float32).reshape(3, 1, 1), np.array([0.5], np.float32)])
    expected = np.correlate(x, [1, -2, 3], "valid") + 0.5
    np.testing.assert_array_equal(layer(x.reshape(1, 8, 1)).ravel(), expected)


def test_dropout_is_off_in_inference_and_keeps_the_mean_in_training():
    layer = layers.Dropout(0.3)
    x = np.ones((100, 100), np.float32)
    np.testing.assert_array_equal(layer(x), x)
    y = layer(x, training=True)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.7)} or np.isclose(y.max(), 1 / 0.7)
    assert y.mean() == pytest.approx(1, abs=0.03)


def test_dropout_draws_another_mask_each_step():
    model = models.Sequential([layers.Input((50,)), layers.Dropout(0.5), layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    x, y = np.ones((1, 50)), np.zeros((1, 1))
    assert len({model.train_on_batch(x, y) for _ in range(4)}) > 1


def test_batch_norm_uses_moving_statistics_when_frozen():
    layer = layers.BatchNormalization(momentum=0.5)
    x = np.random.default_rng(0).normal(3, 2, (64, 4)).astype(np.float32)
    layer(x, training=True)
    moved = layer.get_weights()
    np.testing.assert_allclose(moved[2], 0.5 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moved[3], 0.5 + 0.5 * x.var(0), rtol=1e-5)
    layer.trainable = False
    layer(x, training=True)
    for a, b in zip(layer.get_weights(), moved, strict=True):
        np.testing.assert_array_equal(a, b)


class Quadratic(layers.Layer):
    """A layer of one's own: ``y = (x · a)² + b``."""

    def __init__(self, units, **keywords):
        super().__init__(**keywords)
        self.units = units

    def build(self, input_shape):
        self.a = self.add_weight((input_shape[-1], self.units), "glorot_uniform", "a")
        self.b = self.add_weight((self.units,), initializers.Constant(0.5), "b")

    def call(self, inputs):
        y = ops.dense(inputs, self.a)
        return ops.add(ops.multiply(y, y), self.b)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_layer_of_one_s_own(tmp_path):
    random.seed(4)
    model = models.Sequential([layers.Input((4,)), Quadratic(6, name="quadratic"), layers.Dense(2)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    y = np.stack([x[:, 0] ** 2, x[:, 1] * x[:, 2]], -1)
    a, b = model.get_layer("quadratic").get_weights()
    np.testing.assert_allclose(model.layers[0](x), (x @ a) ** 2 + b, rtol=1e-5, atol=1e-6)
    losses = model.fit(x, y, epochs=40, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="Quadratic"):
        models.load_model(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors", custom_objects={"Quadratic": Quadratic})
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


class Block(layers.Layer):
    """Layers inside a layer."""

    def __init__(self, units, **keywords):
        super().__init__(**keywords)
        self.inner = layers.Dense(units, activation="relu")
        self.more = [layers.BatchNormalization(), layers.Dropout(0.2)]

    def call(self, inputs, training=False):
        y = self.inner(inputs)
        for layer in self.more:
            y = layer(y, training=training)
        return ops.add(y, inputs)


def test_layers_inside_a_layer():
    model = models.Sequential([layers.Input((5,)), Block(5, name="block"), layers.Dense(2)])
    assert [w.shape for w in model.layers[0].weights] == [(5, 5), (5,), (5,), (5,), (5,), (5,)]
    assert model.count_params() == 30 + 20 + 12
    assert sum(w.size for w in model.trainable_weights) == 30 + 10 + 12
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(np.random.default_rng(0).normal(size=(16, 5)), np.ones((16, 2)), verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    paths = list(model.weights_by_path())
    assert all(path.startswith("block/") for path in paths[:6])
    assert len(set(paths)) == 8
    model.layers[0].trainable = False
    assert len(model.trainable_weights) == 2


def test_a_model_inside_a_model():
    inner = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="tanh")], name="encoder")
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(2)(inner(x)))
    assert model.count_params() == 15 + 8
    model.compile("adam", "mse")
    data = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    expected = inner.predict(data) @ model.layers[-1].get_weights()[0]
    np.testing.assert_allclose(model.predict(data), expected, rtol=1e-5, atol=1e-6)
    before = inner.get_weights()[0]
    model.train_on_batch(data, np.zeros((8, 2)))
    assert not np.array_equal(before, inner.get_weights()[0])


def test_setting_weights_is_all_or_nothing():
    layer = layers.Dense(2)
    layer(np.ones((1, 3), np.float32))
    before = layer.get_weights()
    for bad in ([np.zeros((3, 2))], [np.zeros((3, 2)), np.zeros(3)], [np.zeros((3, 2)), [np.nan, 0]], "weights"):
        with pytest.raises((ValueError, TypeError), match="set_weights"):
            layer.set_weights(bad)
        for a, b in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    weights = [np.arange(6).reshape(3, 2), np.ones(2)]
    layer.set_weights(weights)
    for a, b in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_get_weights_gives_copies():
    layer = layers.Dense(2)
    layer(np.ones((1, 3), np.float32))
    layer.get_weights()[0][...] = 9
    assert layer.kernel.array.max() < 9


def test_layers_refuse_what_they_do_not_know():
    with pytest.raises(TypeError, match="did you mean `activation`"):
        layers.Dense(3, activaton="relu")
    with pytest.raises(TypeError, match="filters"):
        layers.Conv2D(2.5, 3)
    with pytest.raises(ValueError, match="channels_last"):
        layers.Conv2D(2, 3, data_format="channels_first")
    with pytest.raises(ValueError, match="relu"):
        layers.Activation("relo")
    with pytest.raises(ValueError, match="axis"):
        layers.BatchNormalization(axis=1)
    with pytest.raises(ValueError, match="rank 4"):
        layers.Conv2D(2, 3)(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="rank 2"):
        layers.Dense(2)(np.ones((2, 3, 3, 1), np.float32))
    with pytest.raises(ValueError, match="at least 2"):
        layers.Add()([np.ones((2, 3), np.float32)])
    with pytest.raises(TypeError, match="call the model on data"):
        np.asarray(layers.Input((3,)))


def test_keras_s_other_names_are_the_same_classes():
    for kind in ("Avg", "Max"):
        full = {"Avg": "Average", "Max": "Max"}[kind]
        for d in (1, 2, 3):
            assert getattr(layers, f"{kind}Pool{d}D") is getattr(layers, f"{full}Pooling{d}D")
            assert getattr(layers, f"Global{kind}Pool{d}D") is getattr(layers, f"Global{full}Pooling{d}D")
            assert getattr(layers, f"Convolution{d}D") is getattr(layers, f"Conv{d}D")


@pytest.mark.parametrize("layer", [layers.Flatten, layers.RandomFlip, layers.RandomCrop, layers.RandomZoom])
def test_channels_come_last(layer):
    sizes = {layers.RandomCrop: (2, 2), layers.RandomZoom: (0.1,)}.get(layer, ())
    layer(*sizes, data_format="channels_last")
    with pytest.raises(ValueError, match="channels come last"):
        layer(*sizes, data_format="channels_first")
