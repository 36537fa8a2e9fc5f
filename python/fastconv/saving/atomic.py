"""Replaces a file so that every moment, also after a crash, shows the old file or the new one, never a part.

Write a temporary file beside the target, flush it, fsync it, rename it over the target, fsync the directory:
rename is atomic (POSIX), and without the fsyncs a power cut may persist the rename before the bytes (Pillai
et al., "All File Systems Are Not Created Equal", OSDI 2014).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from fastconv.saving.paths import checked_path, file_kind

_TEMPORARY = re.compile(r"\.fastconv-(?P<host>.*)-(?P<pid>[1-9][0-9]{0,8})-[0-9a-f]{16}\.tmp")
_in_use: set[str] = set()  # this process's own temporary files


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` when the block ends without an error.

    A symbolic link stays and the file it names is replaced. The new file has the old one's mode, or the
    umask's. After an error the old file is untouched and the temporary file gone; what a killed process left
    behind in this directory is removed by the next save.

    Raises:
        TypeError: ``path`` is not a path.
        OSError: the directory is missing or read-only, the target is a directory, a device or read-only, or
            the disk is full.
    """
    name = checked_path(path, "save")
    mode = _old_mode(name)
    target = os.path.realpath(name)
    directory = os.path.dirname(target)
    _remove_stale(directory)
    temporary = os.path.join(directory, f".fastconv-{_host()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    _in_use.add(temporary)
    try:
        with _create(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _fsync_directory(directory)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = name  # a user knows no temporary file
        raise
    finally:
        _in_use.discard(temporary)


def _old_mode(path: str) -> int | None:
    if path.endswith(os.sep):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"[save] target must be a regular file, got {file_kind(mode)}", path)
    if not os.access(path, os.W_OK):  # a rename would not ask, but a read-only file is meant to stay
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return stat.S_IMODE(mode)


def _create(path: str, mode: int | None) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else mode)
    try:
        if mode is not None and stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)  # the umask took bits that the old file has
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "wb")  # which closes it where memory for the buffer is refused


def _fsync_directory(directory: str) -> None:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some file systems cannot sync a directory, some directories cannot be read: the new file is in place
        # anyway.
        if error.errno not in (errno.EINVAL, errno.EACCES):
            raise


def _host() -> str:
    return os.uname().nodename[:64]


def _remove_stale(directory: str) -> None:
    """Remove temporary files of dead processes of this host; another host's pids mean nothing here."""
    with suppress(OSError):
        for name in os.listdir(directory):
            match = _TEMPORARY.fullmatch(name)
            path = os.path.join(directory, name)
            if match and match["host"] == _host() and path not in _in_use and not _is_alive(int(match["pid"])):
                with suppress(OSError):
                    os.unlink(path)


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # not in _in_use, so left by an earlier process of the same number (pid 1 of a container)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True
