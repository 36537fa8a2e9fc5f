"""The IDX format of MNIST (LeCun, Cortes, Burges 1998): a magic number, big-endian sizes, raw values."""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError
from ._files import as_path, open_maybe_gzip, read_exactly

__all__ = ["read_idx", "sha256_idx"]

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMS = 8
_INT64_MAX = 2**63 - 1


def read_idx(path: Any, max_bytes: int = 1 << 32) -> np.ndarray:
    """Read an IDX file, plain or gzip-compressed.

    Args:
        path: the file.
        max_bytes: refuse files whose values would take more memory than this.

    Returns:
        Array of the shape and type that the header states, in the machine's byte order.

    Raises:
        DatasetError: not IDX, truncated, followed by other bytes, too large, or damaged gzip.
        OSError: the file cannot be opened.
    """
    return _read(as_path("read_idx", "path", path), max_bytes)[0]


def sha256_idx(path: Path, max_bytes: int) -> tuple[np.ndarray, str]:
    """An IDX file's array, and the SHA-256 of its *decompressed* bytes: gzip headers carry dates."""
    array, header, data = _read(path, max_bytes)
    digest = hashlib.sha256(header)
    digest.update(data)
    return array, digest.hexdigest()


def _read(path: Path, max_bytes: int) -> tuple[np.ndarray, bytes, bytearray]:
    with open_maybe_gzip(path) as stream:
        magic = bytes(read_exactly(stream, 4, path))
        dtype, ndim = _DTYPES.get(magic[2]), magic[3]
        if magic[:2] != b"\0\0" or dtype is None or not 1 <= ndim <= _MAX_DIMS:
            raise DatasetError(
                f"[read_idx] {path} must be an IDX file: expected magic 0000TTDD, TT a type, 1 to "
                f"{_MAX_DIMS} dimensions, got {magic.hex()}. Get the file again."
            )
        sizes = bytes(read_exactly(stream, 4 * ndim, path))
        shape = struct.unpack(f">{ndim}I", sizes)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        # Zeros are left out of the second product because NumPy also refuses (0, 2**32, 2**32).
        if size > max_bytes or math.prod(n for n in shape if n) * np.dtype(dtype).itemsize > _INT64_MAX:
            raise DatasetError(f"[read_idx] {path} is too large: expected <= {max_bytes} bytes, got shape={shape}.")
        data = read_exactly(stream, size, path)
        if stream.read(1):
            raise DatasetError(f"[read_idx] {path} must end after its values: got more than {size} bytes.")
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False), magic + sizes, data
