"""Folders of pictures and single pictures, as ``keras.utils`` reads them: a Dataset of batches, and a Pillow image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..utils import to_categorical
from ..utils._checks import as_int, as_real
from ._files import as_path
from .dataset import Dataset
from .folder import pictures_by_class
from .pictures import PictureReader

__all__ = ["image_dataset_from_directory", "load_img"]

_LABEL_MODES = ("int", "categorical", "binary", None)


def image_dataset_from_directory(
    directory: Any,
    labels: str | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
) -> Dataset:
    """Batches of the pictures in ``directory/CLASS/...``, read when they are needed (needs Pillow).

    The arguments are those of ``keras.utils.image_dataset_from_directory``. :func:`fastconv.datasets.image_dataset_from_directory`
    reads all pictures into arrays instead, and says which files count.

    Args:
        directory: the folder, with one sub-folder per class.
        labels: "inferred" from the folders, or None for pictures alone.
        label_mode: "int", "categorical" (one-hot), "binary" (0. and 1. of two classes) or None.
        class_names: sub-folders in the order of the labels; default: all, sorted.
        color_mode: "rgb" or "grayscale".
        batch_size: pictures per batch.
        image_size: (H, W) to which they are resized.
        shuffle: another order on each pass. Keras's default.
        seed: of the order and of the split.
        validation_split: share of the pictures kept for validation; then ``subset`` is "training" or "validation", and
            ``seed`` must be given (or ``shuffle=False``), so that both calls split alike.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos" or "box", Pillow's.

    Returns:
        Dataset of ``(x, y)`` with x uint8 (N,H,W,C), which ``Rescaling`` scales in the model; its ``class_names`` are the
        names. The next two batches are read in a background thread.

    Raises:
        DatasetError: as the function named above; ValueError, TypeError: for arguments.
    """
    op = "image_dataset_from_directory"
    _one_of(op, "labels", labels, ("inferred", None))
    mode = _one_of(op, "label_mode", label_mode, _LABEL_MODES) if labels else None
    reader = PictureReader(op, image_size, color_mode, interpolation)
    names, files = pictures_by_class(op, as_path(op, "directory", directory), class_names)
    if mode == "binary" and len(names) != 2:
        raise ValueError(f"[{op}] label_mode 'binary' needs two classes: got {len(names)}. Use 'int'.")
    paths = [path for found in files for path in found]
    y = np.repeat(np.arange(len(names)), [len(found) for found in files])
    rows = _subset(op, len(paths), shuffle, seed, validation_split, subset)

    def read(numbers: np.ndarray, *targets: np.ndarray) -> Any:
        x = np.stack([reader.read(paths[i]) for i in numbers])
        return (x, *targets) if targets else x

    targets = {"categorical": lambda: to_categorical(y, len(names)), "binary": lambda: y.astype(np.float32)[:, None]}
    given = None if mode is None else targets.get(mode, lambda: y)()[rows]
    data = Dataset(rows, given)
    if shuffle:
        data = data.shuffle(seed=seed)
    data = data.batch(batch_size).map(read).prefetch(2)
    data.class_names = names
    return data


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
) -> Any:
    """One picture as a Pillow image, as ``keras.utils.load_img``: ``np.asarray(load_img(path))`` is uint8 (H, W, 3).

    Args:
        path: of the file.
        color_mode: "rgb", or "grayscale": the array is (H, W) then; ``add_channel`` makes it (H, W, 1).
        target_size: (H, W) to which it is resized; default: as it is.
        interpolation: Pillow's, as above.

    Raises:
        ImportError: Pillow is not installed. DatasetError: the file cannot be read as a picture.
    """
    op = "load_img"
    file = as_path(op, "path", path)
    size = (1, 1) if target_size is None else target_size
    return PictureReader(op, size, color_mode, interpolation).open(file, resize=target_size is not None)


def _one_of(op: str, name: str, value: Any, choices: Sequence[Any]) -> Any:
    if value not in choices:
        raise ValueError(f"[{op}] {name} must be one of {', '.join(map(repr, choices))}: got {name}={value!r}.")
    return value


def _subset(op: str, n: int, shuffle: bool, seed: int | None, share: Any, subset: Any) -> np.ndarray:
    """The rows that a call asks for: all, or one of the two parts that ``seed`` makes."""
    if share is None:
        if subset is not None:
            raise ValueError(f"[{op}] subset needs a validation_split: got subset={subset!r} alone. Pass both.")
        return np.arange(n)
    part = _one_of(op, "subset", subset, ("training", "validation"))
    fraction = as_real(op, "validation_split", share)
    if not 0 < fraction < 1:
        raise ValueError(f"[{op}] validation_split must be in (0, 1): got {fraction}. Use 0.2.")
    if shuffle and seed is None:
        raise ValueError(
            f"[{op}] both parts must come from one order: expected a seed with validation_split, got None. Pass seed=0 in "
            "both calls, or shuffle=False."
        )
    order = np.random.default_rng(as_int(op, "seed", seed, low=0)).permutation(n) if shuffle else np.arange(n)
    held = int(n * fraction)
    rows = order[n - held :] if part == "validation" else order[: n - held]
    if not len(rows):
        raise DatasetError(
            f"[{op}] the {part} part is empty: got {n} pictures, validation_split={fraction}. Add pictures."
        )
    return rows
