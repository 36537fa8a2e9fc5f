"""Running loss and metrics of an epoch."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
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
        for metric in self.made():
            metric.reset_state()

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
        self.plain.update(self._losses, plan, None)
        self.weighted.update(self._losses, plan, weights)

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

    def made(self) -> Iterator[tuple[int, Any]]:
        """The number of the output, and a metric."""
        return ((i, metric) for i, group in enumerate(self._made or ()) for metric in group)

    def update(self, losses: Sequence[Any], plan: StepArrays, weights: np.ndarray | None) -> None:
        if self._made is None:  # "accuracy" means another metric for each kind of output
            self._made = [
                [metric_module.resolve(m, loss, output.shape) for m in group]
                for group, loss, output in zip(self._identifiers, losses, plan.outputs, strict=False)
            ]
        for group, target, output in zip(self._made, plan.targets, plan.outputs, strict=False):
            for metric in group:
                metric.update_state(target, output, weights)


def _unused(name: str, names: Container[str]) -> str:
    number, free = 1, name
    while free in names:
        free, number = f"{name}_{number}", number + 1
    return free
