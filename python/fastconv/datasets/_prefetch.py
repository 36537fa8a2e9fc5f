"""Runs an iterator in a background thread, a few elements ahead of whoever consumes it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

__all__ = ["prefetched"]

_HEARTBEAT = 1.0  # seconds between checks that the thread still lives (it does not in a forked child)


class _Buffer:
    """At most ``depth`` elements between one producer and one consumer; either side can end it."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Any] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: Any) -> bool:
        """Wait for a free place; False once the consumer has gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def close(self, error: BaseException | None = None) -> None:
        """No more elements will come, or none are wanted."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def take(self, producer: threading.Thread) -> list[Any]:
        """The next element in a list, or an empty list at the end; the producer's error is raised here."""
        with self._changed:
            while not self._items and not self._closed:
                if not self._changed.wait(_HEARTBEAT) and not producer.is_alive():
                    raise RuntimeError(
                        "[Dataset.prefetch] the background thread is gone, as in a process forked meanwhile. "
                        "Begin a new iteration."
                    )
            if self._items:
                self._changed.notify_all()
                return [self._items.popleft()]
            if self._error is not None:
                error, self._error = self._error, None  # a traceback refers to this buffer: keep no circle
                raise error
            return []


def prefetched(source: Iterator[Any], depth: int) -> Iterator[Any]:
    """Yield the elements of ``source``, computed up to ``depth`` ahead in a thread.

    The thread starts with the first ``next`` and ends with the source, with an error (raised to the consumer,
    after the elements before it), or when this generator is closed or dropped: it holds no reference to the
    generator.
    """
    buffer = _Buffer(depth)
    # A daemon, so that an iterator which a program still holds at its end does not keep the process alive.
    thread = threading.Thread(target=_produce, args=(source, buffer), name="fastconv-prefetch", daemon=True)
    thread.start()
    try:
        while item := buffer.take(thread):
            yield item[0]
    finally:
        buffer.close()


def _produce(source: Iterator[Any], buffer: _Buffer) -> None:
    error = None
    try:
        for item in source:
            if not buffer.put(item):
                return
    except BaseException as caught:  # whatever it is, the consumer must hear of it
        error = caught
    buffer.close(error)
