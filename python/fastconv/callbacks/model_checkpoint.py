"""Writes the model to a file during training."""

from __future__ import annotations

import os
import string
from typing import Any

from fastconv import _arguments
from fastconv.callbacks.base import Logs, announce
from fastconv.callbacks.monitor import MonitorCallback

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
    """Save the model every epoch, every few batches, or whenever it is better than before.

    Args:
        filepath: file name; may hold ``{epoch}`` (from 1), ``{batch}`` (from 1, with an int save_freq) and
            names of logs,
            each with a format: ``"{epoch:02d}-{val_loss:.2f}.safetensors"``. Missing folders are made.
        monitor: a key of the logs.
        verbose: 1 prints what is done.
        save_best_only: whether only a better model is saved. Without the monitored number every one is.
        save_weights_only: whether to call ``model.save_weights`` instead of ``model.save``.
        mode: "auto", "min" or "max".
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: the value to beat at first.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        op = "ModelCheckpoint"
        self.filepath = _arguments.path(op, "filepath", filepath)
        self.save_best_only = _arguments.boolean(op, "save_best_only", save_best_only)
        self.save_weights_only = _arguments.boolean(op, "save_weights_only", save_weights_only)
        self.save_freq = save_freq
        self._every = (
            None
            if isinstance(save_freq, str) and save_freq == "epoch"
            else _arguments.integer(op, "save_freq", save_freq, least=1)
        )
        self.async_safe = self._every is None  # then it saves between epochs only
        self.verbose = verbose
        super().__init__(monitor, mode, initial_value_threshold)
        self.best = self.baseline
        self._epoch = 0
        self._batches = 0
        self._check_template()

    _remembered = ("best", "_batches")

    def on_train_begin(self, logs: Logs = None) -> None:
        """Keeps the best value, unlike the other monitors: a second fit must not replace a better file."""
        self._warned = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._every is not None and self._batches % self._every == 0:
            self._save({"batch": batch + 1, **(logs or {})}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self._every is None:
            self._save(dict(logs or {}), logs)

    def _save(self, names: dict[str, Any], logs: Logs) -> None:
        path = self._format({"epoch": self._epoch + 1, **names})
        reason = ""
        if self.save_best_only:
            value = self.monitored(logs)
            if value is not None:
                if not self.improved(value, self.best):
                    return
                reason = f": {self.monitor} improved from {self.best} to {value}"
                self.best = value
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)
        if self.verbose:
            announce(f"Epoch {self._epoch + 1}{reason}: saved {path}")

    def _format(self, names: dict[str, Any]) -> str:
        try:
            return self.filepath.format(**names)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"[ModelCheckpoint] filepath cannot be filled in ({error}): expected names of "
                f"{', '.join(names)}, got filepath={self.filepath!r}. Correct the names in braces."
            ) from error

    def _check_template(self) -> None:
        """Unbalanced braces are found now rather than after the first epoch."""
        try:
            list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ValueError(
                f"[ModelCheckpoint] filepath is no format string ({error}): expected balanced braces, "
                f"got filepath={self.filepath!r}. Write {{{{ for a brace itself."
            ) from error
