"""Files of every version of our formats load, predict what they did, and train on: tests/golden/VERSION, written by
tests/golden/make.py when that version was the newest. Such a file is never written again; a new version adds its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import callbacks, layers, models, optimizers
from fastconv.saving.header import FORMAT_VERSION

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(p.name for p in GOLDEN.iterdir() if (p / "expected.json").exists())
X = np.linspace(-1, 1, 4 * 6 * 6, dtype=np.float32).reshape(4, 6, 6, 1)
Y = np.array([0, 1, 2, 1])
BOUND = {"rtol": 1e-4, "atol": 1e-6}  # another machine has other instructions


def expected(version):
    return json.loads((GOLDEN / version / "expected.json").read_text("utf-8"))


def next_losses(model, steps):
    fitted = [model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0) for _ in range(steps)]
    return [fit.history["loss"][0] for fit in fitted]


def test_the_present_version_has_files():
    assert ".".join(map(str, FORMAT_VERSION)) in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["model.safetensors", "model.keras"])
def test_a_model_predicts_and_trains_on(version, name):
    if name.endswith(".keras"):
        pytest.importorskip("h5py", reason="Keras's files; pip install 'fastconv[keras]'")
    model = fastconv.load_model(GOLDEN / version / name)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected(version)["predictions"], **BOUND)
    assert type(model.optimizer) is optimizers.Adam and model.optimizer.iterations == 2
    np.testing.assert_allclose(next_losses(model, 2), expected(version)["next_losses"], **BOUND)


@pytest.mark.parametrize("version", VERSIONS)
def test_weights_and_onnx_predict(version):
    pytest.importorskip("h5py", reason="Keras's files; pip install 'fastconv[keras]'")
    pytest.importorskip("onnx", reason="ONNX files; pip install 'fastconv[onnx]'")
    model = fastconv.load_model(GOLDEN / version / "model.safetensors", compile=False)
    model.set_weights([w * 0 for w in model.get_weights()])
    model.load_weights(GOLDEN / version / "model.keras")
    for loaded in (model, fastconv.onnx.load(GOLDEN / version / "model.onnx")):
        np.testing.assert_allclose(loaded.predict(X, verbose=0), expected(version)["predictions"], **BOUND)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_backup_is_gone_on_from(tmp_path, version):
    shutil.copy(GOLDEN / version / "latest.safetensors", tmp_path)
    parts = [
        layers.Input((6, 6, 1)),
        layers.Conv2D(2, 3, activation="relu", name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(3, activation="softmax", name="head"),
    ]
    model = models.Sequential(parts)
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    kept = callbacks.BackupAndRestore(tmp_path)
    history = model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[kept]).history
    np.testing.assert_allclose(history["loss"], expected(version)["next_losses"], **BOUND)
