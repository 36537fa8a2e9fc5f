"""Names of Keras: those that exist here do what they say, those that do not are answered with a way out."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import activations, layers, losses, models, ops
from fastconv.layers.missing import MISSING

RNG = np.random.default_rng(0)


def test_layers_that_do_not_exist_say_so():
    page = (Path(__file__).parents[1] / "docs/from_keras.md").read_text("utf-8")
    told = set(re.findall(r"`(\w+)`", page[page.index("## What does not exist") : page.index("## What is different")]))
    assert set(MISSING) <= told
    assert not set(MISSING) & set(layers.__all__)
    answers = {
        (layers, name): f"Keras's {name} does not exist here.*{re.escape(text)}" for name, text in MISSING.items()
    }
    answers |= {(layers, "Convolution"): "no attribute 'Convolution'", (losses, "mean"): "no attribute 'mean'"}
    answers |= {(losses, name): "Keras's CTC does not exist here.*a loss of your own" for name in ("CTC", "ctc")}
    for (module, name), words in answers.items():
        with pytest.raises(AttributeError, match=words):
            getattr(module, name)


def test_every_name_of_keras_exists_or_is_said_to_be_missing():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed; compared where it is")

    def names(module):
        return {name for name in dir(module) if not name.startswith("_")}

    assert names(keras.layers) - names(layers) == set(MISSING)
    assert names(keras.losses) - names(losses) == {"CTC", "ctc", "Circle", "circle", "deserialize"}
    assert names(keras.activations) <= names(activations)


def test_activations_by_name():
    assert activations.get("relu") is ops.relu is activations.get(ops.relu)
    assert activations.get(None) is activations.linear
    assert activations.serialize(activations.sparsemax) == "sparsemax"
    assert activations.deserialize(activations.serialize(activations.linear)) is activations.linear
    with pytest.raises(ValueError, match="not known"):
        activations.get("relu5")
    x = RNG.normal(size=(2, 3, 4, 5))
    for function in (activations.softmax, activations.sparsemax):
        np.testing.assert_allclose(function(x, axis=1), np.moveaxis(function(np.moveaxis(x, 1, -1)), -1, 1))
        np.testing.assert_allclose(function(x, axis=(1, 2)).sum((1, 2)), 1)
    np.testing.assert_allclose(activations.threshold(x, -0.5, 2.0), np.where(x > -0.5, x, 2.0), rtol=1e-12)
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation=activations.softmax)])
    assert models.Sequential.from_config(model.get_config()).layers[-1].activation == "softmax"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40))
def test_sparsemax_is_the_nearest_distribution(row):
    """The point of a convex set next to x: no distribution lies further in the direction of x - y."""
    x = np.array([row])
    y = ops.sparsemax(x)
    assert (y >= 0).all() and y.sum() == pytest.approx(1)
    direction = (x - y)[0]
    assert direction.max() <= direction @ y[0] + 1e-9


def test_sparsemax_of_what_is_not_finite():
    x = np.array([[1, np.nan], [1, np.inf], [-np.inf, -np.inf], [-np.inf, 3]], "float32")
    y = ops.sparsemax(x)
    assert np.isnan(y[:3]).all()
    np.testing.assert_array_equal(y[3], [0, 1])


def test_lengths():
    x = RNG.normal(size=(2, 3, 4))
    x[0, 0] = 0
    y = layers.UnitNormalization(dtype="float64")(x)
    lengths = np.linalg.norm(x, axis=-1, keepdims=True)
    np.testing.assert_allclose(y, x / np.where(lengths == 0, 1, lengths), rtol=1e-12)
    y = layers.UnitNormalization(axis=[1, 2], dtype="float64")(x)
    np.testing.assert_allclose((y**2).sum((1, 2)), 1, rtol=1e-12)
    layer = layers.RMSNormalization(epsilon=0.5, dtype="float64")
    np.testing.assert_allclose(layer(x), x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.5), rtol=1e-12)
    with pytest.raises(ValueError, match="axis must be the last"):
        layers.RMSNormalization(axis=1)
    with pytest.raises(ValueError, match="one of a sample's"):
        layers.UnitNormalization(axis=0)(x)


def test_a_spectral_norm_becomes_one():
    layer = layers.SpectralNormalization(layers.Conv2D(4, 3, use_bias=False), power_iterations=50)
    model = models.Sequential([layers.Input((6, 6, 2)), layer, layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1e-9
    x, y = RNG.normal(size=(4, 6, 6, 2)), RNG.normal(size=(4, 4))
    before = model.predict(x, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)  # inference changes nothing
    model.train_on_batch(x, y)
    kernel = layer.layer.kernel.array.reshape(-1, 4)
    assert np.linalg.svd(kernel)[1][0] == pytest.approx(1, rel=1e-5)
    twin = models.Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    layer(x.astype("float32"), training=True)  # of arrays
    zeros = [np.zeros_like(w) if w.ndim == 4 else w for w in model.get_weights()]
    model.set_weights(zeros)
    model.train_on_batch(x, y)  # keeps its direction, and divides nothing by zero
    np.testing.assert_allclose(model.get_weights()[1], zeros[1] / np.linalg.norm(zeros[1]), rtol=1e-5)
    with pytest.raises(ValueError, match="must have a kernel"):
        layers.SpectralNormalization(layers.ReLU()).ensure_built((None, 3))


def test_these_layers_travel_to_keras_files(tmp_path):
    pytest.importorskip("h5py", reason="h5py is not installed: pip install 'fastconv[keras]'")
    x = layers.Input((5, 4))
    y = layers.SpectralNormalization(layers.Dense(3))(layers.RMSNormalization()(x))
    y = layers.UnitNormalization(axis=(1, 2))(y)
    model = models.Model(x, layers.Activation("sparsemax")(layers.Flatten()(y)))
    model.save(tmp_path / "m.keras")
    data = RNG.normal(size=(2, 5, 4)).astype("float32")
    twin = models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(twin.predict(data, verbose=0), model.predict(data, verbose=0))


def test_losses_along_other_axes():
    t, p = np.moveaxis(np.eye(3)[RNG.integers(3, size=(4, 5))], -1, 1), RNG.dirichlet(np.ones(3), (4, 5))
    p = np.moveaxis(p, -1, 1)
    for kind in (
        "CategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "BinaryFocalCrossentropy",
        "CosineSimilarity",
    ):
        along, plain = (getattr(losses, kind)(axis=axis, reduction=None) for axis in (1, -1))
        np.testing.assert_allclose(along(t, p), plain(np.moveaxis(t, 1, -1), np.moveaxis(p, 1, -1)), rtol=1e-12)
    overlap = 1 - 2 * (t * p).sum(2) / ((t + p).sum(2) + 1e-7)
    np.testing.assert_allclose(losses.Dice(axis=2, reduction=None)(t, p), overlap, rtol=1e-12)
    np.testing.assert_allclose(losses.Tversky(axis=2, reduction=None)(t, p), overlap, rtol=1e-6)
    for function, kind in (
        (losses.dice, losses.Dice),
        (losses.log_cosh, losses.LogCosh),
        (ops.poisson, losses.Poisson),
    ):
        assert type(losses.get(function)) is kind
    assert {type(losses.get(name)).__name__ for name in ("mape", "MAPE")} == {"MeanAbsolutePercentageError"}
    assert {type(losses.get(name)).__name__ for name in ("msle", "KLD")} == {
        "MeanSquaredLogarithmicError",
        "KLDivergence",
    }


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.Dice(axis=(0, 1))(np.ones((2, 3)), np.ones((2, 3))), "axes of a sample"),
        (lambda: losses.CategoricalCrossentropy(axis=0), "axis != 0"),
        (lambda: losses.CategoricalCrossentropy(axis=3)(np.ones((2, 3)), np.ones((2, 3))), "1 to 1"),
        (lambda: losses.SparseCategoricalCrossentropy(axis=1), "axis=-1"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=255), "sample_weight of 0"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1), "0 < q < 1"),
        (lambda: losses.CategoricalFocalCrossentropy(alpha=[1.0, 2.0])(np.eye(3), np.eye(3)), "one per class"),
        (lambda: losses.CategoricalFocalCrossentropy(gamma=-1), "gamma >= 0"),
        (lambda: losses.get("ctc"), "not known"),
    ],
)
def test_mistakes_get_one_clear_error(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_straight_through():
    x, value, dy = RNG.normal(size=(3, 2, 4))
    np.testing.assert_array_equal(ops.straight_through(x, value), value)
    gradient, none = ops.straight_through_backward(dy, x, value)
    np.testing.assert_array_equal(gradient, dy)
    assert none is None
    with pytest.raises(ValueError, match="value has the wrong shape"):
        ops.straight_through(x, value[:1])
