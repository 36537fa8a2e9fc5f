"""Callbacks beside Keras's own, given the same logs: the same rates, the same end, the same table."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import callbacks, layers, models, optimizers

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="Keras is not installed; compared where it is")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras's own

# No NaN: if the first value is one, nothing is ever better in Keras, and any number is here.
values = st.lists(st.sampled_from([0.5, 0.9, 1.0, 1.00005, 1.1, 2.0]), min_size=2, max_size=14)


def model_of(library, rate=0.1):
    model = library.Sequential([library.layers.Input((1,)), library.layers.Dense(1)])
    model.compile(library.optimizers.SGD(rate), "mse")
    return model


class Ours:
    Sequential, layers, optimizers, callbacks = models.Sequential, layers, optimizers, callbacks


MODELS = [model_of(library) for library in (Ours, keras)]


def run(index, make, losses):
    """Rates after, and the number of, the epochs that a training with these losses has."""
    library, model = (Ours, keras)[index], MODELS[index]
    model.optimizer.learning_rate = 0.1
    model.stop_training = False
    callback = make(library.callbacks)
    callback.set_model(model)
    callback.set_params({"epochs": len(losses), "steps": 1, "verbose": 0})
    callback.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": loss, "accuracy": -loss})
        rates.append(float(np.asarray(model.optimizer.learning_rate)))
        if model.stop_training:
            break
    callback.on_train_end()
    return rates


def same(make, losses):
    np.testing.assert_allclose(run(0, make, losses), run(1, make, losses), rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(values, st.integers(1, 3), st.integers(0, 2), st.sampled_from([0.0, 0.03]), st.sampled_from([1e-4, 0.15]))
def test_reduce_on_plateau(losses, patience, cooldown, least, delta):
    same(
        lambda c: c.ReduceLROnPlateau(
            "loss", factor=0.5, patience=patience, cooldown=cooldown, min_lr=least, min_delta=delta, mode="min"
        ),
        losses,
    )


@settings(max_examples=60, deadline=None)
@given(values, st.integers(0, 3), st.integers(0, 3), st.sampled_from([None, 0.95]), st.sampled_from([0, 0.15]))
def test_early_stopping(losses, patience, start, baseline, delta):
    same(
        lambda c: c.EarlyStopping(
            "loss", patience=patience, start_from_epoch=start, baseline=baseline, min_delta=delta, mode="min"
        ),
        losses,
    )


@pytest.mark.parametrize("schedule", [lambda epoch: 0.1 / (epoch + 1), lambda epoch, rate: rate * 0.7])
def test_scheduler(schedule):
    same(lambda c: c.LearningRateScheduler(schedule), [1.0] * 5)


def test_tables(tmp_path):
    logs = [{"loss": 1.5, "accuracy": 0.25}, {"loss": 1.25, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.125}]
    texts = []
    for name, library in (("ours", callbacks), ("keras", keras.callbacks)):
        for append in (False, True):
            logger = library.CSVLogger(str(tmp_path / name), separator=";", append=append)
            logger.set_model(MODELS[0] if name == "ours" else MODELS[1])
            logger.on_train_begin()
            for epoch, row in enumerate(logs):
                logger.on_epoch_end(epoch, row)
            logger.on_train_end()
        texts.append((tmp_path / name).read_text().split())
    assert texts[0] == texts[1]
