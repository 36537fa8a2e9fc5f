"""Evaluation with averaged weights."""

from __future__ import annotations

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Let evaluations see the averages that an optimizer with ``use_ema=True`` keeps, and training the weights.

    Args:
        swap_on_epoch: whether the averages are in the model from the end of an epoch to the beginning of the next, so that
            callbacks after this one save them.

    Raises:
        ValueError: when training begins, if the optimizer keeps no averages.
    """

    async_safe = True

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = _arguments.boolean("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)
        self._swapped = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._swapped = False
        optimizer = self.model.optimizer
        parts = [optimizer, *(optimizer.part_for(path) for path in self.model.weights_by_path())]
        if not any(part.averaging for part in parts):
            raise ValueError(
                f"[SwapEMAWeights] the optimizer must keep averages: expected use_ema=True, got {type(optimizer).__name__} "
                "without. Pass it to the optimizer."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._show(averages=False)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.swap_on_epoch:
            self._show(averages=True)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._show(averages=True)

    def on_test_end(self, logs: Logs = None) -> None:
        self._show(averages=False)

    def on_train_end(self, logs: Logs = None) -> None:
        self._swapped = False  # fit has ended with the averages in the model

    def _show(self, averages: bool) -> None:
        if self._swapped != averages:
            self.model.swap_averages()
            self._swapped = averages
