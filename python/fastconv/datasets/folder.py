"""Folders of pictures, one sub-folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ._files import as_path
from .pictures import SUFFIXES, PictureReader

__all__ = ["image_dataset_from_directory", "pictures_by_class"]


def image_dataset_from_directory(
    directory: Any,
    image_size: tuple[int, int] = (256, 256),
    color_mode: str = "rgb",
    *,
    class_names: Sequence[str] | None = None,
    interpolation: str = "bilinear",
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Read all pictures of ``directory/CLASS/...`` into arrays (needs Pillow: the ``images`` extra).

    Every sub-folder is a class; pictures are read from it and the folders below it (.bmp .gif .jpeg .jpg .pgm
    .png .ppm .webp; of a GIF the first frame). Other files, and names that start with a dot, are passed over.
    Pictures are resized without keeping their proportions, as in Keras; an alpha channel is dropped; 16-bit
    grey becomes 8-bit; EXIF rotation is not applied.

    Args:
        directory: the folder.
        image_size: (H, W) of the result.
        color_mode: "rgb" or "grayscale".
        class_names: sub-folders to use, in the order of the labels; None takes all, sorted by name.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos" or "box", as Pillow defines them (they
            average when they shrink).

    Returns:
        x uint8 (N,H,W,C), y int64 (N,) with y[i] the class number, class_names. The order is class by class
        and sorted by path: shuffle before you split, e.g. with ``utils.train_val_test_split``.

    Raises:
        ImportError: Pillow is not installed.
        DatasetError: no classes, a class without pictures, a picture that cannot be read (named), one with
            more than 2**27 pixels, a folder that is reached twice through symbolic links.
        MemoryError: the result does not fit in memory.
    """
    op = "image_dataset_from_directory"
    root = as_path(op, "directory", directory)
    reader = PictureReader(op, image_size, color_mode, interpolation)
    names, files = pictures_by_class(op, root, class_names)
    paths = [path for found in files for path in found]
    try:
        x = np.empty((len(paths), *reader.shape), np.uint8)
    except (MemoryError, ValueError):  # ValueError: more bytes than an address can count
        raise MemoryError(
            f"[{op}] the pictures do not fit in memory: {len(paths)} x {' x '.join(map(str, reader.shape))} bytes. Lower "
            "image_size."
        ) from None
    for row, path in zip(x, paths, strict=True):
        row[...] = reader.read(path)
    return x, np.repeat(np.arange(len(names)), [len(found) for found in files]).astype(np.int64), names


def pictures_by_class(
    op: str, root: Path, class_names: Sequence[str] | None
) -> tuple[tuple[str, ...], list[list[Path]]]:
    """Names of the classes, and the files of each, sorted."""
    names = _classes(op, root, class_names)
    files = [sorted(_pictures(op, root / name, set())) for name in names]
    for name, found in zip(names, files, strict=True):
        if not found:
            raise DatasetError(
                f"[{op}] every class must have pictures: expected {' '.join(SUFFIXES)} files in "
                f"{root / name}, got none. Fill or remove that folder."
            )
    return tuple(names), files


def _pictures(op: str, folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """All pictures in and below ``folder``; links are followed, a folder met twice is an error."""
    info = os.stat(folder)
    if (info.st_dev, info.st_ino) in seen:
        raise DatasetError(f"[{op}] {folder} leads to a folder that was read already. Remove the symbolic link.")
    seen.add((info.st_dev, info.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(op, entry):
                yield from _pictures(op, Path(entry.path), seen)
            elif entry.name.lower().endswith(SUFFIXES):
                yield Path(entry.path)


def _is_folder(op: str, entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a symbolic link to itself
        raise DatasetError(f"[{op}] {entry.path} cannot be followed: {error.strerror}. Remove it.") from None


def _classes(op: str, root: Path, names: Sequence[str] | None) -> list[str]:
    if not root.is_dir():
        raise DatasetError(f"[{op}] directory must be an existing folder: got {root}. Correct the path.")
    with os.scandir(root) as entries:
        found = sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(op, entry))
    if not found:
        raise DatasetError(
            f"[{op}] {root} must hold one sub-folder of pictures per class, got none. Move the pictures of "
            f"each class into a folder named after it."
        )
    if names is None:
        return found
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(name, str) for name in names):
        raise TypeError(f"[{op}] class_names must be a list of folder names, got {type(names).__name__}.")
    unknown = [name for name in names if name not in found]
    if unknown or not names or len(set(names)) != len(names):
        raise ValueError(
            f"[{op}] class_names must name different sub-folders: expected some of {found[:20]}, got "
            f"{list(names)[:20]}."
        )
    return list(names)
