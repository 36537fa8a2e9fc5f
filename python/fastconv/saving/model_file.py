"""Models as files: config, weights and training state in one archive; layers come back from a fixed list of classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import layers, losses, optimizers, random
from fastconv._arguments import boolean
from fastconv.errors import CheckpointError
from fastconv.layers._sizes import weights_within
from fastconv.saving.archive import Archive, load_archive, save_archive
from fastconv.saving.paths import checked_path

__all__ = [
    "BAD_CONFIG",
    "assign_weights",
    "layer_config",
    "layer_from_config",
    "load_model",
    "load_weights",
    "model_from_config",
    "own_names",
    "save_model",
    "save_weights",
    "slot_arrays",
]


# What a constructor may say to a config that is not its own; anything else is a bug of ours.
BAD_CONFIG = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def _classes(custom_objects: dict[str, Any] | None) -> dict[str, Any]:
    """Every class a file may name: fastconv's own layers and models, and what the caller passes in by hand."""
    from fastconv.models.functional import Model
    from fastconv.models.sequential import Sequential

    known = {name: getattr(layers, name) for name in layers.__all__}
    known = {name: c for name, c in known.items() if isinstance(c, type) and issubclass(c, layers.Layer)}
    del known["Lambda"]  # is code, which no file holds
    return {**known, "Sequential": Sequential, "Model": Model, **(custom_objects or {})}


def _keras_file() -> Any:
    """The part that knows Keras's files."""
    from fastconv.saving import keras_file as module  # not at the top: it builds on this module

    return module


def _model_class() -> type:
    from fastconv.models.functional import Model  # not at the top: models import this module

    return Model


def layer_config(layer: Any) -> dict[str, Any]:
    """``{"class": name, "config": …}`` of a layer or model."""
    return {"class": type(layer).__name__, "config": layer.get_config()}


def layer_from_config(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer or model that :func:`layer_config` describes, with new weights.

    Raises:
        CheckpointError: for a class nobody registered, or arguments it does not take.
    """
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise CheckpointError(
            f"[load] a layer must have a class and a config: expected a dict of both, got {type(config).__name__}. Load a file "
            "that model.save wrote."
        )
    name = config.get("class")
    cls = _classes(custom_objects).get(name) if isinstance(name, str) else None
    if cls is None:
        raise CheckpointError(
            f"[load] unknown layer class: expected one of fastconv.layers, got {name!r}. Pass your own layers in "
            "custom_objects={name: class}."
        )
    try:
        if name in ("Sequential", "Model"):
            return cls.from_config(config["config"], custom_objects)
        return cls.from_config(config["config"])
    except CheckpointError:
        raise
    except BAD_CONFIG as error:
        raise CheckpointError(
            f"[load] {name} cannot be made from its config: expected the constructor's arguments, got {error!r}. Load an "
            "undamaged file."
        ) from error


def model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A model from the dict that ``{"class": …, "config": model.get_config()}`` is."""
    return layer_from_config(config, custom_objects)


def slot_arrays(model: Any) -> dict[str, np.ndarray]:
    """The arrays of the optimizer's state by "path of the weight/name of the slot"."""
    state = model._optimizer_state
    if state is None:
        return {}
    paths = {variable: path for path, variable in model.weights_by_path().items()}
    return {
        f"{paths[variable]}/{name}": slot.array
        for variable, slots in state.slots.items()
        if variable in paths
        for name, slot in slots.items()
    }


def _checked_name(path: Any) -> str:
    """The name of a file to write; ValueError for one that says it is a whole model of Keras 2."""
    name = checked_path(path, "save")
    if name.endswith((".h5", ".hdf5")) and not name.endswith(".weights.h5"):
        raise ValueError(
            f"[save] models are not written as HDF5: expected a name that ends in .safetensors or .keras, or .weights.h5 for weights "
            f"alone, got {name!r}. Rename the file."
        )
    return name


def save_model(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Writes a model to one file, atomically: a crash leaves the old file or the new one.

    Args:
        model: built; compiled or not.
        path: usually ends in ``.safetensors``. ``.keras`` writes a file that Keras 3 opens, with the optimizer's state and
            without the random state; it needs h5py, the extra ``keras``.
        include_optimizer: also the optimizer, its state and the random state, so that training resumes bit for bit.

    Raises:
        ValueError: for ``.keras``, if the model holds what Keras does not have; the message lists it all. OSError: if the file
            cannot be written.
    """
    if not model.built:
        raise RuntimeError(
            "[save] the model has no weights yet: expected a built model, got no input shape. Add layers.Input, or call it on data."
        )
    name = _checked_name(path)
    if name.endswith(".keras"):
        _keras_file().save_keras(model, path, include_optimizer)
        return
    config = layer_config(model)
    optimizer = progress = None
    slots: dict[str, np.ndarray] = {}
    if boolean("save", "include_optimizer", include_optimizer) and model.compiled:
        config["compile"] = {
            "loss": [None if loss is None else losses.serialize(loss) for loss in model._losses],
            "loss_weights": model._loss_weights,
            "metrics": model._meters.plain.config(),
            "weighted_metrics": model._meters.weighted.config(),
        }
        optimizer = {**optimizers.serialize(model.optimizer), **model.optimizer.state()}
        slots = slot_arrays(model)
        progress = {"random": list(random.get_state())}
    weights = {name: w.array for name, w in model.weights_by_path().items()}
    save_archive(path, Archive(config, weights, optimizer, slots, progress))


def load_model(path: Any, custom_objects: dict[str, Any] | None = None, compile: bool = True) -> Any:
    """Reads a model that :func:`save_model` wrote, or Keras 3 as ``.keras``. Nothing in the file is ever run.

    Args:
        path: the file; one whose name ends in ``.keras`` is read as Keras's (needs h5py, the extra ``keras``).
        custom_objects: classes of your own layers by name.
        compile: also bring back loss, optimizer and its state, and the random state of the moment of saving.

    Raises:
        CheckpointError: for a file that is malformed, damaged, too new, or neither fastconv's nor Keras's; or one of Keras's
            whose model uses what fastconv does not have: the message lists it all. OSError: if it cannot be read.
    """
    name = checked_path(path, "load")
    if name.endswith(".keras"):
        return _keras_file().load_keras(name, custom_objects, compile)
    archive = load_archive(path)
    if not archive.config:
        raise CheckpointError(
            "[load] a model file must say how the model is built: expected a config, got weights alone. Build the model and use "
            "model.load_weights(path)."
        )
    with weights_within(sum(array.size for array in archive.weights.values())):
        model = layer_from_config(archive.config, custom_objects)
    if not isinstance(model, _model_class()):
        raise CheckpointError(
            f"[load] the file must hold a model: expected Sequential or Model, got {type(model).__name__}. Save a whole model."
        )
    assign_weights(model, archive.weights)
    settings = archive.config.get("compile")
    if compile and settings is not None and archive.optimizer is not None:
        try:
            _restore_training(model, settings, archive)
        except CheckpointError:
            raise
        except BAD_CONFIG as error:
            raise CheckpointError(
                f"[load] the training state does not fit the model: expected what model.save wrote, got {error!r}. Load with "
                "compile=False."
            ) from error
    return model


def _restore_training(model: Any, settings: dict[str, Any], archive: Archive) -> None:
    saved = dict(archive.optimizer or {})
    described = {name: saved.pop(name) for name in ("class_name", "config") if name in saved}
    model.compile(
        optimizer=optimizers.get(described),
        loss=settings["loss"],
        metrics=settings["metrics"],
        weighted_metrics=settings.get("weighted_metrics"),  # files of earlier versions have none
        loss_weights=settings["loss_weights"],
        auto_scale_loss=False,  # the optimizer is what it was
    )
    model.optimizer.set_state(saved)
    weights = model.weights_by_path()
    for name, array in archive.slots.items():
        path, _, slot_name = name.rpartition("/")
        if path not in weights or slot_name not in model._optimizer_state.slot_names(weights[path]):
            raise CheckpointError(
                f"[load] the optimizer's state must belong to a weight: expected one of the model's, got {name!r}. Load with "
                "compile=False."
            )
        model._optimizer_state.slot(weights[path], slot_name).assign(array)
    if archive.progress and "random" in archive.progress:
        random.set_state(tuple(archive.progress["random"]))


def assign_weights(model: Any, arrays: dict[str, np.ndarray]) -> None:
    """Overwrites every weight by path, or none."""
    variables = model.weights_by_path()
    missing, extra = sorted(set(variables) - set(arrays)), sorted(set(arrays) - set(variables))
    if missing or extra:
        raise CheckpointError(
            f"[load] the file's weights must be the model's: expected {len(variables)} of its names, got {len(missing)} missing "
            f"({', '.join(missing[:3])}) and {len(extra)} unknown ({', '.join(extra[:3])}). Load it into a model of the same "
            "architecture."
        )
    checked = {}
    for name, variable in variables.items():
        if arrays[name].dtype != np.dtype(variable.dtype):
            raise CheckpointError(
                f"[load] {name} has another dtype: expected {variable.dtype}, got {arrays[name].dtype}. Load it into a model of the "
                "same dtype."
            )
        try:
            checked[name] = variable.checked(arrays[name])
        except ValueError as error:
            raise CheckpointError(
                f"[load] {name} does not fit the model, {str(error).removeprefix('[assign] ')}"
            ) from error
    for name, array in checked.items():
        variables[name].array[...] = array


def save_weights(model: Any, path: Any) -> None:
    """Writes the weights alone, atomically; ``.weights.h5`` as Keras 3 does."""
    if _checked_name(path).endswith(".weights.h5"):
        _keras_file().save_keras_weights(model, path)
        return
    save_archive(path, Archive({}, {name: w.array for name, w in model.weights_by_path().items()}))


def load_weights(model: Any, path: Any) -> None:
    """Reads weights into a model, by path or else by position; all of them fit, or none is changed.

    From ``.weights.h5`` and ``.keras`` files by kind and position, as Keras does.
    """
    name = checked_path(path, "load")
    if name.endswith((".weights.h5", ".keras")):
        _keras_file().load_keras_weights(model, name)
        return
    arrays = load_archive(path).weights
    names = own_names(model, arrays)
    assign_weights(model, {names[saved]: array for saved, array in arrays.items()})


def own_names(model: Any, saved: Iterable[str]) -> dict[str, str]:
    """The model's path for each path of a file: the same, or, where only the numbers of layers differ, by position."""
    given, own = list(saved), list(model.weights_by_path())
    if set(own) != set(given) and [_unnumbered(n) for n in own] == [_unnumbered(n) for n in given]:
        return dict(zip(given, own, strict=True))
    return {name: name for name in given}


def _unnumbered(path: str) -> str:
    """The path without the numbers that tell layers of one kind apart: "dense_1/kernel" is "dense/kernel"."""
    *layers, weight = path.split("/")
    return "/".join([*(re.sub(r"_\d+$", "", layer) for layer in layers), weight])
