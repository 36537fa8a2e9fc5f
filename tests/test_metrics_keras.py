"""Metrics beside Keras's: values of batches, with and without weights, and configurations."""

import os

import numpy as np
import pytest

from fastconv import metrics
from fastconv.saving import keras_training
from fastconv.testing.metric_cases import CASES


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments", "data"), CASES)
def test_values_equal_kerass(name, arguments, data, weighted, generator):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for n in (5, 32):
        y_true, y_pred = data(generator, n)
        weight = generator.random(n).astype("float32") if weighted else None
        ours.update_state(y_true, y_pred, weight)
        theirs.update_state(y_true, y_pred, sample_weight=weight)
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), atol=2e-6, rtol=1e-5)


CONFIGS = [case[:2] for case in CASES if "label_weights" not in case[1]]  # Keras puts tensors into that config


@pytest.mark.parametrize(("name", "arguments"), CONFIGS)
def test_configs_are_kerass(name, arguments):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")
    keras.backend.clear_session()  # or names get numbers
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    assert ours.name == theirs.name
    again = getattr(keras.metrics, name).from_config(ours.get_config())
    assert again.get_config() == theirs.get_config()
    twin = keras_training._metric(keras.metrics.serialize(theirs))
    assert {**twin.get_config(), "dtype": None} == {**ours.get_config(), "dtype": None}
