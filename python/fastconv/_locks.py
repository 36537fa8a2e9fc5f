"""What all threads of a process change: one at a time, also in an interpreter without its global lock, and after a fork."""

from __future__ import annotations

import os
import threading

__all__ = ["ProcessLock", "Serial"]


class ProcessLock:
    """A lock for the life of the process. The child of a fork finds it open, whoever held it; a signal's handler that comes
    while it is held by the thread that it interrupts may enter, too.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


class Serial:
    """0, 1, 2, …: a number for whoever asks, and never the same one twice. (``itertools.count`` promises that since 3.14.)"""

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._next = 0

    def __iter__(self) -> Serial:
        return self

    def __next__(self) -> int:
        with self._lock:
            number = self._next
            self._next += 1
        return number
