"""Curves, histograms and the graph of a training for TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs
from fastconv.callbacks.event_file import EventFile, GraphNode

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write what ``tensorboard --logdir logs`` shows; the package itself is not needed.

    Tags are Keras's: ``epoch_NAME`` in ``log_dir/train`` and, for validation, in ``log_dir/validation``, there also
    ``evaluation_NAME_vs_iterations``; ``batch_NAME``; ``LAYER/WEIGHT/histogram``. A measure of several numbers has one
    curve for each, ``NAME/0``, ``NAME/1``. The graph shows layers and what flows between them; a model with a ``call`` of its own
    has none.

    Args:
        log_dir: folder; made if missing.
        histogram_freq: epochs between two histograms of every weight; 0 for none.
        write_graph: whether to write the graph.
        write_images: refused unless False, as are the last three arguments unless they are 0 or None.
        write_steps_per_second: whether to write the speed of epochs (and of batches, by update_freq).
        update_freq: "epoch"; or "batch" or a number of batches: after so many the logs are written too.

    Raises:
        OSError: if a file cannot be written.
        ValueError: for arguments that are not supported.
    """

    async_safe = True  # its batch hooks look at the logs alone

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        op = "TensorBoard"
        self.log_dir = _arguments.path(op, "log_dir", log_dir)
        self.histogram_freq = _arguments.integer(op, "histogram_freq", histogram_freq, least=0)
        self.write_graph = _arguments.boolean(op, "write_graph", write_graph)
        self.write_steps_per_second = _arguments.boolean(op, "write_steps_per_second", write_steps_per_second)
        self.update_freq: int | str = 1 if isinstance(update_freq, str) and update_freq == "batch" else update_freq
        if not isinstance(self.update_freq, str) or self.update_freq != "epoch":
            self.update_freq = _arguments.integer(op, "update_freq", self.update_freq, least=1)
        unsupported = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in unsupported.items():
            if value:
                raise ValueError(
                    f"[{op}] {name} is not supported: expected {name} to be left out, got {name}={value!r}. Use fastconv.plots "
                    "for pictures of weights, and fastconv.explain for times."
                )
        self._files: dict[str, EventFile] = {}
        self._batch = 0
        self._epoch_began = self._batch_began = 0.0
        self._epoch_first = 0

    def get_state(self) -> dict[str, Any]:
        return {"batch": self._batch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._batch = int(state["batch"])

    def on_train_begin(self, logs: Logs = None) -> None:
        self._batch = 0
        if self.write_graph:
            nodes = list(_nodes(self.model))
            if nodes:
                self._file("train").graph(nodes)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_began, self._epoch_first = time.perf_counter(), self._batch

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batch += 1
        if self.update_freq == "epoch" or self._batch % int(self.update_freq):
            return
        values = dict(logs or {})
        if self.write_steps_per_second:
            values["steps_per_second"] = 1 / max(time.perf_counter() - self._batch_began, 1e-9)
        self._scalars("train", "batch_{}", values, self._batch)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        seconds = time.perf_counter() - self._epoch_began
        values = {name: value for name, value in (logs or {}).items() if not name.startswith("val_")}
        values |= dict(_rates(self.model.optimizer))
        if self.write_steps_per_second:
            values["steps_per_second"] = (self._batch - self._epoch_first) / max(seconds, 1e-9)
        self._scalars("train", "epoch_{}", values, epoch)
        of_validation = {n.removeprefix("val_"): v for n, v in (logs or {}).items() if n.startswith("val_")}
        self._scalars("validation", "epoch_{}", of_validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for path, weight in self.model.weights_by_path().items():
                self._file("train").histogram(f"{path}/histogram", weight.numpy(), epoch)
        for file in self._files.values():
            file.flush()

    def on_test_end(self, logs: Logs = None) -> None:
        step = self.model.optimizer.iterations
        self._scalars("validation", "evaluation_{}_vs_iterations", dict(logs or {}), step)
        for file in self._files.values():
            file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _scalars(self, run: str, tag: str, values: dict[str, Any], step: int) -> None:
        for name, value in values.items():
            numbers = np.ravel(value)
            for i, number in enumerate(numbers):
                full = name if numbers.size == 1 else f"{name}/{i}"
                self._file(run).scalar(tag.format(full), float(number), step)

    def _file(self, run: str) -> EventFile:
        if run not in self._files:
            self._files[run] = EventFile(os.path.join(self.log_dir, run))
        return self._files[run]


def _rates(optimizer: Any) -> Iterator[tuple[str, float]]:
    """The learning rate, or, of an optimizer made of several, each one by its optimizer's name."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    parts = getattr(inner, "optimizers", None) if inner is optimizer else None
    if parts is None:
        yield "learning_rate", inner.learning_rate
    else:
        for part in parts:
            yield f"learning_rate_{part.name}", part.learning_rate


def _nodes(model: Any) -> Iterator[GraphNode]:
    """The calls of a model's layers; a layer that is called again has a number behind its name."""
    origin: dict[Any, str] = {}
    called: dict[str, int] = {}
    for call in model._calls:
        name = call.layer.name
        times = called[name] = called.get(name, 0) + 1
        name = name if times == 1 else f"{name}_call_{times}"
        shapes = tuple(tuple(output.shape) for output in call.outputs)
        yield GraphNode(name, type(call.layer).__name__, tuple(origin[i] for i in call.inputs), shapes)
        origin.update(dict.fromkeys(call.outputs, name))
