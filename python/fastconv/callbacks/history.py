"""The record of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.callbacks.base import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """What ``fit`` returns: the logs of each epoch.

    Attributes:
        history: name -> list of values, one per epoch that had it.
        epoch: the numbers of the epochs, from 0 (or from initial_epoch).
        steps: optimizer steps taken, all epochs together.
        params: "epochs", "steps" (per epoch) and "verbose" of the training.
    """

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._restart()

    def _restart(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.steps = 0

    @property
    def total_steps(self) -> int:
        """``steps`` by its other name: the iterations of all epochs together."""
        return self.steps

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in an epoch: ceil(samples / batch_size); None if the data did not tell."""
        return self.params.get("steps")

    def get_state(self) -> dict[str, Any]:
        # As arrays: in JSON, a hundred thousand epochs would be more than a reader takes.
        history = {name: np.array(v) if all(type(x) is float for x in v) else v for name, v in self.history.items()}
        return {"history": history, "epoch": np.array(self.epoch, np.int64), "steps": self.steps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        saved = state["history"].items()
        self.history = {name: v.tolist() if isinstance(v, np.ndarray) else list(v) for name, v in saved}
        self.epoch, self.steps = state["epoch"].tolist(), int(state["steps"])

    def on_train_begin(self, logs: Logs = None) -> None:
        self._restart()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.steps += 1

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def _repr_html_(self) -> str:
        """A picture per measure, training beside validation, for notebooks."""
        from fastconv.diagram import history_svgs

        return f"<div>{''.join(history_svgs(self.history)) or 'no epoch yet'}</div>"
