"""Where a training stands, beside the weights and the optimizer: what callbacks, metrics and data remember."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastconv.models.repeating import Repeating, set_source_state, source_state

__all__ = ["Position", "ResumePoint"]


class ResumePoint(NamedTuple):
    """Where an interrupted training goes on.

    Attributes:
        epoch: counted from 0.
        batch: of that epoch, counted from 0; those before it are skipped.
        random_state: of :mod:`fastconv.random` from that batch on.
        meters: what the batches before it have left, if there are any.
    """

    epoch: int
    batch: int
    random_state: tuple[int, int]
    meters: Mapping[str, Any] | None = None


class Position:
    """What one ``fit`` knows of its course.

    Args:
        model: that is trained.
        callbacks: of this training.
        batches: those of an iterable, None for arrays.
        validation: what it is validated on.
    """

    def __init__(self, model: Any, callbacks: Sequence[Any], batches: Repeating | None, validation: Any) -> None:
        self._model, self._callbacks, self._batches, self._validation = model, callbacks, batches, validation

    def get_state(self, within_epoch: bool) -> dict[str, Any]:
        """Dicts and lists of JSON types and arrays.

        Args:
            within_epoch: whether batches of this epoch are still to come.
        """
        return {
            "callbacks": [[type(callback).__name__, callback.get_state()] for callback in self._callbacks],
            "meters": self._model._meters.get_state() if within_epoch else None,
            "data": None if self._batches is None else self._batches.get_state(within_epoch),
            "validation": source_state(self._validation),
            "stopped": bool(self._model.stop_training),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`get_state`'s result. The n-th callback of a class gets the state of that one; those that were
        not there begin anew. The metrics' part is for :class:`ResumePoint`."""
        if state["meters"] is not None:
            self._model._meters.check_state(state["meters"])
        waiting: dict[str, list[Any]] = {}
        for name, kept in state["callbacks"]:
            waiting.setdefault(name, []).append(kept)
        for callback in self._callbacks:
            kept = waiting.get(type(callback).__name__)
            if kept:
                callback.set_state(kept.pop(0))
        if self._batches is not None and state["data"] is not None:
            self._batches.set_state(state["data"])
        set_source_state(self._validation, state["validation"])
        self._model.stop_training = bool(state["stopped"])
