"""Data sets in NumPy's .npz archives, checked before anything is allocated and never unpickled."""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DatasetError
from ..utils._checks import as_int, as_rng
from ._files import as_path, open_regular, read_exactly
from ._split import Pair, as_fraction, train_test

__all__ = ["load_npz"]

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000  # NumPy's own limit
# What numpy.lib.format has written since it exists: keys sorted, extents of Python 2 with an L.
_HEADER = re.compile(
    r"\{'descr': (?P<descr>'[^']*'|\[.*\]), 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>|[0-9]{1,19}L?,|[0-9]{1,19}L?(?:, [0-9]{1,19}L?){1,31})\),? *\} *\n?"
)
_NUMBERS = re.compile(r"'([<>|=]?(?:b1|[iu][1248]|f(?:2|4|8|16)))'")

_WHOLE, _SPLIT = ("x", "y"), ("x_train", "y_train", "x_test", "y_test")
_DEFLATE_LIMIT = 1032  # no deflate stream expands further (zlib: maximum compression factor)

# What zipfile raises for a damaged or encrypted archive; OSError where an offset leads nowhere
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


def load_npz(
    path: Any, *, test_fraction: float = 0.2, seed: int | None = 0, max_bytes: int = 1 << 34
) -> tuple[Pair, Pair]:
    """Load a data set from a .npz file: ``(x_train, y_train), (x_test, y_test)``.

    The file holds either the four arrays ``x_train y_train x_test y_test`` (Keras's layout), or ``x`` and
    ``y``, which are then split at random; integer labels keep their class mix. Other arrays in the file are
    not read.

    Args:
        path: the file, as ``np.savez(path, x=x, y=y)`` or ``np.savez_compressed`` writes it.
        test_fraction, seed: the split of a file with ``x`` and ``y``, as in ``digits.load_data``; else
            unused.
        max_bytes: refuse files whose arrays would take more memory than this.

    Returns:
        Arrays with the shapes and dtypes of the file, in the machine's byte order.

    Raises:
        DatasetError: no .npz file, damaged, without the arrays above, with Python objects, rows that do not
            match, or sizes that cannot be true.
        OSError: the file cannot be opened.
    """
    op = "load_npz"
    file_path = as_path(op, "path", path)
    fraction, rng = as_fraction(op, test_fraction), as_rng(op, seed)
    limit = as_int(op, "max_bytes", max_bytes, low=1)
    with open_regular(file_path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                arrays = _read(op, file_path, archive, limit)
        except DatasetError:
            raise
        except _DAMAGE as error:
            raise DatasetError(f"[{op}] {file_path} must be an undamaged .npz file: {error}. Write it again.") from None
    for x_name, y_name in zip(list(arrays)[::2], list(arrays)[1::2], strict=True):
        x, y = arrays[x_name], arrays[y_name]
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise DatasetError(
                f"[{op}] {file_path}: {x_name} and {y_name} must have equally many rows: got {x_name} "
                f"{x.shape}, {y_name} {y.shape}. Pair every sample with one label."
            )
    if len(arrays) == len(_SPLIT):
        x_train, y_train, x_test, y_test = arrays.values()
        return (x_train, y_train), (x_test, y_test)
    if len(arrays["x"]) == 0:
        raise DatasetError(f"[{op}] {file_path} must hold samples: got x {arrays['x'].shape}.")
    return train_test(arrays["x"], arrays["y"], fraction, rng)


def _read(op: str, path: Path, archive: zipfile.ZipFile, limit: int) -> dict[str, np.ndarray]:
    entries = archive.infolist()
    present = [entry.filename.removesuffix(".npy") for entry in entries]
    wanted = next((names for names in (_SPLIT, _WHOLE) if set(names) <= set(present)), None)
    if wanted is None:
        raise DatasetError(
            f"[{op}] {path} must hold arrays named x and y, or x_train, y_train, x_test and y_test: got "
            f"{', '.join(present[:8]) or 'none'}. Write it with np.savez(path, x=x, y=y)."
        )
    chosen = {name: entries[present.index(name)] for name in wanted}
    total = sum(entry.file_size for entry in chosen.values())
    possible = all(entry.file_size <= entry.compress_size * _DEFLATE_LIMIT + 64 for entry in chosen.values())
    if total > limit or not possible or any(present.count(name) > 1 for name in wanted):
        raise DatasetError(
            f"[{op}] {path} must have true sizes: expected <= {limit} bytes, packed at most "
            f"{_DEFLATE_LIMIT}:1, each array once, got {total} bytes. Write it again, or raise max_bytes."
        )
    arrays = {}
    for name, entry in chosen.items():
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetError(f"[{op}] {path}: {name} must be stored or deflated, as NumPy writes it.")
        with archive.open(entry) as stream:
            arrays[name] = _read_npy(op, f"{path}: {name}", stream, entry.file_size)  # type: ignore[arg-type]  # an IO[bytes]
    return arrays


def _read_npy(op: str, source: str, stream: BinaryIO, size: int) -> np.ndarray:
    """One array of the .npy format; its header must account for exactly ``size`` bytes."""
    header = _HEADER.fullmatch(_read_header(stream, source))
    if header is None:
        raise DatasetError(
            f"[{op}] {source} must have a valid .npy header: expected what NumPy writes, got other text."
        )
    code, shape = _NUMBERS.fullmatch(header["descr"]), tuple(int(n) for n in re.findall("[0-9]+", header["shape"]))
    if code is None:
        raise DatasetError(
            f"[{op}] {source} must hold numbers: got dtype={header['descr'][:40]}, shape={shape}. Objects and text are not "
            f"read; number text labels with fastconv.utils.LabelEncoder."
        )
    dtype, fortran = np.dtype(code[1]), header["fortran"] == "True"
    count = math.prod(shape) * dtype.itemsize
    if count != size - stream.tell():
        raise DatasetError(
            f"[{op}] {source} must have the size of its header: expected {count} bytes for shape={shape}, "
            f"dtype={dtype}, got {size - stream.tell()}. Write the file again."
        )
    values = np.frombuffer(read_exactly(stream, count, source), dtype)
    array = values.reshape(shape, order="F" if fortran else "C")
    return np.asarray(array, dtype.newbyteorder("="), order="C")


def _read_header(stream: BinaryIO, source: str) -> str:
    """The text at the beginning of an array. It looks like Python, and NumPy lets Python compile it; here nothing does."""
    magic = bytes(read_exactly(stream, len(_MAGIC) + 2, source))
    size = {(1, 0): 2, (2, 0): 4}.get((magic[-2], magic[-1]))
    if not magic.startswith(_MAGIC) or size is None:
        raise DatasetError(
            f"[load_npz] {source} must have a valid .npy header: expected version 1.0 or 2.0, got {magic.hex()}."
        )
    length = int.from_bytes(read_exactly(stream, size, source), "little")
    if length > _MAX_HEADER:
        raise DatasetError(
            f"[load_npz] {source} must have a valid .npy header: expected <= {_MAX_HEADER} bytes, got {length}."
        )
    return read_exactly(stream, length, source).decode("latin-1")
