"""Running loss and metrics of an epoch."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import metrics as metric_module
from fastconv.models.plans import StepArrays, as_list

__all__ = ["Meters"]


class Meters:
    """The mean loss over samples and the metrics of each output.

    Args:
        losses: one per output, None for an output without.
        metrics: a list of names or objects for the first output, or a list of lists with one per output. They count every
            sample alike, as in Keras.
        weighted_metrics: the same, and sample weights and class weights count.
    """

    def __init__(self, losses: Sequence[Any], metrics: Any, weighted_metrics: Any = None) -> None:
        self._losses = [loss for loss in losses if loss is not None]
        self.plain, self.weighted = _PerOutput(metrics), _PerOutput(weighted_metrics)
        self.reset()

    def reset(self) -> None:
        """Starts a new epoch."""
        self._loss_sums = [0.0] * (len(self._losses) + 1)
        self._samples = 0
        self._waiting: list[Any] | None = None  # states for metrics, until a batch has said which they are
        for metric in self.made():
            metric.reset_state()

    def get_state(self) -> dict[str, Any]:
        """What the epoch so far has left, for a checkpoint in the middle of it."""
        return {
            "losses": list(self._loss_sums),
            "samples": self._samples,
            "metrics": [metric.get_state() for metric in self.made()],
            "results": self.results(),
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """ValueError for the state of other losses or metrics, as far as that shows before a batch has run."""
        expected = len(self._losses), self.plain.count() + self.weighted.count()
        given = len(state["losses"]) - 1, len(state["metrics"])
        if given != expected:
            raise ValueError(
                f"[fit] losses and metrics must be as before: expected {expected[0]} and {expected[1]} of them, got {given[0]} and "
                f"{given[1]}. Compile the model as before."
            )

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`get_state`'s result, of a model with the same losses and metrics."""
        self._loss_sums, self._samples = list(state["losses"]), int(state["samples"])
        self._waiting = state["metrics"]

    def made(self) -> list[Any]:
        """The metrics, once a batch has said which "accuracy" means."""
        return [metric for part in (self.plain, self.weighted) for _, metric in part.made()]

    def update(self, plan: StepArrays, weights: np.ndarray | None) -> None:
        """Adds one batch that has just run."""
        n = len(plan.outputs[0])
        self._samples += n
        assert plan.total is not None
        for i, loss in enumerate([plan.total, *plan.losses]):
            self._loss_sums[i] += float(loss[0]) * n
        for part in (self.plain, self.weighted):
            part.make(self._losses, plan)
        if self._waiting is not None:
            for metric, state in zip(self.made(), self._waiting, strict=True):
                metric.set_state(state)
            self._waiting = None
        self.plain.update(plan, None)
        self.weighted.update(plan, weights)

    def results(self) -> dict[str, float]:
        """Name to value: "loss", the parts of it where there are several outputs, then the metrics. Of two that have one
        name the second has a 1 behind it, or "weighted" before it where it is."""
        means = [total / max(self._samples, 1) for total in self._loss_sums]
        logs = {"loss": means[0]}
        if len(self._losses) > 1:
            logs.update({f"output_{i}_loss": mean for i, mean in enumerate(means[1:])})
        for part, prefix in ((self.plain, ""), (self.weighted, "weighted_")):
            for i, metric in part.made():
                output = f"output_{i}_" if i else ""
                name = output + metric.name
                if name in logs:
                    name = f"{output}{prefix}{metric.name}"
                logs[_unused(name, logs)] = metric.result()
        return logs


class _PerOutput:
    """The metrics of each output, by name until a batch has been seen."""

    def __init__(self, metrics: Any) -> None:
        given = as_list(metrics) if metrics is not None else []
        per_output = given if any(isinstance(m, (list, tuple)) for m in given) else [given]
        self._identifiers = [as_list(m) if m is not None else [] for m in per_output]
        for identifier in (i for group in self._identifiers for i in group):
            metric_module.resolve(identifier)  # an unknown name is an error at compile, not in the first epoch
        self._made: list[list[Any]] | None = None

    def config(self) -> list[list[Any]]:
        """The metrics as :func:`fastconv.metrics.get` takes them back."""
        made = self._made
        return [
            [
                m if isinstance(m, str) else metric_module.serialize(made[i][j] if made else metric_module.get(m))
                for j, m in enumerate(group)
            ]
            for i, group in enumerate(self._identifiers)
        ]

    def count(self) -> int:
        """How many there are, of all outputs."""
        return sum(map(len, self._identifiers))

    def made(self) -> Iterator[tuple[int, Any]]:
        """The number of the output, and a metric."""
        return ((i, metric) for i, group in enumerate(self._made or ()) for metric in group)

    def make(self, losses: Sequence[Any], plan: StepArrays) -> None:
        """Decides what names mean, when the first batch has run: "accuracy" is another metric for each kind of output."""
        if self._made is None:
            self._made = [
                [metric_module.resolve(m, loss, output.shape) for m in group]
                for group, loss, output in zip(self._identifiers, losses, plan.outputs, strict=False)
            ]

    def update(self, plan: StepArrays, weights: np.ndarray | None) -> None:
        for group, target, output in zip(self._made or (), plan.targets, plan.outputs, strict=False):
            for metric in group:
                metric.update_state(target, output, weights)


def _unused(name: str, names: Container[str]) -> str:
    number, free = 1, name
    while free in names:
        free, number = f"{name}_{number}", number + 1
    return free
