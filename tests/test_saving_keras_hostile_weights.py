"""Weights in ``.keras`` and ``.weights.h5`` files made to do harm, settings and states that are not ours: one CheckpointError
that names the file and the entry, nothing run or touched."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys

import numpy as np
import pytest

import fastconv
from fastconv.saving.keras_h5 import Entry, write_arrays
from fastconv.testing.malformed_keras import GOOD, config_of, good_weights, layer, packed, refused


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="reads and writes HDF5; pip install 'fastconv[keras]'")


def written(h5py, make) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        make(file)
    return buffer.getvalue()


def _linked(kind):
    def make(h5py, file):
        file.create_group("layers/dense/vars")
        file["layers/dense/vars/0"] = kind(h5py)

    return make


def _circle(h5py, file):
    group = file.create_group("layers/dense")
    group["again"] = file["layers"]


def _dataset(**how):
    def make(h5py, file):
        file.create_dataset("layers/dense/vars/0", **how)

    return make


def _virtual(h5py, file):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def _named_type(h5py, file):
    file["layers/dense/vars/0"] = np.dtype("f4")


WEIGHTS = {
    "a soft link": (_linked(lambda h5py: h5py.SoftLink("/elsewhere")), "link to somewhere else"),
    "an external link": (_linked(lambda h5py: h5py.ExternalLink("/etc/passwd", "/")), "link to somewhere else"),
    "a circle of groups": (_circle, "one path"),
    "external storage": (_dataset(shape=(4, 3), dtype="f4", external=[("/etc/passwd", 0, 48)]), "one piece"),
    "a virtual array": (_virtual, "one piece"),
    "a compressed bomb": (_dataset(shape=(1 << 28,), dtype="f4", chunks=(1 << 20,), compression="gzip"), "one piece"),
    "a shape without data": (_dataset(shape=(1 << 40,), dtype="f4"), "fit into the file"),
    "a scalar of text": (_dataset(data="text"), "plain numbers"),
    "a compound": (_dataset(data=np.zeros(3, "i4,f4")), "plain numbers"),
    "no shape": (_dataset(dtype="f4"), "plain numbers"),
    "a named type": (_named_type, "group or an array"),
    "nothing": (lambda h5py, file: None, "2 missing|file's weights"),
    "a wrong shape": (_dataset(data=np.ones((3, 4), np.float32)), "missing|file's weights"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights(tmp_path, h5py, name):
    make, words = WEIGHTS[name]
    data = written(h5py, lambda file: make(h5py, file))
    refused(tmp_path / "m.keras", packed(weights=data), words)
    (tmp_path / "m.keras").unlink()
    model = fastconv.Sequential([fastconv.layers.Input((4,)), fastconv.layers.Dense(3)])
    before = model.get_weights()
    refused(tmp_path / "m.weights.h5", data, words, model.load_weights)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


FIT = {
    "another shape": (
        [np.ones((3, 4), np.float32), np.zeros(3, np.float32)],
        r"layers/dense/vars/0 does not fit.*\(4, 3\)",
    ),
    "another dtype": (
        [np.ones((4, 3), np.float16), np.zeros(3, np.float32)],
        "layers/dense/vars/0 must have the dtype",
    ),
    "not finite": ([np.full((4, 3), np.nan, np.float32), np.zeros(3, np.float32)], "finite"),
    "one too few": ([np.ones((4, 3), np.float32)], "file's weights"),
    "one too many": ([np.ones((4, 3), np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)], "1 unknown"),
}


@pytest.mark.parametrize("name", FIT)
def test_weights_that_do_not_fit(tmp_path, h5py, name):
    arrays, words = FIT[name]
    refused(tmp_path / "m.keras", packed(weights=write_arrays([Entry("layers/dense", "d", arrays)])), words)


def test_a_description_of_more_than_the_file_holds(tmp_path, h5py):
    """Refused before any memory is taken for the layer."""
    huge = config_of(layer(units=1 << 30, name="d"))
    refused(tmp_path / "m.keras", packed(huge, write_arrays(good_weights())), "file's weights")


TRAINED = {
    **GOOD,
    "compile_config": {
        "optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.1}},
        "loss": "mse",
        "metrics": [],
    },
}


def trained(**changes) -> dict:
    config = copy.deepcopy(TRAINED)
    config["compile_config"].update(changes)
    return config


SETTINGS = {
    "an optimizer of a module": (
        trained(optimizer={"module": "os", "class_name": "Adam", "config": {}}),
        "keras.optimizers",
    ),
    "an unknown optimizer": (trained(optimizer="evil"), "unknown optimizer"),
    "a function for a loss": (
        trained(loss={"module": "os", "class_name": "function", "config": "system"}),
        "keras.losses",
    ),
    "an unknown loss": (trained(loss="evil"), "loss is not known"),
    "a summed loss": (
        trained(loss={"module": "keras.losses", "class_name": "MeanSquaredError", "config": {"reduction": "sum"}}),
        "reduction='sum'",
    ),
    "an unknown output": (trained(loss={"y": "mse"}), "expected outputs"),
    "no loss": (trained(loss=None), "loss must be given"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_are_not_ours(tmp_path, h5py, name):
    config, words = SETTINGS[name]
    refused(tmp_path / "m.keras", packed(config, write_arrays(good_weights())), words)
    assert not fastconv.load_model(tmp_path / "m.keras", compile=False).compiled


ONE, STEP, RATE = np.zeros((4, 3), np.float32), np.array(3, np.int32), np.array(0.1, np.float32)
STATES = {
    "too few": ([STEP, RATE, ONE], "hold 6 arrays"),
    "another shape": ([STEP, RATE, ONE, ONE, ONE, ONE], "optimizer/vars/4"),
    "a step that is none": ([RATE, RATE], "step and the learning rate"),
    "a negative step": ([np.array(-1), RATE], "step and the learning rate"),
    "a rate that is none": ([STEP, np.array(np.nan, np.float32)], "learning_rate"),
}


@pytest.mark.parametrize("name", STATES)
def test_states_that_do_not_fit(tmp_path, h5py, name):
    arrays, words = STATES[name]
    weights = write_arrays([*good_weights(), Entry("optimizer", "adam", arrays)])
    refused(tmp_path / "m.keras", packed(TRAINED, weights), words)


WATCH = """
import random, sys
import fastconv
from fastconv.errors import CheckpointError
folder, seed = sys.argv[1], int(sys.argv[2])
good = open(folder + "/good.weights.h5", "rb").read()
model = fastconv.Sequential([fastconv.layers.Input((4,)), fastconv.layers.Dense(3)])
model.load_weights(folder + "/good.weights.h5")
try:
    model.load_weights(folder + "/bad.weights.h5")  # whatever is imported to say no is imported now
except CheckpointError:
    pass
events = []
sys.addaudithook(lambda event, _: events.append(event) if event in ("import", "compile", "exec", "os.system", "subprocess.Popen") else None)
rng, refused = random.Random(seed), 0
for _ in range(int(sys.argv[3])):
    data = bytearray(good)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    open(folder + "/m.weights.h5", "wb").write(data)
    try:
        model.load_weights(folder + "/m.weights.h5")
    except CheckpointError:
        refused += 1
print(refused > 0, sorted(set(events)))
"""


def test_weights_with_random_bytes_load_or_are_refused(tmp_path, h5py):
    (tmp_path / "good.weights.h5").write_bytes(write_arrays(good_weights()))
    (tmp_path / "bad.weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WATCH, str(tmp_path), "1", "600"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (result.returncode, result.stdout.strip()) == (0, "True []"), result.stderr[-2000:]
