"""Gradients for inputs and inner outputs against finite differences; saliency and Grad-CAM against their formulas."""

import numpy as np
import pytest

from fastconv import attribution, layers, models, random


def classifier(last="softmax", units=3, dtype="float64"):
    """A small network with pooling, a branch and a normalization, in float64."""
    random.seed(3)
    x = layers.Input((6, 5, 2), dtype=dtype)
    a = layers.Conv2D(4, 3, padding="same", activation="tanh", dtype=dtype, name="conv")(x)
    b = layers.Conv2D(4, 1, dtype=dtype, name="branch")(x)
    h = layers.Add(dtype=dtype, name="sum")([a, b])
    h = layers.BatchNormalization(dtype=dtype)(h)
    h = layers.AveragePooling2D((2, 1), dtype=dtype, name="pool")(h)
    h = layers.Flatten(dtype=dtype)(h)
    y = layers.Dense(units, activation=last, dtype=dtype, name="head")(h)
    return models.Model(x, y)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(2, 6, 5, 2))


def differences(f, x, eps=1e-5):
    """d f / d x by central differences."""
    dx = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = eps
        dx[i] = (f(x + step) - f(x - step)) / (2 * eps)
    return dx


@pytest.mark.parametrize("last", ["softmax", "sigmoid", None])
def test_input_gradients_are_those_of_finite_differences(images, last):
    model = classifier(last)
    dy = np.random.default_rng(1).normal(size=(2, 3))
    dx = model.input_gradients(images, dy)
    assert dx.shape == images.shape and dx.dtype == np.float64
    expected = differences(lambda x: float((dy * model.predict(x, verbose=0)).sum()), images)
    np.testing.assert_allclose(dx, expected, atol=1e-8)


@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_logits_are_what_goes_into_the_last_activation(images, last):
    model, plain = classifier(last), classifier(None)
    plain.set_weights(model.get_weights())
    dy = np.eye(3)[[0, 2]]
    np.testing.assert_array_equal(model.input_gradients(images, dy, logits=True), plain.input_gradients(images, dy))
    assert np.abs(model.input_gradients(images, dy) - plain.input_gradients(images, dy)).max() > 1e-3


def test_gradients_of_an_inner_output_are_those_of_the_rest_of_the_model(images):
    model = classifier(None)
    inner = model.activations(images)["sum"]
    start = layers.Input(inner.shape[1:], dtype="float64")
    rest = start
    for layer in model.layers[model.layers.index(model.get_layer("sum")) + 1 :]:
        rest = layer(rest)
    tail = models.Model(start, rest)
    dy = np.random.default_rng(2).normal(size=(2, 3))
    np.testing.assert_allclose(
        model.input_gradients(images, dy, layer="sum"), tail.input_gradients(inner, dy), rtol=1e-12
    )


def test_several_inputs_and_one_that_does_not_matter():
    a, b = layers.Input((2,)), layers.Input((3,))
    y = layers.Dense(1, kernel_initializer="ones")(a)
    model = models.Model([a, b], [y, layers.Activation("relu")(b)])
    x = [np.ones((4, 2)), -np.ones((4, 3))]
    da, db = model.input_gradients(x)
    assert da.tolist() == np.ones((4, 2)).tolist() and db.tolist() == np.zeros((4, 3)).tolist()
    da, db = models.Model([a, b], y).input_gradients(x)
    assert da.any() and db.shape == (4, 3) and not db.any()


def test_a_model_with_a_call_of_its_own(images):
    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.head = layers.Dense(2, dtype="float64")

        def call(self, inputs):
            return self.head(inputs)

    model = Own()
    dx = model.input_gradients(np.ones((3, 4)), np.eye(2)[[0, 1, 1]])
    np.testing.assert_allclose(dx, model.head.get_weights()[0].T[[0, 1, 1]], rtol=1e-6)


def test_saliency_is_the_largest_slope_over_channels(images):
    model = classifier("softmax")
    predicted = model.predict(images, verbose=0).argmax(-1)
    dx = model.input_gradients(images, np.eye(3)[predicted], logits=True)
    np.testing.assert_array_equal(attribution.saliency(model, images), np.abs(dx).max(-1))
    np.testing.assert_array_equal(attribution.saliency(model, images, predicted), np.abs(dx).max(-1))


def test_one_output_speaks_for_class_1_and_against_class_0(images):
    model = classifier("sigmoid", units=1)
    dx = model.input_gradients(images, logits=True)
    cam = attribution.grad_cam(model, images, 1, "pool") - attribution.grad_cam(model, images, 0, "pool")
    maps = model.activations(images)["pool"]
    slopes = model.input_gradients(images, layer="pool", logits=True).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(cam, (slopes * maps).sum(-1), atol=1e-12)
    np.testing.assert_array_equal(attribution.saliency(model, images, 0), np.abs(dx).max(-1))


def test_grad_cam_of_pooled_features_is_the_class_activation_map():
    """Selvaraju et al. 2017, section 3.1: with global average pooling and one dense layer Grad-CAM is CAM, Σ_k w_kc A_k / PQ."""
    random.seed(0)
    head = layers.Dense(3, activation="softmax", dtype="float64")
    conv = layers.Conv2D(5, 3, activation="relu", dtype="float64", name="features")
    pool = layers.GlobalAveragePooling2D(dtype="float64")
    model = models.Sequential([layers.Input((7, 6, 1), dtype="float64"), conv, pool, head])
    x = np.random.default_rng(0).normal(size=(3, 7, 6, 1))
    maps, kernel = model.activations(x)["features"], head.get_weights()[0]
    classes = np.array([2, 0, 1])
    expected = np.einsum("npqk,kn->npq", maps, kernel[:, classes]) / (5 * 4)
    np.testing.assert_allclose(attribution.grad_cam(model, x, classes), np.maximum(expected, 0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m, x: m.input_gradients(x, np.ones((2, 4))), "expected shapes"),
        (lambda m, x: m.input_gradients(x, layer="nobody"), "no layer has this name"),
        (lambda m, x: attribution.saliency(m, x[0, 0]), "x must hold images"),
        (lambda m, x: attribution.saliency(m, x, 3), "0 <= class < 3"),
        (lambda m, x: attribution.saliency(m, x, [0.5, 1]), "class numbers"),
        (lambda m, x: attribution.saliency(m, x, [0, 1, 2]), "class numbers"),
        (lambda m, x: attribution.grad_cam(m, x, layer="head"), "feature maps"),
    ],
)
def test_what_cannot_be_asked(images, call, words):
    with pytest.raises(ValueError, match=words):
        call(classifier(), images)
