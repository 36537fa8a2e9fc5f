"""What an optimizer keeps for a model: its slots, and the numbers its kernels read each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv import _cpu, ops
from fastconv.graph import Update, Value
from fastconv.optimizers import LossScaleOptimizer
from fastconv.optimizers.averaging import Averaging
from fastconv.optimizers.rule import Rule
from fastconv.plan.runs import Run, runs_of
from fastconv.variables import Buffer, Variable, gather

__all__ = ["OptimizerState"]


class OptimizerState:
    """Slots are laid out like the variables they belong to, so a step is one kernel call per run of variables.

    Args:
        optimizer: the rules.
        paths: gives the model's weights by path, once it is built.

    Attributes:
        slots: by variable and name; those that have been asked for.
        unscaling: 1 / the loss scale of the next step.
        averaged: the variables that the newest training plan averages, and the names of the slots with their averages.
    """

    def __init__(self, optimizer: Any, paths: Callable[[], Mapping[str, Variable]]) -> None:
        self.optimizer = optimizer
        self.slots: dict[Variable, dict[str, Variable]] = {}
        self.averaged: dict[Variable, str] = {}
        self.swapped = False  # whether the averages are in the model, and the weights in their slots
        self._copies: list[tuple[Variable, str]] = []  # further slots that begin as weights
        self.unscaling = np.ones(1, np.float64)
        self._scales: dict[str, Variable] = {}  # by dtype
        self._paths = paths
        self._parts: dict[Variable, Any] = {}
        self._rules: dict[Variable, Rule] = {}
        self._buffers: dict[tuple[Buffer, str], Buffer] = {}  # a slot of all that a buffer of variables holds
        self._hyper: dict[Any, np.ndarray] = {}  # the numbers of the next step, for each that declares some
        self._limits: dict[Any, np.ndarray] = {}  # clipvalue and clipnorm, infinite where there is none

    # Which rule.

    def part_for(self, variable: Variable) -> Any:
        """The optimizer that changes a variable: the model's own, or one that it is made of."""
        if variable not in self._parts:
            self._look_up()
        return self._parts[variable]

    def rule_for(self, variable: Variable) -> Rule:
        """How it does."""
        if variable not in self._rules:
            self._look_up()
        return self._rules[variable]

    def _look_up(self) -> None:
        paths = self._paths().items()
        self._parts = {variable: self.optimizer.part_for(path) for path, variable in paths}
        self._rules = {v: self._parts[v].rule_for(path, v.shape) for path, v in paths}

    def by_part(self, variables: Iterable[Variable]) -> dict[Any, list[Variable]]:
        """The variables of each optimizer."""
        parts: dict[Any, list[Variable]] = {}
        for variable in variables:
            parts.setdefault(self.part_for(variable), []).append(variable)
        return parts

    def _averaging(self, variable: Variable) -> Averaging | None:
        return self.optimizer.averaging or self.part_for(variable).averaging

    # Slots.

    def slot_names(self, variable: Variable) -> list[str]:
        """What may be kept for a variable."""
        part, averaging = self.part_for(variable), self._averaging(variable)
        return [
            *self.rule_for(variable).slots(),
            *([part.accumulation.slot] if part.accumulation else []),
            *([averaging.slot] if averaging else []),
        ]

    def slot(self, variable: Variable, name: str) -> Variable:
        """A slot, made with its initial values when first asked for."""
        slots = self.slots.setdefault(variable, {})
        if name not in slots:
            slots[name] = self._place(variable, name)
            slots[name].array[...] = self._initial(variable, name)
        return slots[name]

    def restart(self, variable: Variable, name: str) -> None:
        """Gives a slot its initial values again."""
        self.slot(variable, name).array[...] = self._initial(variable, name)

    def _place(self, variable: Variable, name: str) -> Variable:
        """Memory laid out like the variable's; a slot of another shape has some of its own."""
        shape = self.rule_for(variable).slot_shape(name, variable.shape)
        if shape != variable.shape:
            return Variable.at(Buffer(math.prod(shape), variable.dtype), 0, shape, name)
        gather([variable])
        assert variable.buffer is not None
        return Variable.at(self._buffer(variable.buffer, name), variable.offset, shape, name)

    def _initial(self, variable: Variable, name: str) -> Any:
        part = self.part_for(variable)
        if part.accumulation is not None and name == part.accumulation.slot:
            return 0.0
        value = self.rule_for(variable).slots().get(name)  # averages have none
        return variable.array if value is None else value

    def _buffer(self, buffer: Buffer, name: str) -> Buffer:
        if (buffer, name) not in self._buffers:
            self._buffers[buffer, name] = Buffer(buffer.size, buffer.dtype)
        return self._buffers[buffer, name]

    def _slots_of(self, run: Run, names: Iterable[str]) -> list[Variable]:
        """Slots of all the variables of a run, each as one; flat where they have shapes of their own."""
        return [self._slot_of(run, name) for name in names]

    def _slot_of(self, run: Run, name: str) -> Variable:
        slots = [self.slot(variable, name) for variable in run.variables]
        if slots[0].shape == run.variables[0].shape:
            return run.of(self._buffer(run.buffer, name))
        assert slots[0].buffer is not None
        return Variable.at(slots[0].buffer, 0, (slots[0].size,), name)

    # What a plan runs.

    def scaled(self, cotangents: Sequence[Value]) -> list[Value]:
        """The losses' cotangents times the loss scale, where there is one."""
        if self.optimizer.loss_scale is None:
            return list(cotangents)
        return [ops.multiply(cotangent, self._scale(cotangent.dtype)) for cotangent in cotangents]

    def _scale(self, dtype: str) -> Variable:
        if dtype not in self._scales:
            scale = Variable(np.array([self.optimizer.loss_scale], dtype), "loss_scale", trainable=False)
            scale.renewed = True
            self._scales[dtype] = scale
        return self._scales[dtype]

    def takes_one_by_one(self, variable: Variable) -> bool:
        """Whether the variable's gradient may be gone when those of others are computed: no step looks at all of them first."""
        return self.optimizer.loss_scale is None and self.part_for(variable).global_clipnorm is None

    def step(
        self, gradients: Mapping[Variable, Value], statistics: Sequence[Run], late: Container[Value] = ()
    ) -> tuple[list[Update], list[Run]]:
        """The calls that end a training step, in order, and the runs of gradients that they read. With a loss scale, a
        gradient that is not finite stops them.

        Args:
            gradients: of the variables to be changed.
            statistics: the variables that have taken their values before, moving means and variances.
            late: gradients that have runs of their own; all calls that take one are next to each other.
        """
        updates: list[Update] = []
        runs: list[Run] = []
        self.averaged, self._copies = {}, []
        for part, variables in self.by_part(gradients).items():
            alone = [v for v in variables if gradients[v] in late]
            own = [run for v in alone for run in runs_of({v: gradients[v]})]
            own += runs_of({v: gradients[v] for v in variables if gradients[v] not in late})
            for group in [[run] for run in own] if part.global_clipnorm is None else [own]:
                updates += self._step(part, group, gradients)
            runs += own
            self._copies += [
                (v, name) for v in variables for name, value in self.rule_for(v).slots().items() if value is None
            ]
        if self.optimizer.averaging is not None and self.optimizer.averaging.moving_statistics:
            updates += [update for run in statistics for update in self._average(self.optimizer.averaging, run)]
        return updates, runs

    def _step(self, part: Any, runs: Sequence[Run], gradients: Mapping[Variable, Value]) -> list[Update]:
        """The calls for runs whose gradients are changed together."""
        updates = [update for run in runs for update in (*self._unscaling(run), *self._accumulation(part, run))]
        updates += [update for run in runs for update in self._clipping(part, run)]
        updates += self._global_clipping(part, runs)
        for run in runs:
            updates += self._update(part, run, gradients)
            updates += self._average(self.optimizer.averaging or part.averaging, run)
            updates += [_constrained(v) for v in run.variables if v.constraint is not None]
        return updates

    def _update(self, part: Any, run: Run, gradients: Mapping[Variable, Value]) -> list[Update]:
        """The calls for the run, or for each of its variables where the rule looks at whole ones."""
        updates = []
        for one in _single(run, gradients) if part.whole_variables else [run]:
            first = one.variables[0]
            rule = self.rule_for(first)
            slots = self._slots_of(one, rule.slots())
            updates += rule.updates(one.value, one.of(one.buffer), slots, first.shape, self._numbers)
        return updates

    def _accumulation(self, part: Any, run: Run) -> list[Update]:
        if part.accumulation is None:
            return []
        spec = _cpu.VectorSpec.make(run.value.dtype, "gradient_accumulate", run.value.shape)
        (total,) = self._slots_of(run, [part.accumulation.slot])
        return [Update("gradient_accumulate", spec, [self._numbers(part.accumulation), run.value, total])]

    def _average(self, averaging: Averaging | None, run: Run) -> list[Update]:
        if averaging is None:
            return []
        self.averaged |= dict.fromkeys(run.variables, averaging.slot)
        spec = _cpu.VectorSpec.make(run.value.dtype, "average_update", run.value.shape)
        (average,) = self._slots_of(run, [averaging.slot])
        return [Update("average_update", spec, [self._numbers(averaging), run.of(run.buffer), average])]

    def _unscaling(self, run: Run) -> list[Update]:
        if self.optimizer.loss_scale is None:
            return []
        spec = _cpu.VectorSpec.make(run.value.dtype, "unscale", run.value.shape)
        finite = Value((1,), run.value.dtype, name="finite")
        return [Update("unscale", spec, [self.unscaling, run.value, finite], guard=finite)]

    def _clipping(self, part: Any, run: Run) -> list[Update]:
        """Every element for itself in one call; a norm is a variable's own."""
        limits = self._limits.setdefault(part, np.array(part.clip(), np.float64))
        value_limit, norm_limit = limits
        if math.isinf(norm_limit):
            gradients = [] if math.isinf(value_limit) else [run.value]
        else:
            gradients = list(run.parts) or [run.value]
        return [
            Update("gradient_clip", _cpu.VectorSpec.make(g.dtype, "gradient_clip", g.shape), [limits, g])
            for g in gradients
        ]

    def _global_clipping(self, part: Any, runs: Sequence[Run]) -> list[Update]:
        """The squares of all gradients are summed before any is changed."""
        if part.global_clipnorm is None or not runs:
            return []
        dtypes = {run.value.dtype for run in runs}
        if len(dtypes) > 1:
            raise ValueError(
                f"[fit] global_clipnorm takes weights of one type: expected one dtype, got {sorted(dtypes)}. Give every layer the "
                "same dtype policy, or use clipnorm."
            )
        (dtype,) = dtypes
        updates: list[Update] = []
        total: Value | None = None
        for run in runs:
            squares = Value((1,), dtype, name="squares")
            spec = _cpu.VectorSpec.make(dtype, "dot", run.value.shape)
            updates.append(Update("dot", spec, [run.value, run.value, squares]))
            if total is not None:
                total, before = Value((1,), dtype, name="squares"), total
                add = _cpu.BinarySpec.make(dtype, "add", (1,), (1,))
                updates.append(Update("binary_forward", add, [before, squares, total]))
            else:
                total = squares
        limit = self._limits.setdefault((part, "global"), np.array([part.global_clipnorm], np.float64))
        for run in runs:
            spec = _cpu.VectorSpec.make(dtype, "gradient_shrink", run.value.shape)
            updates.append(Update("gradient_shrink", spec, [limit, total, run.value]))
        return updates

    def _numbers(self, rule: Any) -> np.ndarray:
        return self._hyper.setdefault(rule, np.zeros(8, np.float64))

    # Before a step, and after the last.

    def prepare_step(self) -> None:
        """Writes the numbers of the next step."""
        step = self.optimizer.steps + 1
        for rule, array in self._hyper.items():
            array[:] = rule.hyper(step)
        scale = self.optimizer.loss_scale
        if scale is not None:
            self.unscaling[0] = 1 / scale
            for variable in self._scales.values():
                variable.array[0] = scale
        if step == 1:  # weights may have been set since the plan was made
            for variable, name in (*self.averaged.items(), *self._copies):
                self.slot(variable, name).array[...] = variable.array

    def settle_step(self, taken: bool, loss: float) -> bool:
        """Says how a step has ended, before the next is prepared where there is a loss scale.

        Args:
            taken: False where a guard stopped it. loss: its loss.

        Returns:
            Whether training goes on: the step was taken, or skipped because a scaled gradient was not finite.
        """
        if not isinstance(self.optimizer, LossScaleOptimizer) or not math.isfinite(loss):
            return taken
        self.optimizer.update_scale(finite=taken)
        return True

    def swap_averages(self) -> None:
        """Exchanges the weights and their averages, where there are any."""
        self.swapped = not self.swapped
        for variable, name in self.averaged.items():
            slot = self.slot(variable, name)
            kept = variable.numpy()
            variable.array[...] = slot.array
            slot.array[...] = kept

    def finish(self) -> None:
        """The weights become their averages, where there are any."""
        if self.swapped:
            self.swap_averages()
        for variable, name in self.averaged.items():
            variable.array[...] = self.slot(variable, name).array


def _single(run: Run, gradients: Mapping[Variable, Value]) -> list[Run]:
    """The variables of a run, each as a run of its own."""
    return [Run(run.buffer, v.offset, v.offset + v.size, (v,), gradients[v], {}) for v in run.variables]


def _constrained(variable: Variable) -> Update:
    """What a variable's constraint does behind every step."""
    kernel, spec = variable.constraint.lowered(variable.dtype, variable.shape)
    return Update(kernel, spec, [variable])
