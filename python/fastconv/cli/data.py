"""The images that a command works on, by name or path, in one form: pixels 0..255, (N, H, W, C)."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.cli.options import natural
from fastconv.errors import DatasetError
from fastconv.utils import train_val_test_split

__all__ = ["NAMED", "Images", "add_dataset", "dataset_label", "image_files", "load", "read_image"]

NAMED = ("digits", "mnist", "fashion_mnist", "cifar10")
_TEST_SHARE = 0.2  # of a folder of images, which has no test part of its own


@dataclass(frozen=True)
class Images:
    """Training and test images (N, H, W, C) with pixels 0..255, their class numbers (N,), and the names of the classes."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of one image."""
        _, height, width, channels = self.x_train.shape
        return height, width, channels


def add_dataset(parser: argparse.ArgumentParser, default: str) -> None:
    """``--dataset`` and ``--image-size``."""
    parser.add_argument(
        "--dataset",
        metavar="NAME_OR_PATH",
        help=f"{', '.join(NAMED)}, a folder with one sub-folder of images per class, or a .npz file with x and y "
        f"(default: {default})",
    )
    parser.add_argument(
        "--image-size",
        type=natural,
        metavar="N",
        help="height and width to which the images of a folder are resized (default: 64)",
    )


def dataset_label(dataset: str) -> str:
    """A short name for the data set, fit for a folder's name."""
    return dataset if dataset in NAMED else Path(dataset).resolve().stem or "images"


def load(dataset: str, image_size: int | None = None) -> Images:
    """The images called ``dataset``.

    Raises:
        DatasetError: for an unknown name, missing or malformed files, pixels or labels that are none.
    """
    if dataset in NAMED:
        return _load_named(dataset)
    path = Path(dataset)
    if path.is_dir():
        return _load_folder(path, image_size or 64)
    if path.suffix == ".npz":
        return _load_npz(path)
    raise DatasetError(
        f"[dataset] {dataset!r} is not known: expected one of {', '.join(NAMED)}, an existing folder with one sub-folder "
        "per class, or a .npz file. Correct the name or the path."
    )


def image_files(paths: Sequence[str]) -> list[str]:
    """The files among ``paths``, and those in the folders among them and below, by name.

    Raises:
        DatasetError: for a folder without images.
    """
    from fastconv.datasets.pictures import SUFFIXES

    files = []
    for path in paths:
        if not Path(path).is_dir():
            files.append(path)
            continue
        inside = sorted(str(p) for p in Path(path).rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not inside:
            raise DatasetError(f"[predict] {path} must hold images: expected {' '.join(SUFFIXES)} files, got none.")
        files += inside
    return files


def read_image(path: str, shape: Sequence[int]) -> np.ndarray:
    """One image file as (H, W, C) = ``shape``, uint8: resized, and grey or colour as the channels say."""
    from fastconv.datasets.pictures import COLOR_MODES, PictureReader

    names = {channels: name for name, (_, channels) in COLOR_MODES.items()}
    if shape[2] not in names:
        raise ValueError(
            f"[predict] image files are grey or colour: expected a model of 1 or 3 channels, got C={shape[2]}."
        )
    return PictureReader("predict", tuple(shape[:2]), names[shape[2]]).read(Path(path))


def _load_named(name: str) -> Images:
    module: Any = importlib.import_module(f"fastconv.datasets.{name}")
    (x_train, y_train), (x_test, y_test) = module.load_data()
    if name == "digits":  # its pixels are 0..16
        x_train, x_test = (x * np.float32(255 / 16) for x in (x_train, x_test))
    return _images(name, x_train, y_train, x_test, y_test, module.class_names)


def _load_folder(path: Path, image_size: int) -> Images:
    from fastconv.datasets import image_dataset_from_directory

    x, y, names = image_dataset_from_directory(path, (image_size, image_size))
    train, _, test = train_val_test_split(x, y, (1 - _TEST_SHARE, 0, _TEST_SHARE), stratify=True, seed=0)
    return _images(str(path), *train, *test, names)


def _load_npz(path: Path) -> Images:
    from fastconv.datasets import load_npz

    (x_train, y_train), (x_test, y_test) = load_npz(path)
    return _images(str(path), x_train, y_train, x_test, y_test, None)


def _images(
    source: str, x_train: Any, y_train: Any, x_test: Any, y_test: Any, class_names: Sequence[str] | None
) -> Images:
    x_train, x_test = _pixels(source, x_train), _pixels(source, x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DatasetError(
            f"[dataset] {source}: training and test images must have one shape: got {x_train.shape[1:]} and "
            f"{x_test.shape[1:]}."
        )
    if not len(x_train) or not len(x_test):
        raise DatasetError(
            f"[dataset] {source} must hold training and test images: got {len(x_train)} and {len(x_test)}. Add images."
        )
    y_train, y_test = _labels(source, y_train), _labels(source, y_test)
    if class_names is None:
        class_names = [str(i) for i in range(1 + int(max(y_train.max(), y_test.max())))]
    if len(class_names) < 2:
        raise DatasetError(
            f"[dataset] {source} must hold several classes: expected at least 2, got {len(class_names)}."
        )
    return Images(x_train, y_train, x_test, y_test, tuple(class_names))


def _pixels(source: str, x: np.ndarray) -> np.ndarray:
    """(N, H, W, C) with pixels 0..255; images of floats may also be 0..1."""
    if x.ndim not in (3, 4) or 0 in x.shape[1:]:
        raise DatasetError(
            f"[dataset] {source}: x must hold images: expected (N, H, W) or (N, H, W, C), got x.shape={x.shape}."
        )
    x = x[..., None] if x.ndim == 3 else x
    if x.dtype == np.uint8 or not x.size:
        return x
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 255):
        raise DatasetError(
            f"[dataset] {source}: pixels must lie in 0..255, or in 0..1 as floats: got {low:g}..{high:g}. Scale them."
        )
    return (x * 255.0 if x.dtype.kind == "f" and high <= 1 else x).astype(np.float32)


def _labels(source: str, y: np.ndarray) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iu" or (y.size and int(y.min()) < 0):
        raise DatasetError(
            f"[dataset] {source}: y must hold class numbers from 0: expected ints of shape (N,) or (N, 1), got "
            f"y.shape={y.shape}, y.dtype={y.dtype}."
        )
    return y.astype(np.int64)
