"""A model and a training loop that only pretend, with losses told in advance: what the tests of callbacks drive."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.callbacks import Callback, CallbackList
from fastconv.optimizers import SGD

__all__ = ["FakeModel", "train"]


class FakeModel:
    """A model whose weight after epoch e is e, with losses told in advance."""

    def __init__(self, optimizer: Any = None) -> None:
        self.stop_training = False
        self.optimizer = optimizer or SGD(0.1)
        self.weights = [np.array(-1.0)]
        self.metrics: list[Any] = []
        self.saved: list[tuple[str, str, float]] = []

    def get_weights(self) -> list[np.ndarray]:
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = [w.copy() for w in weights]

    def save(self, path: str) -> None:
        self.saved.append(("model", path, float(self.weights[0])))

    def save_weights(self, path: str) -> None:
        self.saved.append(("weights", path, float(self.weights[0])))


def train(model: Any, epochs: int, *given: Callback, steps: int = 2, **lists: Any) -> Any:
    """``epochs`` epochs whose logs are the columns of ``lists``."""
    model.stop_training = False
    every = CallbackList(given, add_history=True, model=model, epochs=epochs, steps=steps, verbose=0)
    every.on_train_begin()
    logs = {}
    for epoch in range(epochs):
        every.on_epoch_begin(epoch)
        model.weights = [np.array(float(epoch))]
        for batch in range(steps):
            every.on_train_batch_begin(batch)
            every.on_train_batch_end(batch, {"loss": lists.get("loss", [0.0] * epochs)[epoch]})
            if model.stop_training:
                break
        logs = {name: values[epoch] for name, values in lists.items() if values[epoch] is not None}
        every.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    every.on_train_end(logs)
    return every.history
