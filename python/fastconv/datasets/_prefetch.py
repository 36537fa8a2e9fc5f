"""Runs an iterator in a background thread, a few elements ahead of whoever consumes it.

A thread that has come to the end of an iterator takes the next one: that of the next epoch, of the next model. With a thread for
each, one would begin while the last still leaves. glibc gives threads that live at the same time heaps of their own, as many as
eight for each core, in each of which the elements of some epochs would leave holes as large as they are.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Any

__all__ = ["prefetched"]

_HEARTBEAT = 1.0  # seconds between checks that the thread still lives (it does not in a forked child)
_IDLE = 1.0  # seconds that a thread without work stays
_LEAVING = 0.1  # seconds that who ends early waits for the thread: more than it takes, unless an element is slow


class _Buffer:
    """At most ``depth`` elements between one producer and one consumer; either side can end it."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[Any] = deque()
        self._changed = threading.Condition()
        self._closed = self._finished = False
        self._error: BaseException | None = None

    def put(self, item: Any) -> bool:
        """Wait for a free place; False once the consumer has gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._depth)
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def finish(self, error: BaseException | None) -> None:
        """The producer has no more elements, and is free."""
        with self._changed:
            self._closed, self._finished, self._error = True, True, error
            self._changed.notify_all()

    def leave(self, seconds: float) -> None:
        """The consumer wants no more elements; it waits for the producer to notice, for some time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._finished, seconds)

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


class _Producer:
    """A thread that runs one iterator after the other, and ends when there is none for a while."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Iterator[Any], _Buffer]] = SimpleQueue()
        # A daemon, so that an iterator which a program still holds at its end does not keep the process alive.
        self.thread = threading.Thread(target=self._serve, name="fastconv-prefetch", daemon=True)
        self.thread.start()

    def run(self, source: Iterator[Any], buffer: _Buffer) -> None:
        """Fills the buffer; in a context of its own, as a new thread would."""
        self._work.put((source, buffer))

    def _serve(self) -> None:
        while True:
            try:
                Context().run(self._produce, *self._work.get(timeout=_IDLE))
            except Empty:
                try:
                    _idle.remove(self)
                except ValueError:  # somebody has just taken it: work is coming
                    continue
                return

    def _produce(self, source: Iterator[Any], buffer: _Buffer) -> None:
        error = None
        try:
            for item in source:
                if not buffer.put(item):
                    break
        except BaseException as caught:  # whatever it is, the consumer must hear of it
            error = caught
        _idle.append(self)  # before the consumer hears of the end: its next iterator finds this thread
        buffer.finish(error)


_idle: list[_Producer] = []  # what is done with it is atomic
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # their threads are not there


def _idle_producer() -> _Producer:
    try:
        return _idle.pop()
    except IndexError:
        return _Producer()


def prefetched(source: Iterator[Any], depth: int) -> Iterator[Any]:
    """Yield the elements of ``source``, computed up to ``depth`` ahead in a thread.

    The thread begins with the first ``next`` and is done with the end of the source, with an error (raised to the consumer,
    after the elements before it), or when this generator is closed or dropped: it holds no reference to the
    generator.
    """
    buffer, producer = _Buffer(depth), _idle_producer()
    is_finalizing = sys.is_finalizing  # this generator may live longer than what its module knows
    producer.run(source, buffer)
    del source  # only the thread needs it
    try:
        while item := buffer.take(producer.thread):
            yield item[0]
    finally:
        if not is_finalizing():
            own = producer.thread is threading.current_thread()  # where a garbage collection ends this
            buffer.leave(0 if own or not producer.thread.is_alive() else _LEAVING)
