"""Ends a training that no longer improves."""

from __future__ import annotations

from typing import Any

from fastconv import _arguments
from fastconv.callbacks.base import Logs, announce
from fastconv.callbacks.monitor import MonitorCallback

__all__ = ["EarlyStopping"]


class EarlyStopping(MonitorCallback):
    """Stop when the monitored number has not improved for ``patience`` epochs.

    Args:
        monitor: a key of the logs.
        min_delta: a smaller change is no improvement.
        patience: epochs without improvement after which training stops.
        verbose: 1 prints what is done.
        mode: "auto", "min" or "max".
        baseline: only values better than this reset the patience.
        restore_best_weights: whether the model ends with the weights of its best epoch, **however** training
            ends: by
            this callback, by another one, or by running out of epochs.
        start_from_epoch: epochs before this one (counted from 0) are not watched.

    Attributes:
        best: the best value; best_epoch: its epoch; stopped_epoch: the epoch at which it stopped training,
            else 0.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        self.patience = _arguments.integer("EarlyStopping", "patience", patience, least=0)
        self.start_from_epoch = _arguments.integer("EarlyStopping", "start_from_epoch", start_from_epoch, least=0)
        self.restore_best_weights = _arguments.boolean("EarlyStopping", "restore_best_weights", restore_best_weights)
        self.verbose = verbose
        super().__init__(monitor, mode, baseline, min_delta)

    _remembered = ("best", "best_weights", "best_epoch", "stopped_epoch", "wait")

    def _restart(self) -> None:
        super()._restart()
        self.best_weights: Any = None
        self.best_epoch = 0
        self.stopped_epoch = 0
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.monitored(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improved(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improved(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            announce(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                announce(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)
