"""What MNIST and Fashion-MNIST share: four IDX files of 60,000 + 10,000 grey 28x28 images in ten classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from . import _locate
from ._download import download
from ._files import as_path
from .idx import sha256_idx

__all__ = ["IdxSet"]

_FILES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
_MAX_BYTES = 1 << 26  # the largest of the files has 47,040,016 bytes

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class IdxSet:
    """A data set in four IDX files.

    Attributes:
        name: its module, and its folder in FASTCONV_DATA and the cache.
        sha256: of the decompressed bytes of each file, in the order of the file names above.
        mirrors: URLs of folders that hold the ``.gz`` files.
        aliases: other names of its folder; system: folders where packages install it.
    """

    name: str
    sha256: Sequence[str]
    mirrors: Sequence[str]
    aliases: Sequence[str] = ()
    system: Sequence[Path] = ()

    def load(self, path: Any = None) -> tuple[Pair, Pair]:
        """``(x_train, y_train), (x_test, y_test)`` from ``path``, or from wherever the files are found."""
        op = f"{self.name}.load_data"
        if path is None:
            places = _locate.folders(self.name, self.aliases, self.system)
            files = [self._find(op, file, places) or self._fetch(op, file, places) for file in _FILES]
        else:
            given = as_path(op, "path", path)
            if given.suffix == ".npz":
                return self._load_npz(given)
            found = [self._find(op, file, [given]) for file in _FILES]
            files = [file for file in found if file is not None]
            if len(files) != len(_FILES):
                raise _locate.missing(op, self.name, [f"{file}.gz" for file in _FILES], [given])
        x_train, y_train, x_test, y_test = (
            self._read(op, file, digest) for file, digest in zip(files, self.sha256, strict=True)
        )
        return (x_train, y_train), (x_test, y_test)

    @staticmethod
    def _find(op: str, file: str, places: Sequence[Path]) -> Path | None:
        return _locate.find([file, f"{file}.gz"], places)

    def _fetch(self, op: str, file: str, places: Sequence[Path]) -> Path:
        target = _locate.cache_folder(self.name) / f"{file}.gz"
        digest = self.sha256[list(_FILES).index(file)]
        try:
            download(
                [f"{mirror}/{file}.gz" for mirror in self.mirrors],
                target,
                lambda part: self._read(op, part, digest),
                _MAX_BYTES,
            )
        except (DatasetError, OSError) as error:
            files = [f"{name}.gz" for name in _FILES if not self._find(op, name, places)]
            why = f"The download failed ({error}). "
            raise _locate.missing(op, self.name, files, places, why) from None
        return target

    def _read(self, op: str, path: Path, digest: str) -> np.ndarray:
        array, actual = sha256_idx(path, _MAX_BYTES)
        if actual != digest:
            raise DatasetError(
                f"[{op}] {path} is not the published file: expected SHA-256 {digest} of the decompressed "
                f"bytes, got {actual}. Delete it, or put the files of {self.name} into a folder named "
                f"{self.name}."
            )
        return array

    def _load_npz(self, path: Path) -> tuple[Pair, Pair]:
        """Keras's mnist.npz layout; it has no published checksum, so its structure is checked."""
        from .npz import load_npz

        parts = load_npz(path)
        for (x, y), n in zip(parts, (60_000, 10_000), strict=True):
            if x.shape != (n, 28, 28) or x.dtype != np.uint8 or y.shape != (n,) or y.dtype != np.uint8:
                raise DatasetError(
                    f"[{self.name}.load_data] {path} must hold {n} images: expected x {(n, 28, 28)} uint8, "
                    f"y {(n,)} uint8, got x {x.shape} {x.dtype}, y {y.shape} {y.dtype}."
                )
        return parts
