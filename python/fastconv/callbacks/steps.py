"""Callbacks that act when a training has come to a step or an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs

__all__ = ["Freeze", "MaxSteps"]


class Freeze(Callback):
    """From an epoch on, layers take no part in training: their gradients are no longer computed, their weights stay.

    The optimizer keeps its state. It is what ``layer.trainable = False`` with a new ``compile`` does in Keras, without
    leaving ``fit``.

    Args:
        layers: the name of a layer, or several.
        epoch: the first without them, counted from 0 as in ``fit``.

    Raises:
        ValueError: when training begins, if the model has no such layer.
    """

    def __init__(self, layers: str | Iterable[str], epoch: int):
        super().__init__()
        names = [layers] if isinstance(layers, str) else _arguments.items("Freeze", "layers", layers)
        self.layers = [_arguments.text("Freeze", f"layers[{i}]", name) for i, name in enumerate(names)]
        self.epoch = _arguments.integer("Freeze", "epoch", epoch, least=0)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._found = [self.model.get_layer(name) for name in self.layers]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        still: list[Any] = [layer for layer in self._found if layer.trainable]
        if epoch >= self.epoch and still:
            for layer in still:
                layer.trainable = False
            self.model.reset_training()


class MaxSteps(Callback):
    """Ends training after so many steps of the optimizer, where epochs are too coarse.

    Args:
        steps: >= 1, counted over the optimizer's life: a training that is resumed goes on to the same end.

    Raises:
        ValueError: when training begins, if the optimizer has made that many already.
    """

    async_safe = True

    def __init__(self, steps: int):
        super().__init__()
        self.steps = _arguments.integer("MaxSteps", "steps", steps, least=1)

    def on_train_begin(self, logs: Logs = None) -> None:
        done = self.model.optimizer.steps
        if done >= self.steps:
            raise ValueError(
                f"[MaxSteps] some steps must be left: expected steps > {done}, those that the optimizer has made, got "
                f"steps={self.steps}. Raise it, or compile with a new optimizer."
            )

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before, and not after the last: then a device need not wait for the host between two steps."""
        if self.model.optimizer.steps + 1 >= self.steps:
            self.model.stop_training = True
