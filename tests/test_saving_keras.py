"""Files of Keras 3 and files for Keras 3, with the real Keras (PyTorch backend): predictions, weights, further training."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import math
import zipfile

import numpy as np
import pytest

import fastconv
from fastconv import random
from fastconv.errors import CheckpointError
from fastconv.saving import keras_training
from fastconv.saving.keras_names import NOT_SHARED, known_layers
from fastconv.testing.numerics import numerics
from fastconv.testing.parity import PARITY, difference, pair

keras = pytest.importorskip("keras", reason="files of the real Keras 3; pip install keras torch h5py")
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's and PyTorch's own


def models(name):
    random.seed(1)
    return pair(PARITY[name].build, fastconv, keras)


def answers(model, x):
    quiet = {} if isinstance(model, fastconv.Model) else {"verbose": 0}
    return keras.tree.map_structure(np.asarray, model.predict(x, **quiet))


def names_of(model):
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize("name", PARITY)
def test_a_file_of_keras_opens_and_predicts_the_same(tmp_path, name):
    ours, theirs = models(name)
    theirs.save(tmp_path / "m.keras")
    loaded = fastconv.load_model(tmp_path / "m.keras")
    x = PARITY[name].data(ours)[0]
    assert names_of(loaded) == names_of(theirs)
    assert difference(loaded.get_weights(), theirs.get_weights()) == 0
    assert difference(answers(loaded, x), answers(theirs, x)) < 1e-5


@pytest.mark.parametrize("name", PARITY)
def test_keras_opens_our_file_and_predicts_the_same(tmp_path, name):
    ours, _ = models(name)
    ours.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    x = PARITY[name].data(ours)[0]
    assert names_of(loaded) == names_of(ours)
    assert difference(ours.get_weights(), loaded.get_weights()) == 0
    assert difference(answers(ours, x), answers(loaded, x)) < 1e-5
    back = fastconv.load_model(tmp_path / "m.keras")
    assert difference(answers(back, x), answers(ours, x)) == 0


@pytest.mark.parametrize("name", ["models in models", "siamese towers", "residuals", "sequences"])
def test_weight_files_of_either_load_into_the_other(tmp_path, name):
    ours, theirs = models(name)
    _, fresh = models(name)
    ours.set_weights([w + 1 for w in ours.get_weights()])
    ours.save_weights(tmp_path / "ours.weights.h5")
    fresh.load_weights(tmp_path / "ours.weights.h5")
    assert difference(ours.get_weights(), fresh.get_weights()) == 0
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    assert difference(ours.get_weights(), theirs.get_weights()) == 0
    fresh.save(tmp_path / "m.keras")
    ours.load_weights(tmp_path / "m.keras")
    assert difference(ours.get_weights(), fresh.get_weights()) == 0


STATES = {
    "sgd": ("SGD", {"learning_rate": 0.05}),
    "nesterov": ("SGD", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True, "clipnorm": 1.0}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "clipvalue": 0.5}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.002, "centered": True, "momentum": 0.5}),
    "adagrad": ("Adagrad", {"learning_rate": 0.05}),
    "adadelta": ("Adadelta", {"learning_rate": 0.5}),
    "adafactor": ("Adafactor", {"learning_rate": 0.01}),
    "adamax": ("Adamax", {}),
    "ftrl": ("Ftrl", {"learning_rate": 0.05}),
    "lamb": ("Lamb", {"weight_decay": 0.01}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "lion": ("Lion", {"global_clipnorm": 1.0}),
    "nadam": ("Nadam", {}),
    "muon": ("Muon", {"learning_rate": 0.01, "weight_decay": None, "rms_rate": None, "exclude_layers": ["head"]}),
    "accumulated": ("Nadam", {"gradient_accumulation_steps": 3, "use_ema": True}),
    "averages": ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 6}),
}


def train(model, network, first, last):
    for step in range(first, last):
        model.train_on_batch(*network.data(model, seed=step))


@pytest.mark.parametrize("optimizer", STATES)
@pytest.mark.parametrize("name", ["vgg with batch normalization", "two outputs", "fine-tuning"])
def test_training_goes_on_in_the_other_library(tmp_path, name, optimizer):
    """Five steps, a file, five steps more: on both sides, after a file in either direction."""
    network, (ours, theirs) = PARITY[name], models(name)
    kind, settings = STATES[optimizer]
    for k, model in ((fastconv, ours), (keras, theirs)):
        model.compile(getattr(k.optimizers, kind)(**settings), network.loss)
    with numerics("strict"):
        train(theirs, network, 0, 5)
        theirs.save(tmp_path / "theirs.keras")
        loaded = fastconv.load_model(tmp_path / "theirs.keras")
        train(loaded, network, 5, 10)
        train(theirs, network, 5, 10)
        assert difference(loaded.get_weights(), theirs.get_weights()) < 1e-4
        assert loaded.optimizer.steps == 10
        loaded.save(tmp_path / "ours.keras")
        again = keras.models.load_model(tmp_path / "ours.keras")
        train(again, network, 10, 15)
        train(loaded, network, 10, 15)
        assert difference(loaded.get_weights(), again.get_weights()) < 1e-4
        assert int(again.optimizer._iterations.numpy()) == 15


def small(k, **settings):
    model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3, activation="softmax")])
    model.compile(**settings)
    return model


SETTINGS = {
    "names": lambda k: {"optimizer": "adam", "loss": "categorical_crossentropy", "metrics": ["accuracy", "mse"]},
    "objects": lambda k: {
        "optimizer": k.optimizers.SGD(0.1),
        "loss": k.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "metrics": [
            k.metrics.CategoricalAccuracy(),
            k.metrics.AUC(num_thresholds=50),
            k.metrics.Precision(thresholds=0.4),
        ],
    },
    "schedule": lambda k: {
        "optimizer": k.optimizers.Adam(k.optimizers.schedules.CosineDecay(0.1, 100)),
        "loss": k.losses.KLDivergence(),
    },
    "piecewise": lambda k: {
        "optimizer": k.optimizers.SGD(k.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.001])),
        "loss": k.losses.Huber(),  # with another delta Keras's own file forgets it (3.15)
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_compile_settings_travel(tmp_path, name):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(3, size=8)]
    theirs = small(keras, **SETTINGS[name](keras))
    for _ in range(3):
        theirs.train_on_batch(x, y)
    theirs.save(tmp_path / "theirs.keras")
    ours = fastconv.load_model(tmp_path / "theirs.keras")
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    expected = theirs.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), expected, rtol=1e-5)
    for model in (ours, theirs, again):
        model.train_on_batch(x, y)
    assert difference(ours.get_weights(), theirs.get_weights()) < 1e-6
    assert difference(again.get_weights(), theirs.get_weights()) < 1e-6


def test_losses_and_metrics_by_the_names_of_outputs(tmp_path):
    x = keras.layers.Input((4,))
    outputs = [keras.layers.Dense(3, name="kind", activation="softmax")(x), keras.layers.Dense(1, name="size")(x)]
    theirs = keras.Model(x, outputs)
    theirs.compile(
        "sgd",
        {"size": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"size": 0.5, "kind": 2.0},
        metrics={"kind": ["accuracy"]},
    )
    theirs.save(tmp_path / "m.keras")
    ours = fastconv.load_model(tmp_path / "m.keras")
    data = np.ones((4, 4), np.float32), [np.array([0, 1, 2, 0]), np.ones((4, 1), np.float32)]
    for model in (ours, theirs):
        model.train_on_batch(*data)
    assert difference(ours.get_weights(), theirs.get_weights()) < 1e-6


def test_a_model_compiled_and_not_trained(tmp_path):
    small(keras, optimizer="adam", loss="mse").save(tmp_path / "m.keras")
    ours = fastconv.load_model(tmp_path / "m.keras")
    assert ours.optimizer.iterations == 0 and not any(s.array.any() for s in keras_training._slots(ours))
    assert not fastconv.load_model(tmp_path / "m.keras", compile=False).compiled


def test_one_error_names_all_that_fastconv_lacks(tmp_path):
    la = keras.layers
    theirs = keras.Sequential(
        [
            la.Input((8, 6)),
            la.Lambda(lambda x: x * 2, name="twice"),
            la.RMSNormalization(axis=1, name="kept_small"),
            la.LayerNormalization(axis=1, name="sideways"),
        ]
    )
    theirs.save(tmp_path / "m.keras")
    with pytest.raises(CheckpointError) as caught:
        fastconv.load_model(tmp_path / "m.keras")
    for words in (
        "Lambda 'twice'",
        "RMSNormalization 'kept_small'",
        "LayerNormalization 'sideways'",
        "m.keras",
    ):
        assert words in str(caught.value)


def test_a_layer_of_the_callers_own(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Double(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    class Doubled(fastconv.layers.Layer):
        def call(self, inputs):
            return fastconv.ops.add(inputs, inputs)

    theirs = keras.Sequential([keras.layers.Input((4,)), Double(), keras.layers.Dense(2)])
    theirs.save(tmp_path / "m.keras")
    with pytest.raises(CheckpointError, match="Double"):
        fastconv.load_model(tmp_path / "m.keras")
    ours = fastconv.load_model(tmp_path / "m.keras", custom_objects={"Double": Doubled})
    x = np.ones((2, 4), np.float32)
    assert difference(answers(ours, x), answers(theirs, x)) < 1e-6


def test_a_network_of_keras_applications(tmp_path):
    theirs = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), alpha=0.25, classes=10)
    rng = np.random.default_rng(4)

    def drawn(w):  # filters as He et al. 2015 draw them, so that images are still seen after 27 layers
        inputs = math.prod(w.shape[: 2 if w.shape[-1] == 1 else -1])
        return rng.normal(0, (2 / inputs) ** 0.5, w.shape) if w.ndim == 4 else w + rng.uniform(0.01, 0.1, w.shape)

    theirs.set_weights([drawn(w) for w in theirs.get_weights()])
    theirs.save(tmp_path / "m.keras")
    ours = fastconv.load_model(tmp_path / "m.keras")
    x = rng.uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    expected = answers(theirs, x)
    assert names_of(ours) == names_of(theirs) and np.ptp(expected, 0).max() > 1e-3  # it does see the images
    assert difference(answers(ours, x), expected) < 1e-5


def test_every_layer_said_to_be_keras_s_is():
    for name in known_layers():
        assert isinstance(getattr(keras.layers, name), type), name
    for name in {*NOT_SHARED, "GELU"} - {"RandomCrop"}:
        assert not hasattr(keras.layers, name), name


def test_a_model_for_the_functions_that_keras_calls_otherwise(tmp_path):
    la = fastconv.layers
    ours = fastconv.Sequential([la.Input((4,)), la.Dense(3), la.GELU()])
    ours.save(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert difference(answers(ours, x), answers(theirs, x)) < 1e-6


def test_float64_and_a_zip_that_was_packed_again(tmp_path):
    theirs = keras.Sequential([keras.layers.Input((4,), dtype="float64"), keras.layers.Dense(3, dtype="float64")])
    theirs.save(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as before,
        zipfile.ZipFile(tmp_path / "n.keras", "w", zipfile.ZIP_DEFLATED) as z,
    ):
        for name in before.namelist():
            z.writestr(name, before.read(name))
    ours = fastconv.load_model(tmp_path / "n.keras")
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert ours.weights[0].dtype == "float64"
    assert difference(answers(ours, x), answers(theirs, x)) < 1e-6  # Keras makes float32 of what it is given
