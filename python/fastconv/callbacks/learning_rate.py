"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs, announce
from fastconv.callbacks.monitor import MonitorCallback

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class LearningRateScheduler(Callback):
    """Set the rate of each epoch by a function; the logs get a "learning_rate".

    Args:
        schedule: ``schedule(epoch, learning_rate) -> float`` or ``schedule(epoch) -> float``, epochs counted
            from 0.
        verbose: 1 prints the rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = _arguments.function("LearningRateScheduler", "schedule", schedule, "schedule(epoch, rate)")
        self.verbose = _arguments.integer("LearningRateScheduler", "verbose", verbose, least=0)
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        optimizer = self.model.optimizer
        arguments = (epoch, optimizer.learning_rate) if self._takes_rate else (epoch,)
        rate = _arguments.real("LearningRateScheduler", "schedule's result", self.schedule(*arguments), above=0)
        optimizer.learning_rate = rate
        if self.verbose:
            announce(f"Epoch {epoch + 1}: learning rate {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the rate by ``factor`` when the monitored number has not improved for ``patience`` epochs.

    Args:
        monitor: a key of the logs; they get a "learning_rate".
        factor: 0 < factor < 1.
        patience: epochs without improvement before the rate falls.
        verbose: 1 prints the new rate.
        mode: "auto", "min" or "max".
        min_delta: a smaller change is no improvement.
        cooldown: epochs after a fall during which nothing is counted.
        min_lr: the rate never falls below it; >= 0.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        op = "ReduceLROnPlateau"
        self.factor = _arguments.real(op, "factor", factor, above=0, below=1)
        self.patience = _arguments.integer(op, "patience", patience, least=0)
        self.cooldown = _arguments.integer(op, "cooldown", cooldown, least=0)
        self.min_lr = _arguments.real(op, "min_lr", min_lr, least=0)
        self.verbose = verbose
        super().__init__(monitor, mode, min_delta=min_delta)

    _remembered = ("best", "wait", "_cooling")

    def _restart(self) -> None:
        super()._restart()
        self.wait = 0
        self._cooling = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
        value = self.monitored(logs)
        if value is None:
            return
        if self._cooling:
            self._cooling -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best, self.wait = value, 0
        elif not self._cooling:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        if optimizer.learning_rate <= self.min_lr:
            return
        optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
        self._cooling, self.wait = self.cooldown, 0
        if self.verbose:
            announce(f"Epoch {epoch + 1}: learning rate reduced to {optimizer.learning_rate:g}")


def _takes_two(function: Callable[..., float]) -> bool:
    """Whether ``function`` can be called with two positional arguments."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some built-ins have no signature
        return True
    return True
