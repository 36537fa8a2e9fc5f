"""Deck 003, a seminar on deep learning: losses and what is learned (rows 16 to 27; 21 and 23 to 25: optimizers)."""

import numpy as np
import pytest

from fastconv import layers, losses, models, ops, optimizers, random, schedules, utils
from fastconv.testing.small import normal


def test_003_16_losses_of_regression():
    """Squared, absolute and Huber's (delta 1), as NumPy has them."""
    y, p = normal(20, 3), 2 * normal(20, 3, seed=1)
    e = np.abs(p - y)
    np.testing.assert_allclose(losses.mean_squared_error(y, p), (e**2).mean(1), rtol=1e-12)
    np.testing.assert_allclose(losses.mean_absolute_error(y, p), e.mean(1), rtol=1e-12)
    np.testing.assert_allclose(losses.huber(y, p), np.where(e <= 1, e**2 / 2, e - 0.5).mean(1), rtol=1e-12)
    assert losses.Huber().delta == 1.0
    for name in ("huber", "mean_squared_error", "mean_absolute_error"):
        loss = getattr(losses, name)
        numeric = utils.numeric_gradient(lambda v, loss=loss: loss(y, v).sum(), p)
        found = getattr(ops, f"{name}_backward")(np.ones(20), y, p)[1]
        np.testing.assert_allclose(found, numeric, atol=1e-7)


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
