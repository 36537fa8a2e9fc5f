"""A model's training graph with data for it, planned or run node by node: what the tests of plans compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import ops
from fastconv.autodiff import gradients
from fastconv.graph import Value, nodes_behind, tracing
from fastconv.models import plans
from fastconv.ops.registry import apply
from fastconv.plan import Plan
from fastconv.testing.networks import inputs_for, targets_for

__all__ = ["SAMPLES", "TrainingGraph", "same"]

SAMPLES = 5


class TrainingGraph:
    """Forward, a loss per output, the gradient of every trainable weight."""

    def __init__(self, model: Any, training: bool, samples: int = SAMPLES) -> None:
        self.model = model
        self.x, self.y = inputs_for(model, samples), targets_for(model, samples)
        for i, seed in enumerate(model.seeds):
            seed.array[0] = 1000 + i
        variables = model.trainable_weights
        with tracing() as assignments:
            self.inputs = [Value(a.shape, model.dtype) for a in self.x]
            outputs = plans.as_list(model.trace(self.inputs if len(self.x) > 1 else self.inputs[0], training))
            self.targets = [Value(a.shape, model.dtype) for a in self.y]
            per_sample = [
                ops.mean_squared_error(target, output) for target, output in zip(self.targets, outputs, strict=True)
            ]
            self.cotangents = [Value(v.shape, v.dtype) for v in per_sample]
            found = gradients(per_sample, self.cotangents, variables)
        assert all(g is not None for g in found)
        self.outputs = outputs
        self.kept = [*outputs, *per_sample, *found, *(value for _, value in assignments)]
        self.feeds = [*self.inputs, *self.targets, *self.cotangents]
        weights = [np.linspace(-1, 2, samples).astype(model.dtype) for _ in self.cotangents]
        self.data = [*self.x, *self.y, *weights]

    def plan(self, **keywords: Any) -> Plan:
        """The plan of all of it."""
        return Plan(self.feeds, self.kept, **keywords)

    def planned(self, **keywords: Any) -> list[np.ndarray]:
        """Every kept value, from a plan that runs twice: the second run must not miss anything the first overwrote."""
        plan = self.plan(**keywords)
        for value, array in zip(self.feeds, self.data, strict=True):
            plan.array(value)[...] = array
        results = []
        for _ in range(2):
            assert plan.run()
            results.append([plan.array(v).copy() for v in self.kept])
        same(*results)
        return results[0]

    def eager(self) -> list[np.ndarray]:
        """The same values from the nodes as they were traced, one by one."""
        known: dict[Any, Any] = dict(zip(self.feeds, self.data, strict=True))
        for node in nodes_behind(self.kept):
            arguments = [None if v is None else known.get(v, getattr(v, "array", None)) for v in node.inputs]
            result = apply(node.op, *arguments, **node.attrs)
            known.update(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True))
        return [known[v] for v in self.kept]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """Fails unless the arrays are finite and equal to the last bit."""
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        assert not np.isnan(a).any(), i
        np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8), err_msg=f"value {i}")
