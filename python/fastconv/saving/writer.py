"""Writes a container: named tensors and str metadata, one file, replaced atomically.

The same input gives the same bytes: no time, no host name. What the reader would refuse is refused here,
before the old file is touched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

import numpy as np

from fastconv.saving.atomic import atomic_write
from fastconv.saving.header import (
    DTYPES,
    MAX_HEADER_BYTES,
    MAX_NDIM,
    NO_DIGEST,
    TensorEntry,
    build_header,
    item_size,
    parse_header,
)
from fastconv.saving.malformed import Malformed

_CODES = {np.dtype(numpy_name): code for code, numpy_name in DTYPES.items()}
_CHUNK = 1 << 20  # hash and write in pieces that stay in the cache, and between which Ctrl-C is seen


def write_container(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write a file that :func:`~fastconv.saving.container.read_container` reads.

    Args:
        path: the file, replaced atomically (see :func:`~fastconv.saving.atomic.atomic_write`).
        tensors: name to array of any shape, order, byte order and stride; float16/32/64, int8 to int64, uint8
            to uint64 or bool. Nothing is converted but the layout: little-endian, C order.
        metadata: str to str.

    Raises:
        TypeError: an array's kind or dtype cannot be stored, or ``path`` is not a path.
        ValueError: a name is empty or not Unicode, or the header grows beyond what a reader accepts.
        OSError: the file cannot be written; the old one is intact.
    """
    arrays = {name: _checked_array(name, array) for name, array in tensors.items()}
    entries, data_size = _lay_out(arrays)
    header = build_header(entries, metadata, NO_DIGEST)
    _check_readable(header, data_size)
    with atomic_write(path) as file:
        file.seek(8 + len(header))
        digest = hashlib.sha256()
        for entry in sorted(entries, key=lambda entry: entry.begin):
            view = _little_endian_bytes(arrays[entry.name]).data
            for at in range(0, len(view), _CHUNK):
                chunk = bytes(view[at : at + _CHUNK])  # hash and write the same bytes, whoever changes the array
                digest.update(chunk)
                file.write(chunk)
        header = build_header(entries, metadata, digest.hexdigest())
        file.seek(0)
        file.write(len(header).to_bytes(8, "little") + header)


def _checked_array(name: str, array: np.ndarray) -> np.ndarray:
    if not isinstance(name, str):
        raise TypeError(f"[save] a tensor's name must be a str: got {name!r} of type {type(name).__name__}.")
    if not name or name == "__metadata__" or not name.isprintable():
        raise ValueError(f"[save] a tensor's name must be printable, not empty, not '__metadata__': got {name!r}.")
    if isinstance(array, np.ma.MaskedArray) or not isinstance(array, np.ndarray | np.generic):
        raise TypeError(
            f"[save] tensor {name!r} must be a NumPy array: got {type(array).__name__}. "
            "Convert it with numpy.asarray (CuPy: .get())."
        )
    if array.dtype.newbyteorder("<") not in _CODES:
        known = " ".join(dtype.name for dtype in _CODES)
        raise TypeError(f"[save] tensor {name!r} must have one of the dtypes {known}: got dtype={array.dtype}.")
    if array.ndim > MAX_NDIM:
        raise ValueError(f"[save] tensor {name!r} must have at most {MAX_NDIM} dimensions: got {array.ndim}.")
    return np.asarray(array)


def _lay_out(arrays: Mapping[str, np.ndarray]) -> tuple[list[TensorEntry], int]:
    """Place wide items first, so that every tensor is aligned to its item size in the file, too."""
    begin = 0
    placed: dict[str, TensorEntry] = {}
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        code = _CODES[array.dtype.newbyteorder("<")]
        placed[name] = TensorEntry(name, code, array.shape, begin, begin + array.size * item_size(code))
        begin = placed[name].end
    return [placed[name] for name in arrays], begin


def _check_readable(header: bytes, data_size: int) -> None:
    try:
        if len(header) > MAX_HEADER_BYTES:
            raise Malformed(f"header must take at most {MAX_HEADER_BYTES} bytes: got {len(header)}")
        parse_header(header.decode("ascii"), data_size)
    except Malformed as error:
        raise ValueError(f"[save] {error}. Save fewer or smaller parts in one file.") from None


def _little_endian_bytes(array: np.ndarray) -> np.ndarray:
    stored = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return stored.reshape(-1).view(np.uint8)
