"""Saving and going on: the same bits as if nothing had happened."""

import subprocess
import sys

import numpy as np
import pytest

from fastconv import layers, models, optimizers, random
from fastconv.errors import CheckpointError
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05),
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "adamw": lambda: optimizers.AdamW(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.05),
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 5, 0.5)),
}


def same_weights(first, second):
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8))


def compiled(name, optimizer="adam"):
    model = build(name)
    model.compile(OPTIMIZERS[optimizer](), ["mse"] * len(model.outputs), metrics=["mae"])
    return model


def data(model, samples=40):
    x, y = inputs_for(model, samples), targets_for(model, samples)
    return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])


def fit(model, epochs, **keywords):
    return model.fit(*data(model), batch_size=16, epochs=epochs, verbose=0, **keywords).history


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_model_comes_back_to_the_last_bit(name, tmp_path):
    model = compiled(name)
    fit(model, 1)
    model.save(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors")
    same_weights(model, loaded)
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    x, y = data(model)
    for a, b in zip(np.atleast_1d(model.evaluate(x, y, verbose=0)), loaded.evaluate(x, y, verbose=0), strict=True):
        assert a == b
    np.testing.assert_array_equal(np.concatenate(_outputs(model, x), -1), np.concatenate(_outputs(loaded, x), -1))


def _outputs(model, x):
    y = model.predict(x)
    return y if isinstance(y, list) else [y]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["mlp", "cnn"])  # both have dropout
def test_training_goes_on_to_the_last_bit(name, optimizer, tmp_path):
    """With shuffling and dropout: the random stream is saved too."""
    straight = compiled(name, optimizer)
    random.seed(11)
    history = fit(straight, 4)

    first = compiled(name, optimizer)
    random.seed(11)
    before = fit(first, 2)
    first.save(tmp_path / "model.safetensors")
    random.seed(99)  # whatever happens in between
    resumed = models.load_model(tmp_path / "model.safetensors")
    after = fit(resumed, 4, initial_epoch=2)

    same_weights(straight, resumed)
    assert resumed.optimizer.iterations == straight.optimizer.iterations == 12
    for key, values in history.items():
        assert values == before[key] + after[key]


def test_training_goes_on_in_another_process(tmp_path):
    straight = compiled("mlp")
    random.seed(4)
    fit(straight, 2)

    first = compiled("mlp")
    random.seed(4)
    fit(first, 1)
    first.save(tmp_path / "half.safetensors")
    script = """
import sys
from fastconv import models
from fastconv.errors import CheckpointError
from fastconv.testing.networks import inputs_for, targets_for
model = models.load_model(sys.argv[1] + "/half.safetensors")
x, y = inputs_for(model, 40)[0], targets_for(model, 40)[0]
model.fit(x, y, batch_size=16, epochs=2, initial_epoch=1, verbose=0)
model.save(sys.argv[1] + "/whole.safetensors")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
    same_weights(straight, models.load_model(tmp_path / "whole.safetensors"))


def test_steps_in_the_middle_of_an_epoch_go_on_too(tmp_path):
    def steps(model, count):
        x, y = data(model, 16)
        return [model.train_on_batch(x, y) for _ in range(count)]

    straight, first = compiled("cnn"), compiled("cnn")
    random.seed(8)
    losses = steps(straight, 6)
    random.seed(8)
    begun = steps(first, 3)
    first.save(tmp_path / "model.safetensors")
    resumed = models.load_model(tmp_path / "model.safetensors")
    assert losses == begun + steps(resumed, 3)
    same_weights(straight, resumed)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual"])
def test_two_fits_equal_one(name):
    """fit(5) twice is fit(10), given one random stream."""
    once, twice = compiled(name), compiled(name)
    random.seed(6)
    whole = fit(once, 10)
    random.seed(6)
    parts = [fit(twice, 5), fit(twice, 5)]
    same_weights(once, twice)
    assert whole["loss"] == parts[0]["loss"] + parts[1]["loss"]


def test_weights_alone(tmp_path):
    model = build("branches")
    saved = model.get_weights()
    model.save_weights(tmp_path / "weights.safetensors")
    model.set_weights([w + 1 for w in saved])
    model.load_weights(tmp_path / "weights.safetensors")
    for a, b in zip(model.get_weights(), saved, strict=True):
        np.testing.assert_array_equal(a, b)


def numbered(first=4, second=4):
    """New layers, whose names count on from those of the last call."""
    stack = [layers.Dense(first), layers.BatchNormalization(), layers.Dense(second), layers.Dense(4)]
    return models.Sequential([layers.Input((4,)), *stack])


def test_weights_of_the_same_code_built_again(tmp_path):
    """Other numbers in the layers' names: found by position."""
    path = tmp_path / "weights.safetensors"
    saved = numbered()
    for i, weight in enumerate(saved.trainable_weights):
        weight.assign(np.full(weight.shape, i, np.float32))
    saved.save_weights(path)
    model = numbered()
    assert set(model.weights_by_path()).isdisjoint(saved.weights_by_path())
    model.load_weights(path)
    same_weights(model, saved)
    named = models.Sequential([layers.Input((4,)), layers.Dense(4, name="head"), *numbered().layers[1:]])
    for other, words in ((numbered(second=5), r"dense_\d+/kernel does not fit"), (named, "10 missing")):
        before = other.get_weights()
        with pytest.raises(CheckpointError, match=words):
            other.load_weights(path)
        for old, new in zip(before, other.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_moving_statistics_and_frozen_layers_are_kept(tmp_path):
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(3, trainable=False), layers.BatchNormalization(momentum=0.5), layers.Dense(2)]
    )
    model.compile("sgd", "mse")
    frozen = model.layers[0].get_weights()
    x, y = inputs_for(model, 32)[0], targets_for(model, 32)[0]
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors")
    same_weights(model, loaded)
    assert not loaded.layers[0].trainable
    for a, b in zip(frozen, loaded.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(loaded.layers[1].get_weights()[2]).max() > 0


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    def weights(seed):
        random.seed(seed)
        return models.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2)]).get_weights()

    for a, b in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(1)[0], weights(2)[0])
