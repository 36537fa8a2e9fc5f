"""A folder that one process at a time may write to."""

from __future__ import annotations

import fcntl
import os

from fastconv._locks import ProcessLock

__all__ = ["FolderLock"]

_NAME = "lock"
_held: set[str] = set()  # by this process, to which the system would give the same lock twice
_asking = ProcessLock()


class FolderLock:
    """A file in a folder that this object holds a lock on; the system gives it back when the process ends, in whatever way.

    Args:
        folder: that is locked; it exists.

    Raises:
        RuntimeError: if somebody else holds it. OSError: if the file cannot be made.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(os.path.realpath(folder), _NAME)
        with _asking.lock:
            self._take(folder)

    def _take(self, folder: str) -> None:
        if self._path in _held:
            raise _in_use(folder)
        while True:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(self._descriptor)
                if not isinstance(error, (BlockingIOError, PermissionError)):
                    error.filename = self._path  # a file system without locks
                    raise
                raise _in_use(folder) from None
            if self._is_in_place():
                _held.add(self._path)
                return
            os.close(self._descriptor)  # its owner has removed it since it was opened

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Removes the file, and with it the lock."""
        if self._is_in_place():
            os.unlink(self._path)
        os.close(self._descriptor)
        _held.discard(self._path)


def _in_use(folder: str) -> RuntimeError:
    return RuntimeError(
        f"[BackupAndRestore] a folder is for one training at a time: expected backup_dir to be free, got {folder!r}, which another "
        "one uses. Wait for its end, or use another folder."
    )
