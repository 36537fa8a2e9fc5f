"""What CIFAR-10 and CIFAR-100 share: binary records, pickled batches, archives of either.

Sources: https://www.cs.toronto.edu/~kriz/cifar.html; A. Krizhevsky, Learning Multiple Layers of Features from
Tiny Images, 2009. A record of the binary version is its label bytes, then 1,024 red, 1,024 green and 1,024
blue values.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import DatasetError
from . import _locate
from ._download import download
from ._files import BoundedReader, as_path, open_regular, read_exactly
from ._pickle_arrays import read_pickled_dict

__all__ = ["CifarSet"]

_PIXELS = 32 * 32 * 3
_MAX_BYTES = 1 << 28  # of an archive, packed or unpacked; the largest has 187 MB inside
_MAX_MEMBERS = 64

Batch = tuple[np.ndarray, np.ndarray]  # images (n,32,32,3), labels (n,L)
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class CifarSet:
    """A data set in CIFAR's layouts.

    Attributes:
        name: its module, and its folder in FASTCONV_DATA and the cache.
        records: how many images each file holds; the last file is the test part.
        binary, pickled: names of the files in the two versions.
        labels: key of each label of a record in the pickled version, in the order of the binary version's
            bytes.
        classes: number of classes of each label.
        archives: names under which an archive of either version is looked for.
        archive: name of the published archive of the pickled version; sha256: its checksum; mirrors: folders
            of it.
        aliases: other names of folders to look in.
    """

    name: str
    records: Sequence[int]
    binary: Sequence[str]
    pickled: Sequence[str]
    labels: Sequence[str]
    classes: Sequence[int]
    archives: Sequence[str]
    archive: str
    sha256: str
    mirrors: Sequence[str]
    aliases: Sequence[str] = ()

    def load(self, path: Any = None) -> tuple[Pair, Pair]:
        """``(x_train, labels_train), (x_test, labels_test)``; x (n,32,32,3), labels (n,L), all uint8."""
        op = f"{self.name}.load_data"
        given = None if path is None else as_path(op, "path", path)
        if given is not None and given.is_file():
            return self._assemble(self._read_archive(given))
        places = _locate.folders(self.name, self.aliases) if given is None else [given, *self._inside(given)]
        for place in places:
            for names, parse in self._versions():
                if all((place / name).is_file() for name in names):
                    return self._assemble(self._read_files(place, names, parse))
            if archive := _locate.find(self.archives, [place]):
                return self._assemble(self._read_archive(archive))
        if given is not None:
            raise self._missing(op, places)
        return self._assemble(self._read_archive(self._fetch(op, places)))

    def _inside(self, folder: Path) -> list[Path]:
        return [folder / alias for alias in self.aliases]

    def _versions(self) -> list[tuple[Sequence[str], Callable[..., Batch]]]:
        return [(self.binary, self.parse_binary), (self.pickled, self.parse_pickled)]

    # -- bytes to arrays --

    def parse_binary(self, data: bytes | bytearray, source: Any, records: int | None = None) -> Batch:
        """Images and labels of a binary batch; ``records`` None takes as many as there are."""
        size = len(self.labels) + _PIXELS
        n = len(data) // size if records is None else records
        if len(data) != n * size:
            raise DatasetError(
                f"[{self.name}] {source} must be {n} records of {size} bytes: expected {n * size} bytes, "
                f"got {len(data)}. Get the file again."
            )
        rows = np.frombuffer(data, np.uint8).reshape(n, size)
        labels = self._checked(rows[:, : len(self.labels)], source)
        return _channels_last(rows[:, len(self.labels) :]), labels

    def parse_pickled(self, data: bytes | bytearray, source: Any, records: int | None = None) -> Batch:
        """Images and labels of a pickled batch, read without unpickling."""
        batch = read_pickled_dict(data, source)
        pixels = batch.get("data")
        n = records if records is not None or not isinstance(pixels, np.ndarray) else len(pixels)
        if not isinstance(pixels, np.ndarray) or pixels.shape != (n, _PIXELS):
            got = f"shape {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise DatasetError(
                f"[{self.name}] {source} must hold images: expected data of shape ({n}, {_PIXELS}), got {got}."
            )
        columns = []
        for key in self.labels:
            column: Any = batch.get(key)
            ints = isinstance(column, list) and all(type(v) is int and 0 <= v < 256 for v in column)
            if not (ints or isinstance(column, np.ndarray)) or np.shape(column) != (n,):
                raise DatasetError(f"[{self.name}] {source} must hold {n} labels 0..255 under {key!r}.")
            columns.append(np.asarray(column, np.uint8))
        return _channels_last(pixels), self._checked(np.stack(columns, axis=1), source)

    def _checked(self, labels: np.ndarray, source: Any) -> np.ndarray:
        wrong = np.argwhere(labels >= np.asarray(self.classes))
        if len(wrong):
            row, column = wrong[0]
            raise DatasetError(
                f"[{self.name}] labels of {source} must lie in [0, {self.classes[column]}): got "
                f"{labels[row, column]} in record {row}. Get the file again."
            )
        return labels.copy()

    # -- files to bytes --

    def _read_files(
        self, folder: Path, names: Sequence[str], parse: Callable[..., Batch]
    ) -> Iterator[tuple[int, Batch]]:
        for i, name in enumerate(names):
            with open_regular(folder / name) as file:
                data = BoundedReader(file, _MAX_BYTES, folder / name).read()
            yield i, parse(data, folder / name, self.records[i])

    def _read_archive(self, path: Path) -> Iterator[tuple[int, Batch]]:
        """The batches of a tar.gz as they come; nothing is unpacked to disk, so no name can lead anywhere."""
        known = {name: (i, parse) for names, parse in self._versions() for i, name in enumerate(names)}
        with open_regular(path) as file:
            try:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    bounded: Any = BoundedReader(unpacked, _MAX_BYTES, path)
                    with tarfile.open(fileobj=bounded, mode="r|") as archive:
                        for i, parse, source, data in self._members(archive, known, path):
                            yield i, parse(data, source, self.records[i])
            except DatasetError:
                raise
            except (EOFError, OSError, zlib.error, tarfile.TarError, ValueError) as error:
                raise DatasetError(
                    f"[{self.name}] {path} must be an undamaged .tar.gz: {error}. Delete it and get it again."
                ) from None

    def _members(
        self, archive: tarfile.TarFile, known: dict[str, tuple[int, Callable[..., Batch]]], path: Path
    ) -> Iterator[tuple[int, Callable[..., Batch], str, bytearray]]:
        """The bytes of the members that are batches; sparse ones could grow out of nothing: passed over."""
        for count, member in enumerate(archive):
            if count >= _MAX_MEMBERS:
                raise DatasetError(f"[{self.name}] {path} must hold <= {_MAX_MEMBERS} members.")
            place = PurePosixPath(member.name)
            if member.isreg() and not member.issparse() and place.name in known and len(place.parts) <= 2:
                source = f"{path}: {place.name}"  # one of ours: it can be printed
                yield (
                    *known[place.name],
                    source,
                    read_exactly(archive.extractfile(member), member.size, source),
                )

    def _assemble(self, batches: Iterator[tuple[int, Batch]]) -> tuple[Pair, Pair]:
        """Put every batch at its place, whatever order an archive has."""
        n, n_train = sum(self.records), sum(self.records[:-1])
        starts = np.concatenate(([0], np.cumsum(self.records)[:-1]))
        x, labels = np.empty((n, 32, 32, 3), np.uint8), np.empty((n, len(self.labels)), np.uint8)
        seen: set[int] = set()
        for i, (images, numbers) in batches:
            if i in seen:
                raise DatasetError(
                    f"[{self.name}] the archive must hold every batch once: got {self.pickled[i]} twice."
                )
            seen.add(i)
            rows = slice(starts[i], starts[i] + self.records[i])
            x[rows], labels[rows] = images, numbers
        if absent := [name for i, name in enumerate(self.pickled) if i not in seen]:
            raise DatasetError(f"[{self.name}] the archive must hold every batch: missing {', '.join(absent)}.")
        return (x[:n_train], labels[:n_train]), (x[n_train:], labels[n_train:])

    # -- download --

    def _fetch(self, op: str, places: Sequence[Path]) -> Path:
        target = _locate.cache_folder(self.name) / self.archive
        try:
            download([f"{mirror}/{self.archive}" for mirror in self.mirrors], target, self._verify, _MAX_BYTES)
        except (DatasetError, OSError) as error:
            raise self._missing(op, places, f"The download failed ({error}). ") from None
        return target

    def _verify(self, path: Path) -> None:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != self.sha256:
            raise DatasetError(f"[{self.name}] wrong SHA-256: expected {self.sha256}, got {digest.hexdigest()}.")

    def _missing(self, op: str, places: Sequence[Path], why: str = "") -> DatasetError:
        for place in places:  # an incomplete folder is the likeliest mistake: name what is missing there
            for names in (self.binary, self.pickled):
                absent = [name for name in names if not (place / name).is_file()]
                if 0 < len(absent) < len(names):
                    why += f"{place} holds some batches but not {', '.join(absent)}. "
        files = [f"{self.archive} (or its batches {', '.join(self.pickled)}, or {', '.join(self.binary)})"]
        return _locate.missing(op, self.name, files, places, why)


def _channels_last(planes: np.ndarray) -> np.ndarray:
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
