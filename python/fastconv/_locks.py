"""What all threads of a process change: one at a time, also in an interpreter without its global lock, and after a fork."""

from __future__ import annotations

import os
import threading

__all__ = ["ProcessLock", "Serial"]


class ProcessLock:
    """A lock for the life of the process, held by ``with the.lock:``. The child of a fork finds it open, whoever held it; a
    signal's handler that comes while it is held by the thread that it interrupts may enter, too.

    ``lock`` itself is what ``with`` enters: in a method ``__enter__`` of ours, an exception from a signal's handler (Ctrl-C)
    could come after the lock was taken and before ``with`` knows of it, and nobody would ever give it back.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.RLock()


class Serial:
    """0, 1, 2, …: a number for whoever asks, and never the same one twice. (``itertools.count`` promises that since 3.14.)"""

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._next = 0

    def __iter__(self) -> Serial:
        return self

    def __next__(self) -> int:
        with self._lock.lock:
            number = self._next
            self._next += 1
        return number
