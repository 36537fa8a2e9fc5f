"""Iterables of batches, and the place in them where an interrupted training goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Repeating", "set_source_state", "source_state"]


class Repeating:
    """An iterable of batches, an epoch at a time: all of it, or ``steps`` batches, starting over when it runs out.

    A source with ``get_state()`` and ``set_state(state)``, such as ``Dataset``, says which pass comes next, and can be put back.
    """

    def __init__(self, source: Any, steps: int | None) -> None:
        self._source = source
        self._steps = steps
        self._iterator: Iterator[Any] | None = None  # a pass that goes on in the next epoch
        self._at_pass = source_state(source)  # before the pass that the next batch is of
        self._taken = 0  # of that pass
        self._at_epoch = self._at()

    def get_state(self, epoch_began: bool) -> dict[str, Any]:
        """Where in the source the next batch is, or where the first one of this epoch was."""
        return self._at_epoch if epoch_began else self._at()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from there: batches of an open pass that were taken are made again and passed over."""
        set_source_state(self._source, state["pass"])
        self._at_pass, self._taken, self._iterator = state["pass"], 0, None
        for _ in range(state["taken"]):
            self._next()

    def epoch(self) -> Iterator[Any]:
        if self._iterator is None:
            self._end()
        self._at_epoch = self._at()
        if self._steps is None:
            yield from self._whole_pass()
            return
        for _ in range(self._steps):
            item = self._next()
            if item is self:
                raise ValueError(
                    f"[fit] the iterable ran out of batches: expected {self._steps} steps per epoch, got fewer. Use fewer steps, "
                    "or an iterable that starts again."
                )
            yield item

    def _whole_pass(self) -> Iterator[Any]:
        for item in self._source:
            self._taken += 1
            yield item
        if self._taken == 0:
            raise ValueError("[fit] the iterable must give batches: expected at least 1, got none. Check its source.")
        self._end()

    def _next(self) -> Any:
        """The next batch, of the next pass where one is over; the object itself if there is none."""
        for _ in range(2):
            if self._iterator is None:
                self._end()
                self._iterator = iter(self._source)
            item = next(self._iterator, self)
            if item is not self:
                self._taken += 1
                return item
            self._iterator = None
        return self

    def _end(self) -> None:
        """No pass is open."""
        self._at_pass, self._taken = source_state(self._source), 0

    def _at(self) -> dict[str, Any]:
        return {"pass": self._at_pass, "taken": self._taken}


def source_state(source: Any) -> Any:
    """What an iterable says of its next pass; None if it says nothing."""
    return source.get_state() if _tells(source) else None


def set_source_state(source: Any, state: Any) -> None:
    """Puts an iterable back to where :func:`source_state` found it."""
    if state is not None and _tells(source):
        source.set_state(state)


def _tells(source: Any) -> bool:
    return callable(getattr(source, "get_state", None)) and callable(getattr(source, "set_state", None))
