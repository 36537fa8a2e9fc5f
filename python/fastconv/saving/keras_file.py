"""Keras 3's own files: ``.keras`` (a model with its training state) and ``.weights.h5`` (weights).

Source: https://keras.io/guides/serialization_and_saving.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv.errors import CheckpointError
from fastconv.layers import Layer
from fastconv.layers._sizes import weights_within
from fastconv.saving import json_text, keras_training
from fastconv.saving.archive import check_layer_count
from fastconv.saving.atomic import atomic_write
from fastconv.saving.container import open_regular
from fastconv.saving.header import library_version, object_budget
from fastconv.saving.keras_h5 import Entry, read_arrays, write_arrays
from fastconv.saving.keras_names import file_kind, weight_groups
from fastconv.saving.keras_read import ConfigReader
from fastconv.saving.keras_write import write_model
from fastconv.saving.keras_zip import CONFIG, METADATA, WEIGHTS, read_entries, write_entries
from fastconv.saving.malformed import Malformed, checkpoint_errors
from fastconv.saving.model_file import BAD_CONFIG, layer_from_config

__all__ = ["load_keras", "load_keras_weights", "save_keras", "save_keras_weights"]

_WRITTEN_AS = "3.15.1"  # the version of Keras whose files these are

_WAY_OUT = "Load an undamaged file written by Keras 3."


def save_keras(model: Any, path: Any, include_optimizer: bool) -> None:
    """Write a ``.keras`` file that Keras 3 opens; see :func:`fastconv.saving.model_file.save_model`.

    Raises:
        ValueError: for layers, losses and metrics that Keras does not have. ImportError: without h5py.
    """
    config, entries = write_model(model), list(_entries(model))
    if include_optimizer and model.compiled:
        config["compile_config"] = keras_training.write_compile(model)
        entries.append(Entry("optimizer", model.optimizer.name, keras_training.write_state(model)))
    metadata = {"keras_version": _WRITTEN_AS, "fastconv_version": library_version()}
    parts = {METADATA: metadata, CONFIG: config}
    texts = {name: json_text.dumps(part, name).encode() for name, part in parts.items()}
    write_entries(path, {**texts, WEIGHTS: write_arrays(entries)})


def load_keras(path: str, custom_objects: dict[str, Any] | None, compile: bool) -> Any:
    """Read a ``.keras`` file; see :func:`fastconv.saving.model_file.load_model`."""
    with checkpoint_errors("load", path, _WAY_OUT):
        parts = read_entries(path)
        config = _json(parts[CONFIG], CONFIG, len(parts[WEIGHTS]))
        check_layer_count(config)
        described = ConfigReader(custom_objects).read(config)
        arrays = read_arrays(parts.pop(WEIGHTS))
        with weights_within(sum(array.size for array in arrays.values())):
            model = layer_from_config(described, custom_objects)
        _assign(model, arrays)
        settings = config.get("compile_config")
        if compile and isinstance(settings, dict) and settings:
            _restore_training(model, settings, arrays)
    return model


def save_keras_weights(model: Any, path: Any) -> None:
    """Write a ``.weights.h5`` file that Keras 3 loads into the same model."""
    data = write_arrays(_entries(model))
    with atomic_write(path) as file:
        file.write(data)


def load_keras_weights(model: Any, path: str) -> None:
    """Read weights from a ``.weights.h5`` or ``.keras`` file; all of them fit, or none is changed."""
    with checkpoint_errors("load", path, _WAY_OUT):
        if path.endswith(".keras"):
            data = read_entries(path)[WEIGHTS]
        else:
            with open_regular(path) as file:
                data = file.read()
        _assign(model, read_arrays(data))


def _json(data: bytes, name: str, data_size: int) -> dict[str, Any]:
    value = json_text.loads(data.decode("latin-1"), name, object_budget(data_size))
    if not isinstance(value, dict):
        raise Malformed(f"{name} must be a JSON object: got {type(value).__name__}")
    return value


def _layers(model: Any, path: str = "") -> Iterator[tuple[str, Layer]]:
    """A model and its layers by their paths in a weight file: kinds in snake case, numbered within their model."""
    yield path, model
    counts: Counter[str] = Counter()
    for layer in model.layers if hasattr(model, "layers") else ():
        kind = file_kind(layer)
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        yield from _layers(layer, f"{path}/layers/{name}".removeprefix("/"))


def _entries(model: Any) -> Iterator[Entry]:
    for path, layer in _layers(model):
        if hasattr(layer, "layers"):
            yield Entry(path, layer.name, [])
            continue
        for group, inner, weights in weight_groups(layer, path):
            yield Entry(group, inner.name, [w.array for w in weights])


def _assign(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Overwrites every weight, or none."""
    places = {
        f"{group}/vars/{i}": variable
        for path, layer in _layers(model)
        if not hasattr(layer, "layers")
        for group, _, weights in weight_groups(layer, path)
        for i, variable in enumerate(weights)
    }
    given = {path for path in arrays if path.startswith("layers/") and "/seed_generator/" not in path}
    missing, extra = sorted(set(places) - given), sorted(given - set(places))
    if missing or extra:
        raise Malformed(
            f"{WEIGHTS} must hold the weights of the model: expected {len(places)} arrays, got {len(missing)} missing "
            f"({', '.join(missing[:3])}) and {len(extra)} unknown ({', '.join(extra[:3])[:300]})"
        )
    checked = {}
    for path, variable in places.items():
        counts = arrays[path].dtype.kind == "i" and variable.name == "count"  # of Normalization, an int in Keras
        if arrays[path].dtype != np.dtype(variable.dtype) and not counts:
            raise Malformed(
                f"{path} must have the dtype of its weight: expected {variable.dtype}, got {arrays[path].dtype}"
            )
        try:
            checked[path] = variable.checked(arrays[path])
        except ValueError as error:
            raise Malformed(f"{path} does not fit the model, {str(error).removeprefix('[assign] ')}") from None
    for path, array in checked.items():
        places[path].array[...] = array


def _restore_training(model: Any, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    try:
        names = [tensor.layer.name for tensor in model.outputs]
        model.compile(**keras_training.read_compile(settings, names))
        keras_training.check_optimizer("load", model.optimizer)
    except BAD_CONFIG as error:
        raise CheckpointError(
            f"[load] the training settings are not fastconv's: expected its optimizers, losses and metrics, got: {str(error)[:400]} "
            "Load with compile=False, and compile again."
        ) from None
    count = sum(path.startswith("optimizer/vars/") for path in arrays)
    paths = [f"optimizer/vars/{i}" for i in range(count)]
    if not set(paths) <= set(arrays):
        raise Malformed(f"{WEIGHTS} must number the optimizer's arrays: expected {', '.join(paths)[:200]}")
    if paths:
        keras_training.read_state(model, [arrays[path] for path in paths])
