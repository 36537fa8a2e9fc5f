"""Losses without a kernel of their own: values and gradients equal Keras's, and finite differences; they train and travel."""

import os

import numpy as np
import pytest

from fastconv import initializers, layers, losses, models

RNG = np.random.default_rng(4)
COUNTS = RNG.integers(0, 4, (12, 5)).astype(float)
LABELS = RNG.integers(0, 5, 12)
ONE_HOT = np.eye(5)[LABELS]
YES_NO = RNG.integers(0, 2, (12, 5)).astype(float)
REAL = RNG.normal(size=(12, 5))
CASES = [
    ("SquaredHinge", {}, YES_NO, "linear"),
    ("SquaredHinge", {}, 2 * YES_NO - 1, "linear"),
    ("CategoricalHinge", {}, ONE_HOT, "linear"),
    ("LogCosh", {}, REAL, "linear"),
    ("CosineSimilarity", {}, REAL, "linear"),
    ("BinaryFocalCrossentropy", {}, YES_NO, "sigmoid"),
    ("BinaryFocalCrossentropy", {"gamma": 0, "label_smoothing": 0.2}, YES_NO, "sigmoid"),
    ("BinaryFocalCrossentropy", {"gamma": 3, "apply_class_balancing": True, "alpha": 0.6}, YES_NO, "sigmoid"),
    ("BinaryFocalCrossentropy", {"from_logits": True}, YES_NO, "linear"),
    ("BinaryFocalCrossentropy", {"gamma": 1.5}, YES_NO, "sigmoid"),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, "softmax"),
    ("CategoricalFocalCrossentropy", {"gamma": 0, "label_smoothing": 0.2}, ONE_HOT, "sigmoid"),
    ("CategoricalFocalCrossentropy", {"gamma": 0.5, "alpha": [0.1, 0.2, 0.3, 0.4, 0.5]}, ONE_HOT, "softmax"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 3}, ONE_HOT, "linear"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, LABELS, "softmax"),
    ("Dice", {}, YES_NO, "sigmoid"),
    ("Dice", {"axis": -1}, YES_NO, "sigmoid"),
    ("Tversky", {"alpha": 0.3, "beta": 0.6, "axis": [1]}, YES_NO, "sigmoid"),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, YES_NO, "sigmoid"),
    ("Poisson", {}, COUNTS, "softplus"),
    ("MeanAbsolutePercentageError", {}, REAL + np.sign(REAL), "linear"),
    ("MeanSquaredLogarithmicError", {}, COUNTS, "softplus"),
]
cases = pytest.mark.parametrize(("name", "arguments", "target", "activation"), CASES)


def model_with(loss, activation):
    model = models.Sequential(
        [layers.Input((6,)), layers.Dense(7, activation="tanh"), layers.Dense(5, activation=activation)]
    )
    model.compile("sgd", loss)
    return model


@cases
def test_gradients_and_files(name, arguments, target, activation, tmp_path):
    model = model_with(getattr(losses, name)(**arguments), activation)
    x = RNG.normal(size=(12, 6))
    report = model.gradcheck(x, target, sample_weight=RNG.uniform(0, 2, 12))
    assert report.passed, str(report)
    first = model.evaluate(x, target, verbose=0)
    assert model.fit(x, target, epochs=60, verbose=0).history["loss"][-1] < first
    model.save(tmp_path / "m.safetensors")
    twin = models.load_model(tmp_path / "m.safetensors")
    assert twin.evaluate(x, target, verbose=0) == model.evaluate(x, target, verbose=0)
    pytest.importorskip("h5py", reason="h5py is not installed: pip install 'fastconv[keras]'")
    model.save(tmp_path / "m.keras")
    twin = models.load_model(tmp_path / "m.keras")
    assert twin.evaluate(x, target, verbose=0) == pytest.approx(model.evaluate(x, target, verbose=0))
    assert twin._losses[0].get_config() == model._losses[0].get_config()


@cases
def test_values_and_gradients_equal_kerass(name, arguments, target, activation):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed; compared where it is")
    torch = pytest.importorskip("torch", reason="Keras's gradients are compared on PyTorch")
    z = RNG.normal(size=(12, 5)).astype("float32")
    inputs = torch.tensor(z, requires_grad=True)
    predictions = keras.activations.get(activation)(inputs)
    expected = getattr(keras.losses, name)(reduction=None, **arguments)(torch.tensor(target), predictions)
    found = getattr(losses, name)(reduction=None, **arguments)(target, predictions.detach().numpy())
    np.testing.assert_allclose(found, np.broadcast_to(expected.detach(), found.shape), rtol=2e-5, atol=2e-6)
    expected.mean().backward()
    last = layers.Dense(5, activation, use_bias=False, kernel_initializer=initializers.Identity())
    model = models.Sequential([layers.Input((5,)), last])
    model.compile("sgd", getattr(losses, name)(**arguments))
    (gradient,) = model.gradients(z, target)[1].values()
    np.testing.assert_allclose(gradient, z.T @ inputs.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_images_and_rows_of_zeros():
    t, p = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 4, 5))
    values = losses.LogCosh(reduction=None)(t, p)
    np.testing.assert_allclose(values, np.log(np.cosh(t - p)).mean(-1), rtol=1e-10)
    assert losses.CosineSimilarity(reduction=None)(np.zeros((1, 3)), np.ones((1, 3))) == [0]
    large = losses.LogCosh()(np.zeros((1, 2), "float32"), np.full((1, 2), 1e4, "float32"))
    assert large == pytest.approx(1e4, rel=1e-3)  # cosh would be infinite


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: losses.SquaredHinge()([[0.5, 1]], [[0.0, 0.0]]), ValueError, "-1 and 1, or 0 and 1"),
        (lambda: losses.SquaredHinge()([[-1, 0, 1]], [[0.0, 0.0, 0.0]]), ValueError, "yes or no"),
        (lambda: losses.CosineSimilarity(axis=0), ValueError, "axis != 0"),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), ValueError, "gamma >= 0"),
        (lambda: losses.BinaryFocalCrossentropy(alpha=2), ValueError, "alpha"),
        (lambda: losses.BinaryFocalCrossentropy()([[2.0]], [[0.5]]), ValueError, "probabilities"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()
