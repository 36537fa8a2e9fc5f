"""Downloads that resume, are verified before use, and appear under their name whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DatasetError

__all__ = ["download"]

_CHUNK = 1 << 18
_ATTEMPTS = 5
_TIMEOUT = 20.0  # seconds without a byte


def download(urls: Sequence[str], target: Path, verify: Callable[[Path], object], max_bytes: int) -> None:
    """Fetch ``target`` from the first of ``urls`` that delivers what ``verify`` accepts.

    Bytes go to ``target`` + ".part", which a later call continues (HTTP Range). ``verify(path)`` raises
    DatasetError for a wrong file; then the part is thrown away. A lock lets two processes ask for one file
    without mixing bytes.

    Raises:
        DatasetError: no mirror delivered the file; the message holds each mirror's reason.
        OSError: the folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _lock(target.with_name(target.name + ".lock")):
        if target.exists():  # another process got it while we waited
            return
        reasons = []
        for url in urls:
            print(f"fastconv: downloading {url} to {target}", file=sys.stderr)
            continued = part.exists()
            try:
                _complete(url, part, max_bytes)
                try:
                    verify(part)
                except DatasetError:
                    part.unlink()
                    if not continued:
                        raise
                    # Perhaps the old beginning was at fault: once more from byte 0.
                    _complete(url, part, max_bytes)
                    verify(part)
            except _Unreachable as error:
                reasons.append(f"{url}: {error}")
            except DatasetError as error:
                part.unlink(missing_ok=True)
                reasons.append(f"{url}: {error}")
            else:
                _publish(part, target)
                return
    raise DatasetError("; ".join(reasons))


class _Unreachable(Exception):
    """The server or the network failed; what has arrived so far is kept."""


def _complete(url: str, part: Path, max_bytes: int) -> None:
    """Bring ``part`` to its full length; keeps trying while each attempt brings new bytes."""
    for _ in range(_ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            return _append(url, part, before, max_bytes)
        except _Unreachable:
            if not part.exists() or part.stat().st_size <= before:
                raise
    raise _Unreachable(f"the connection broke {_ATTEMPTS} times; the next call continues")


def _append(url: str, part: Path, start: int, max_bytes: int) -> None:
    """One request for the bytes from ``start`` on."""
    import http.client  # imported here: urllib costs more than the rest of the package's import
    import urllib.error
    import urllib.request

    headers = {"User-Agent": "fastconv", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            continues = response.status == 206 and _range_start(response) == start
            if start and response.status == 206 and not continues:
                raise _Unreachable("the server sent another range than was asked for")
            _copy(response, part, start if continues else 0, max_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:  # nothing after ``start``: the part is complete already, or too long
            return
        raise _Unreachable(f"HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _Unreachable(str(error.reason)) from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Unreachable(f"{type(error).__name__} {error}") from None


def _copy(response: Any, part: Path, start: int, max_bytes: int) -> None:
    announced = response.headers.get("Content-Length")
    size = start
    with open(part, "ab" if start else "wb") as file:
        while chunk := _receive(response):
            size += len(chunk)
            if size > max_bytes:
                raise DatasetError(f"the server sent more than the {max_bytes} bytes that the file can have")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if announced is not None and size - start < int(announced):
        raise _Unreachable(f"the connection broke after {size} of {start + int(announced)} bytes")


def _receive(response: Any) -> bytes:
    """The next bytes; a network failure is told apart from a full disk, which is an OSError too."""
    try:
        return response.read(_CHUNK)
    except OSError as error:
        raise _Unreachable(f"{type(error).__name__} {error}") from None


def _range_start(response: Any) -> int:
    """The first byte of ``Content-Range: bytes START-END/TOTAL``, or -1."""
    text = response.headers.get("Content-Range", "")
    digits = text.removeprefix("bytes ").split("-")[0].strip()
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def _publish(part: Path, target: Path) -> None:
    os.replace(part, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
