"""The readers of models: our files and backups, PyTorch's weights, Keras's files, ONNX."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import formats
import h5py
import numpy as np
import onnx
from watch import Reader

import fastconv
from fastconv import callbacks, layers, models, optimizers
from fastconv.errors import CheckpointError
from fastconv.models.position import Position
from fastconv.saving import load_torch_weights, save_torch_weights
from fastconv.testing import networks, single_layers

__all__ = ["READERS", "WORDS"]

_MODEL, _BACKUP, _TORCH = "m.safetensors", "latest.safetensors", "t.safetensors"
_ARCHIVE = b'"archive":'  # beside the tensors, which is all that PyTorch writes
_NO_MODEL = b'"archive":"{\\"config\\":{}'  # does not say how the model is built
_FOR_KERAS = ("mlp", "cnn", "residual", "recurrent", "separable")
_FOR_ONNX = ("mlp", "cnn", "residual", "recurrent", "upsampling", "activations", "joins")
_COMPILED: list[dict[str, Any]] = [
    {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]},
    {"optimizer": optimizers.SGD(0.1, momentum=0.9, nesterov=True, use_ema=True), "loss": "huber"},
    {"optimizer": optimizers.RMSprop(optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)), "loss": "categorical_crossentropy", "metrics": ["accuracy"]},
    {"optimizer": optimizers.AdamW(0.01, clipnorm=1.0), "loss": fastconv.losses.CategoricalCrossentropy(label_smoothing=0.1)},
    {"optimizer": "ftrl", "loss": "mae", "weighted_metrics": ["mse"]},
]  # fmt: skip


def _small() -> Any:
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, name="head")])
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    return model


def _trained(name: str, number: int) -> Any:
    """A network after one step, each with another optimizer and loss."""
    model = networks.build(name)
    settings = _COMPILED[number % len(_COMPILED)]
    given = settings["optimizer"]
    fresh = given if isinstance(given, str) else type(given).from_config(given.get_config())
    model.compile(**{**settings, "optimizer": fresh})
    x, y = networks.inputs_for(model, 2), networks.targets_for(model, 2)
    model.fit(x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], verbose=0)
    return model


def _written(write: Callable[[Path], Any], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


# Ours.


@cache
def _models() -> list[bytes]:
    return [_written(_trained(name, i).save, _MODEL) for i, name in enumerate(networks.NETWORKS)]


def _ours_name(data: bytes) -> str:
    if _ARCHIVE not in data:
        return _TORCH
    return _BACKUP if _NO_MODEL in data else _MODEL


def _backups() -> list[bytes]:
    def write(folder: Path, save_freq: Any) -> None:
        model = _small()
        kept = callbacks.BackupAndRestore(folder, save_freq=save_freq, delete_checkpoint=False)
        model.fit(np.ones((4, 4)), np.ones((4, 3)), batch_size=1, epochs=2, verbose=0, callbacks=[kept])

    found = []
    for save_freq in ("epoch", 3):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), save_freq)
            found.append((Path(folder) / "latest.safetensors").read_bytes())
    return found


def _prepare_ours(folder: Path) -> Callable[[], None]:
    model, network = _small(), networks.build("cnn")

    def read() -> None:
        if (folder / _MODEL).exists():
            fastconv.load_model(folder / _MODEL)
            return
        if (folder / _TORCH).exists():
            load_torch_weights(network, folder / _TORCH)
            return
        callback = callbacks.BackupAndRestore(folder)
        callback.set_model(model)
        callback.set_params({"epochs": 3})
        model.position = Position(model, [callback, callbacks.History()], None, None)
        try:
            callback._go_on(callback._archive())  # what on_train_begin does with the folder to itself
            point = model.resume_from
            assert all(type(n) is int and n >= 0 for n in (point.epoch, point.batch, *fastconv.random.get_state())), (
                point
            )
        finally:
            model.resume_from = model.position = None

    return read


def _torch() -> list[bytes]:
    return [_written(partial(save_torch_weights, networks.build("cnn")), _MODEL)]


# Keras's.


@cache
def _keras() -> list[bytes]:
    return [_written(_trained(name, i).save, "m.keras") for i, name in enumerate(_FOR_KERAS)]


def _keras_weights() -> list[bytes]:
    return [_written(networks.build("cnn").save_weights, "m.weights.h5")]


def _keras_name(data: bytes) -> str:
    return "m.keras" if data[:2] == b"PK" else "m.weights.h5"


def _prepare_keras(folder: Path) -> Callable[[], None]:
    model = networks.build("cnn")

    def read() -> None:
        if (folder / "m.keras").exists():
            fastconv.load_model(folder / "m.keras")
        else:
            model.load_weights(folder / "m.weights.h5")

    return read


def _change_keras(data: bytes, mutation: Any) -> bytes:
    return (formats.zipped(_keras_part, 0.1) if data[:2] == b"PK" else _hdf5)(data, mutation)


def _keras_part(name: str) -> formats.Change:
    if name.endswith(".json"):
        return lambda data, mutation: mutation.of_json_text(data.decode("latin-1")).encode("latin-1", "replace")
    return _hdf5


def _hdf5(data: bytes, mutation: Any) -> bytes:
    """Bytes of the file (this kind of HDF5 has no checksums), or the file made anew with an array of another kind."""
    if mutation.chance(0.7):
        return mutation.of_bytes(data)
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        arrays: list[str] = []
        file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
        name = mutation.random.choice(arrays)
        array = file[name][()]
        del file[name]
        mutation.random.choice(_OTHER_ARRAYS)(file, name, array)
    return buffer.getvalue()


_OTHER_ARRAYS: list[Callable[[Any, str, Any], Any]] = [
    lambda file, name, a: file.create_dataset(name, data=a.astype("f8")),
    lambda file, name, a: file.create_dataset(name, data=a.astype(">i2")),
    lambda file, name, a: file.create_dataset(name, data=a.reshape(-1)),
    lambda file, name, a: file.create_dataset(name, data=a[None]),
    lambda file, name, a: file.create_dataset(name, data=np.zeros(0, "f4")),
    lambda file, name, a: file.create_dataset(name, shape=(2**20, 2**20), dtype="f4"),
    lambda file, name, a: file.create_dataset(name, data=a, chunks=True, maxshape=(None,) * a.ndim),
    lambda file, name, a: file.create_dataset(name, data=a, compression="gzip"),
    lambda file, name, a: file.create_dataset(name, data=a, dtype=h5py.string_dtype()) if a.dtype.kind == "O" else None,
    lambda file, name, a: file.create_dataset(name, data=np.array(["x"], h5py.string_dtype())),
    lambda file, name, a: file.create_dataset(name, data=np.zeros(3, [("a", "f4"), ("b", "i8")])),
    lambda file, name, a: file.create_dataset(name, data=np.zeros(3, "c8")),
    lambda file, name, a: file.create_dataset(name, data=h5py.Empty("f4")),
    lambda file, name, a: file.create_dataset(name, shape=(4,), dtype="f4", external=[("/etc/passwd", 0, 16)]),
    lambda file, name, a: file.create_dataset(name, data=np.zeros(2, h5py.enum_dtype({"A": 0}, "i1"))),
    lambda file, name, a: file.create_virtual_dataset(name, h5py.VirtualLayout((4,), "f4")),
    lambda file, name, a: file.__setitem__(name, h5py.SoftLink("/")),
    lambda file, name, a: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/")),
    lambda file, name, a: file.__setitem__(name, file["/"]),
    lambda file, name, a: file.__setitem__(name, np.dtype("f4")),
    lambda file, name, a: file.create_group(name),
]


# ONNX.


def _onnx() -> list[bytes]:
    built = [networks.build(name) for name in _FOR_ONNX]
    built += [single_layers.build(name) for name in single_layers.LAYERS if not name.startswith("transposed ")]
    found = []
    for model in built:
        try:
            data = fastconv.onnx.to_proto(model).SerializeToString()
        except fastconv.onnx.UnsupportedNode:
            continue
        if len(data) < 1 << 15:
            found.append(data)
    return found


def _prepare_onnx(folder: Path) -> Callable[[], None]:
    return lambda: fastconv.onnx.load(folder / "m.onnx")


def _words() -> list[Any]:
    """What the descriptions of the seeds say, and the names of everything."""
    from mutate import values_in

    texts = [json.loads(formats.split(data)[0]["__metadata__"]["archive"]) for data in _models()]
    for data in _keras():
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts.append(json.loads(archive.read("config.json")))
    found = {json.dumps(v): v for text in texts for v in values_in(text) if len(json.dumps(v)) < 200}
    names = [
        *layers.__all__,
        *optimizers.__all__,
        *fastconv.losses.__all__,
        *fastconv.metrics.__all__,
        "float64",
        "int64",
    ]
    return [*found.values(), *names, *sorted({schema.name for schema in onnx.defs.get_all_schemas()})]


WORDS = _words
_REFUSED = (CheckpointError,)
_ALWAYS_UNPACKED = 24 << 20  # what keras_zip lets an archive unpack to, however small it is

READERS = {
    "model": Reader("our containers: load_model, BackupAndRestore, load_torch_weights", _ours_name, _prepare_ours, lambda: [*_models(), *_backups(), *_torch()], formats.inside(formats.container), _REFUSED),
    "keras": Reader("Keras's models and weights: load_model(*.keras), load_weights(*.weights.h5)", _keras_name, _prepare_keras, lambda: [*_keras(), *_keras_weights()], formats.inside(_change_keras), _REFUSED, memory=(64 << 20) + 2 * _ALWAYS_UNPACKED),
    "onnx": Reader("ONNX files: fastconv.onnx.load", lambda data: "m.onnx", _prepare_onnx, _onnx, formats.inside(formats.protobuf(onnx.ModelProto)), (CheckpointError, fastconv.onnx.UnsupportedNode), memory=64 << 20),
}  # fmt: skip
