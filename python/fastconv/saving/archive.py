"""One file for a model or a checkpoint: weights, how the model is built, and where its training stands.

Arrays are tensors of the container, ``weights/NAME``, ``optimizer/NAME`` and ``training/NAME``; everything else is JSON in its
metadata.
An archive is data only: which layer a config's class name means is decided by whoever rebuilds the model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.saving import json_text
from fastconv.saving.container import read_container
from fastconv.saving.header import object_budget
from fastconv.saving.malformed import Malformed, checkpoint_errors
from fastconv.saving.writer import write_container

__all__ = ["MAX_LAYERS", "Archive", "check_layer_count", "load_archive", "save_archive"]

MAX_LAYERS = 10_000
_JSON_KEY = "archive"
_PARTS = ("config", "optimizer", "progress")
_WEIGHTS, _SLOTS, _ARRAYS = "weights/", "optimizer/", "training/"


@dataclass(eq=False)
class Archive:
    """The contents of a model file or checkpoint.

    Dicts may hold None, bool, int (128 bits), float, str, lists, and dicts with str keys; tuples come back as
    lists, NumPy scalars as Python's. Floats keep their bits; NaN and infinities are allowed.

    Attributes:
        config: how to build the model; its lists under ``"layers"`` have up to ``MAX_LAYERS`` items together.
        weights: name to array, in the model's order.
        optimizer: its config and iterations, or None for an uncompiled model.
        slots: the optimizer's arrays (momenta, …) by name.
        progress: epoch, batch, history, random state, or None outside training.
        arrays: what belongs to the progress and is too large for JSON, by name.
    """

    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    optimizer: dict[str, Any] | None = None
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    progress: dict[str, Any] | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_archive(path: str | os.PathLike[str], archive: Archive) -> None:
    """Write ``archive`` to ``path`` as one file, atomically: a crash leaves the old file or the new one.

    Args:
        path: the file; the usual ending is ``.safetensors``.
        archive: what to save; it is not changed.

    Raises:
        TypeError: a value or dtype cannot be stored, or ``path`` is not a path.
        ValueError: more than a reader would accept (``MAX_LAYERS``, depth, size).
        OSError: the file cannot be written; the old one is intact.

    Example:
        >>> import numpy as np, os, tempfile
        >>> from fastconv.saving import Archive, load_archive, save_archive
        >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        >>> save_archive(path, Archive({"layers": []}, {"dense/kernel": np.eye(2)}))
        >>> load_archive(path).weights["dense/kernel"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    parts = {name: getattr(archive, name) for name in _PARTS}
    tensors = {_WEIGHTS + name: array for name, array in archive.weights.items()}
    tensors |= {_SLOTS + name: array for name, array in archive.slots.items()}
    tensors |= {_ARRAYS + name: array for name, array in archive.arrays.items()}
    data_size = sum(getattr(array, "nbytes", 0) for array in tensors.values())
    try:
        text = json_text.dumps(parts, "archive")
        # What no reader would take is not written.
        _check_parts(json_text.loads(text, "archive", object_budget(data_size)))
    except Malformed as error:
        raise ValueError(f"[save] {error}. Save a smaller config or history.") from None
    write_container(path, tensors, {_JSON_KEY: text})


def load_archive(path: str | os.PathLike[str]) -> Archive:
    """Read an archive that :func:`save_archive` wrote; nothing in the file is ever run.

    Args:
        path: name of a regular file; symbolic links are followed.

    Returns:
        The archive, every array bit for bit as it was saved.

    Raises:
        CheckpointError: the file is malformed, damaged, of a newer format, or not a fastconv file.
        OSError: the file is missing or cannot be read.
        TypeError: ``path`` is not a path.
    """
    tensors, metadata = read_container(path)
    with checkpoint_errors("load", os.fsdecode(path)):
        if _JSON_KEY not in metadata:
            raise Malformed(f"metadata must hold {_JSON_KEY!r}: got {str(sorted(metadata))[:200]}")
        budget = object_budget(sum(array.nbytes for array in tensors.values()))
        parts = json_text.loads(metadata[_JSON_KEY], "archive", budget)
        _check_parts(parts)
        weights, slots, arrays = _split(tensors)
        return Archive(parts["config"], weights, parts["optimizer"], slots, parts["progress"], arrays)


def _check_parts(parts: Any) -> None:
    if not isinstance(parts, dict) or not set(_PARTS) <= set(parts):
        raise Malformed(f"archive must be an object with {', '.join(_PARTS)}")
    for name in _PARTS:
        if not isinstance(parts[name], dict) and (name == "config" or parts[name] is not None):
            raise Malformed(f"{name} must be a dict: got {type(parts[name]).__name__}")
    check_layer_count(parts["config"])


def check_layer_count(config: dict[str, Any]) -> None:
    """Malformed if the lists under the keys "layers", at any depth (models hold models), are too long together."""
    total = 0
    nodes: list[Any] = [config]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            layers = node.get("layers")
            total += len(layers) if isinstance(layers, list) else 0
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
    if total > MAX_LAYERS:
        raise Malformed(f"config must have at most {MAX_LAYERS} layers: got {total}")


def _split(tensors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    prefixes = (_WEIGHTS, _SLOTS, _ARRAYS)
    parts: list[dict[str, np.ndarray]] = [{} for _ in prefixes]
    for name, array in tensors.items():
        for prefix, part in zip(prefixes, parts, strict=True):
            if name.startswith(prefix):
                part[name.removeprefix(prefix)] = array
                break
        else:
            raise Malformed(f"tensor {name[:200]!r} must be under one of {', '.join(map(repr, prefixes))}")
    return parts
