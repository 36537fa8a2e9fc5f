"""Reading files that may be anything: regular files only, and never more bytes than announced."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DatasetError

__all__ = ["BoundedReader", "as_path", "open_maybe_gzip", "open_regular", "read_exactly"]

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


def as_path(op: str, name: str, value: Any) -> Path:
    """``value`` (str or os.PathLike of str, not empty) as a Path; ``~`` is the home folder."""
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise TypeError(f"[{op}] {name} must be a path: expected str or Path, got {type(value).__name__}.")
    text = os.fspath(value)
    if not text or "\0" in text:
        raise ValueError(f"[{op}] {name} must name a file or folder: got {name}={text!r}. Pass its path.")
    return Path(text).expanduser()


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open for reading; anything but a regular file (folder, pipe, device) is refused before it can block."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise DatasetError(f"[datasets] {path} must be a regular file: it is a folder, pipe or device.")
    with open(path, "rb") as file:
        yield file


@contextmanager
def open_maybe_gzip(path: Path) -> Iterator[BinaryIO]:
    """A stream of the file's bytes, decompressed if it starts as gzip does; damage is a DatasetError."""
    with open_regular(path) as file:
        magic = file.read(2)
        file.seek(0)
        try:
            if magic == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream  # type: ignore[misc]  # GzipFile reads as a BinaryIO does
            else:
                yield file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DatasetError(f"[datasets] {path} is damaged: {error}. Delete it and get it again.") from None


def read_exactly(stream: Any, size: int, source: Any) -> bytearray:
    """``size`` bytes of ``stream``, in pieces: a header that lies about its size costs no memory."""
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(_CHUNK, size - len(data)))
        if not piece:
            raise DatasetError(
                f"[datasets] {source} is truncated: expected {size} more bytes, got {len(data)}. Get the file again."
            )
        data += piece
    return data


class BoundedReader:
    """A stream that raises DatasetError beyond ``limit`` bytes: the guard against zip bombs."""

    def __init__(self, stream: Any, limit: int, source: Any) -> None:
        self._stream, self._left, self._limit, self._source = stream, limit, limit, source

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, at least one unless the stream is at its end."""
        size = self._left + 1 if size < 0 else min(size, self._left + 1)
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DatasetError(
                f"[datasets] {self._source} unpacks to more than {self._limit} bytes, so it is not the file "
                f"it claims to be. Get the file again."
            )
        return data
