"""The compiled programs of a model: one for each batch size and purpose, made when first needed."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _cpu, config, ops
from fastconv.autodiff import gradients
from fastconv.graph import Traced, Value, nodes_behind, tracing
from fastconv.losses import Loss
from fastconv.models.optimizer_state import OptimizerState
from fastconv.plan import Plan, arena_bytes
from fastconv.plan.fuse import fuse_output_activation_into_loss, widened
from fastconv.plan.late import worth_waiting
from fastconv.plan.runs import runs_of
from fastconv.plan.sources import Sources
from fastconv.variables import Seed, Variable, gather

__all__ = [
    "ModelPlan",
    "PlanCache",
    "StepArrays",
    "as_list",
    "gather_weights",
    "gradient_plan",
    "is_mixed",
    "loss_plan",
    "predict_bytes",
    "predict_plan",
    "train_bytes",
    "train_plan",
]

# Element types of the data sets on a GPU that a plan's inputs and targets are taken from; none: the host fills them.
Stored = Sequence[str]

# Programs kept per purpose: the batch size, the last partial batch, and a few of predict's.
_KEPT = 8


def as_list(value: Any) -> list[Any]:
    """A list of one or more things, however they were given."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


class StepArrays:
    """The arrays that one run of a plan fills and reads.

    Attributes:
        inputs: one array per model input.
        outputs: one per model output.
        targets, weights: per output: what the loss compares with, and the factor of each sample's loss.
        losses: per output: the weighted total, (1,).
        total: their sum.
        rows: the samples' numbers, where inputs and targets are taken out of data sets on the device. Then ``inputs`` is
            empty, and ``targets`` are for metrics alone.
    """

    def __init__(
        self, plan: Plan, slot: int, values: Sequence[Sequence[Value]], total: Value | None, sources: Sources | None
    ) -> None:
        inputs, outputs, targets, weights, losses = values
        self.inputs = [plan.array(v, slot) for v in inputs] if sources is None else []
        self.outputs = [plan.array(v, slot) for v in outputs]
        self.targets = [np.empty(v.shape, v.dtype) if sources is not None else plan.array(v, slot) for v in targets]
        self.weights = [plan.array(v, slot) for v in weights]
        self.losses = [plan.array(v, slot) for v in losses]
        self.total = plan.array(total, slot) if total is not None else None
        self.rows = None if sources is None else plan.array(sources.rows, slot)
        self.addresses = [] if sources is None else sources.addresses


class ModelPlan(StepArrays):
    """A plan with the arrays of its first slot.

    Attributes:
        gradients: gradient of each trainable variable the loss depends on.
        seeds: of the model's layers, to be renewed before a training step.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        targets: Sequence[Value] = (),
        weights: Sequence[Value] = (),
        losses: Sequence[Value] = (),
        total: Value | None = None,
        gradients: dict[Variable, Value] | None = None,
        seeds: Sequence[Seed] = (),
        sources: Sources | None = None,
        stays: Sequence[Value] = (),
    ) -> None:
        self.seeds = tuple(seeds)
        self.plan = plan
        self._values = inputs, outputs, targets, weights, losses
        self._total = total
        self._sources = sources
        super().__init__(plan, 0, self._values, total, sources)
        self._others: dict[int, StepArrays] = {}
        self._stays = stays
        self.gradients = {variable: plan.array(v) for variable, v in (gradients or {}).items()}

    def slot(self, number: int) -> StepArrays:
        """The arrays of one of the runs that can be under way at once."""
        if number == 0:
            return self
        if number not in self._others:
            self._others[number] = StepArrays(self.plan, number, self._values, self._total, self._sources)
        return self._others[number]

    def keep(self, copies: Sequence[Any]) -> None:
        """Copies the outputs of the run that was queued last, where predictions of stored inputs stay, into arrays there."""
        for value, copy in zip(self._stays, copies, strict=True):
            self.plan.keep(value, copy)

    def run(self) -> bool:
        """Runs the program; False when the loss, or a scaled gradient, was not finite (then no weight has changed)."""
        return self.plan.run()


class PlanCache:
    """Plans by key, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Any, ModelPlan] = OrderedDict()

    def get(self, key: Any, make: Any) -> ModelPlan:
        """The plan for ``key``, made by ``make()`` if there is none."""
        key = (key, _cpu.numerics(), config.device())
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = make()
            if len(self._plans) > _KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan


def gather_weights(model: Any) -> None:
    """Moves a built model's weights side by side, once, before plans point at them: those that one optimizer changes."""
    state, trainable = model._optimizer_state, model.trainable_weights
    for weights in [trainable] if state is None else state.by_part(trainable).values():
        gather(weights)
    gather(model.non_trainable_weights)


def is_mixed(layer: Any, name: str = "mixed_") -> bool:
    """Whether the layer, or one inside, has a dtype policy whose name begins so."""
    return layer.dtype_policy.name.startswith(name) or any(is_mixed(inner, name) for inner in layer.sublayers())


def _input_values(shapes: Sequence[tuple[int, ...]], dtype: str, batch: int) -> list[Value]:
    return [Value((batch, *shape), dtype, name=f"input {i}") for i, shape in enumerate(shapes)]


def _call(model: Any, inputs: list[Value], training: bool) -> list[Value]:
    """The model's outputs; those of 16 bits in float32."""
    return [widened(value) for value in as_list(model.trace(inputs if len(inputs) > 1 else inputs[0], training))]


def predict_plan(
    model: Any, shapes: Sequence[tuple[int, ...]], batch: int, streams: bool = False, stored: Stored = ()
) -> ModelPlan:
    """Forward in inference mode; ``streams`` as in :class:`~fastconv.plan.Plan`. Of stored inputs the outputs stay where
    those are."""
    with tracing():
        inputs = _input_values(shapes, model.dtype, batch)
        outputs = _call(model, inputs, training=False)
    gather_weights(model)
    sources = _sources(inputs, stored)
    plan = Plan(inputs, outputs, streams=streams, sources=sources, shown=sources is None)
    if sources is None:
        return ModelPlan(plan, inputs, outputs)
    return ModelPlan(plan, inputs, (), sources=sources, stays=outputs)


def _sources(inputs: Sequence[Value], stored: Stored) -> Sources | None:
    return Sources(inputs, stored) if stored else None


class _Losses:
    """The loss part of a graph: targets in, one weighted total per output, and what regularizers add."""

    def __init__(self, model: Any, losses: Sequence[Loss | None], outputs: Sequence[Value], traced: Traced) -> None:
        self.targets: list[Value] = []
        self.weights: list[Value] = []
        self.totals: list[Value] = []
        self.per_sample: list[Value] = []
        for i, (loss, output) in enumerate(zip(losses, outputs, strict=True)):
            if loss is not None:
                self._add(loss, output, i)
        self.penalties = [*traced.losses, *_weight_penalties(model)]
        total = self.totals[0]
        for other in [*self.totals[1:], *self.penalties]:
            total = ops.add(total, other)
        self.total = total

    def _add(self, loss: Loss, output: Value, i: int) -> None:
        labels = loss.takes_labels
        shape = output.shape[:-1] if labels else output.shape
        target = Value(shape, "int64" if labels else output.dtype, name=f"target {i}")
        per_sample = loss.call(target, output)
        if not isinstance(per_sample, Value) or per_sample.shape[:1] != output.shape[:1]:
            raise ValueError(
                f"[{loss.name}] a loss must give one value per sample: expected shape ({output.shape[0]}, ...), got "
                f"{getattr(per_sample, 'shape', per_sample)!r}. Compute it with fastconv.ops, and leave the mean to fit."
            )
        per_sample = fuse_output_activation_into_loss(per_sample)
        weight = Value(per_sample.shape, per_sample.dtype, name=f"sample weight {i}")
        self.targets.append(target)
        self.weights.append(weight)
        self.per_sample.append(per_sample)
        self.totals.append(ops.weighted_total(per_sample, weight))


def loss_plan(
    model: Any, losses: Sequence[Loss | None], shapes: Sequence[tuple[int, ...]], batch: int, stored: Stored = ()
) -> ModelPlan:
    """Forward in inference mode, and the losses."""
    with tracing() as traced:
        inputs = _input_values(shapes, model.dtype, batch)
        outputs = _call(model, inputs, training=False)
        part = _Losses(model, losses, outputs, traced)
    kept = [*outputs, *part.totals, part.total]
    gather_weights(model)
    sources = _sources([*inputs, *part.targets], stored)
    plan = Plan([*inputs, *part.targets, *part.weights], kept, sources=sources)
    return ModelPlan(plan, inputs, outputs, part.targets, part.weights, part.totals, part.total, sources=sources)


def _weight_penalties(model: Any) -> list[Value]:
    """What the regularizers of the weights that are trained give, each once."""
    weights = dict.fromkeys(model.trainable_weights)
    return [_checked_penalty(w, w.regularizer(w)) for w in weights if w.regularizer is not None]


def _checked_penalty(weight: Variable, penalty: Any) -> Value:
    if not isinstance(penalty, Value) or penalty.shape != (1,):
        raise ValueError(
            f"[fit] the regularizer of {weight.name} must give one number: expected a value of shape (1,), got "
            f"{getattr(penalty, 'shape', penalty)!r}. Compute it with fastconv.ops, e.g. ops.penalty(w, l2=0.1)."
        )
    return penalty


def _one(dtype: str) -> Variable:
    """The cotangent of what is part of the loss as it is."""
    one = Variable(np.ones(1, dtype), "one", trainable=False)
    one.renewed = True
    return one


class _TrainingGraph:
    """Forward, losses, and the gradient of every trainable weight that the losses depend on."""

    def __init__(
        self,
        model: Any,
        losses: Sequence[Loss | None],
        shapes: Sequence[tuple[int, ...]],
        batch: int,
        training: bool = True,
        optimizer: OptimizerState | None = None,
    ) -> None:
        variables = model.trainable_weights
        self.seeds = model.seeds
        with tracing() as traced:
            self.inputs = _input_values(shapes, model.dtype, batch)
            self.outputs = _call(model, self.inputs, training=training)
            self.losses = part = _Losses(model, losses, self.outputs, traced)
            cotangents = [*part.weights, *(_one(penalty.dtype) for penalty in part.penalties)]
            if optimizer is not None:
                cotangents = optimizer.scaled(cotangents)
            found = gradients([*part.per_sample, *part.penalties], cotangents, variables)
        self.assignments = dict(traced)
        self.gradients = {v: g for v, g in zip(variables, found, strict=True) if g is not None}
        if not self.gradients:
            raise ValueError(
                "[fit] the loss must depend on a trainable weight: expected at least one gradient, got none of "
                f"{len(variables)} trainable weights. Check trainable=False, and activations without a gradient (threshold)."
            )
        self.feeds = [*self.inputs, *part.targets, *part.weights]
        self.results = [*self.outputs, *part.totals, part.total]

    def late_gradients(self, optimizer: OptimizerState | None = None) -> dict[Value, Variable]:
        """Gradients that are computed behind the guard, one by one; all of them may, if no optimizer says otherwise."""
        able = {v: g for v, g in self.gradients.items() if optimizer is None or optimizer.takes_one_by_one(v)}
        return worth_waiting(able, [*self.results, *self.assignments.values()])

    def with_plan(
        self, plan: Plan, gradients: dict[Variable, Value] | None = None, sources: Sources | None = None
    ) -> ModelPlan:
        part = self.losses
        values = self.inputs, self.outputs, part.targets, part.weights, part.totals, part.total
        return ModelPlan(plan, *values, gradients, self.seeds, sources)


def train_plan(
    model: Any,
    losses: Sequence[Loss | None],
    shapes: Sequence[tuple[int, ...]],
    batch: int,
    optimizer: OptimizerState,
    stored: Stored = (),
) -> ModelPlan:
    """Forward, losses and backward, then the optimizer's steps behind a guard on the loss, and with a loss scale one on the
    gradients."""
    if config.device() == "cpu" and is_mixed(model):
        warnings.warn(
            "[fit] mixed precision is for GPUs: expected set_device('cuda'), got 'cpu', which has no kernels of 16 bits and "
            "computes mixed layers in float32. Set the device, or the dtype policy float32.",
            stacklevel=2,
        )
    graph = _TrainingGraph(model, losses, shapes, batch, optimizer=optimizer)
    _refuse_thresholds(graph)
    gather_weights(model)
    assignments = runs_of(graph.assignments)
    late = graph.late_gradients(optimizer)
    updates, runs = optimizer.step(graph.gradients, assignments, late)
    parts = {value: place for run in runs for value, place in run.parts.items()}
    sources = _sources([*graph.inputs, *graph.losses.targets], stored)
    plan = Plan(
        graph.feeds, graph.results, graph.losses.total, updates, assignments, parts, late, streams=True, sources=sources
    )
    return graph.with_plan(plan, sources=sources)


def _refuse_thresholds(graph: _TrainingGraph) -> None:
    """ValueError where a gradient would have to pass a threshold: it is zero behind one, and nothing there would learn."""
    for node in nodes_behind(graph.gradients.values()):
        activation = node.attrs.get("activation") or ("", 0)
        if "backward" in node.op.name and activation[0] == "threshold":
            raise ValueError(
                "[fit] a threshold has no slope to learn by: expected activations with a gradient before the loss, got "
                "'threshold' (or 'step') above a trainable weight. Train with sigmoid or relu, or by the perceptron's rule "
                "(examples/perceptron.py)."
            )


def gradient_plan(
    model: Any, losses: Sequence[Loss | None], shapes: Sequence[tuple[int, ...]], batch: int, training: bool
) -> ModelPlan:
    """Forward, losses and backward; the gradients are kept for the caller to read."""
    graph = _TrainingGraph(model, losses, shapes, batch, training)
    gather_weights(model)
    plan = Plan(graph.feeds, [*graph.results, *graph.gradients.values()], streams=True)
    return graph.with_plan(plan, graph.gradients)


def predict_bytes(model: Any, shapes: Sequence[tuple[int, ...]], batch: int) -> int:
    """Memory of the values of a prediction, weights not counted."""
    with tracing():
        inputs = _input_values(shapes, model.dtype, batch)
        outputs = _call(model, inputs, training=False)
    return arena_bytes(inputs, outputs)


def train_bytes(model: Any, losses: Sequence[Loss | None], shapes: Sequence[tuple[int, ...]], batch: int) -> int:
    """Memory of the values and gradients of a training step without clipping by all gradients' norm; weights and optimizer
    state not counted."""
    graph = _TrainingGraph(model, losses, shapes, batch)
    late = graph.late_gradients()
    others = [gradient for gradient in graph.gradients.values() if gradient not in late]
    return arena_bytes(graph.feeds, [*graph.results, *others], late)
