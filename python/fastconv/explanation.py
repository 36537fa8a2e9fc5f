"""``fastconv.explain``: where the time of a step goes, and what limits it."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import _html, config, random
from fastconv.errors import DeviceError
from fastconv.machine import Machine, measured_machine
from fastconv.models import plans
from fastconv.models.batches import batch_size_of
from fastconv.models.optimizer_state import OptimizerState
from fastconv.models.training import Trainable
from fastconv.ops import _numbers

__all__ = ["Explanation", "Row", "explain"]

_SECONDS = 0.5  # of repetitions, at least _REPETITIONS
_REPETITIONS = 3


@dataclass(frozen=True)
class Row:
    """One kernel call of a step.

    Attributes:
        kernel, problem: its name, and the shapes as the spec writes them.
        algorithm: how it is computed; empty where there is one way.
        flops: floating-point operations of the definition.
        executed: those that the algorithm does (Winograd's needs fewer; strict products on matrix tiles count twice).
        bytes: each tensor read or written once.
        predicted: seconds on a machine whose limits are reached.
        measured: seconds, the shortest of several runs.
        limit: "arithmetic", "memory" or "call": what the prediction waits for.
    """

    kernel: str
    problem: str
    algorithm: str
    flops: float
    executed: float
    bytes: float
    predicted: float
    measured: float
    limit: str

    @property
    def percent(self) -> float:
        """Predicted over measured time, in per cent: how close the call comes to its limit."""
        return 100 * self.predicted / self.measured if self.measured else 100.0


_HEADER = (
    "kernel",
    "problem",
    "algorithm",
    "MFLOP",
    "MB",
    "predicted us",
    "measured us",
    "GFLOP/s",
    "GB/s",
    "limit",
    "%",
)
_LEFT = (0, 1, 2, 9)  # columns of words


class Explanation:
    """The rows of a step, in order; ``print`` shows a table, and so does a notebook.

    Attributes:
        rows: one :class:`Row` per kernel call.
        machine: the limits that predictions use.
        title: what was explained.
    """

    def __init__(self, title: str, rows: Sequence[Row], machine: Machine) -> None:
        self.title = title
        self.rows = list(rows)
        self.machine = machine

    @property
    def total(self) -> Row:
        """All rows as one."""
        return Row(
            kernel="total",
            problem=f"{len(self.rows)} calls",
            algorithm="",
            flops=sum(r.flops for r in self.rows),
            executed=sum(r.executed for r in self.rows),
            bytes=sum(r.bytes for r in self.rows),
            predicted=sum(r.predicted for r in self.rows),
            measured=sum(r.measured for r in self.rows),
            limit="",
        )

    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells(row) for row in [*self.rows, self.total]]

    def _machine_text(self) -> str:
        rates = ", ".join(f"{rate / 1e9:.0f} GB/s at {_size(size)}" for size, rate in self.machine.bandwidth)
        tiles = f" ({self.machine.split_flops / 1e9:.0f} on matrix tiles)" if self.machine.split_flops else ""
        return f"This machine: {self.machine.flops / 1e9:.0f} GFLOP/s{tiles}, {rates}, {self.machine.call * 1e6:.2f} us per call."

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[i]) for row in [_HEADER, *cells]) for i in range(len(_HEADER))]

        def line(row: Sequence[str]) -> str:
            texts = (
                f"{c:<{w}}" if i in _LEFT else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
            return "  ".join(texts).rstrip()

        rule = "  ".join("-" * width for width in widths)
        return "\n".join(
            [self.title, line(_HEADER), rule, *map(line, cells[:-1]), rule, line(cells[-1]), self._machine_text()]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = _html.table(_HEADER, self._cells(), self.title, _LEFT)
        return f"{table}<p>{html.escape(self._machine_text())}</p>"


def explain(model: Any, batch_size: int = 32, training: bool = True) -> Explanation:
    """Says of every kernel call of a step what it computes, how, how long it takes, and what limits it.

    The step runs a few times on random samples. Weights are put back afterwards; the optimizer, the random state and
    compiled programs are not touched.

    Args:
        model: a model whose input shape is known; compiled, if ``training``.
        batch_size: samples per step.
        training: a training step, or a forward pass as in ``predict``.

    Returns:
        An :class:`Explanation`: print it, or read its ``rows``.

    Raises:
        TypeError: if ``model`` is not a model. RuntimeError: before compile(), if ``training``. DeviceError: while models
        live on a GPU.

    Example:
        >>> import fastconv
        >>> from fastconv import layers, models
        >>> model = models.Sequential([layers.Input((4,)), layers.Dense(3)])
        >>> [row.kernel for row in fastconv.explain(model, 8, training=False).rows]
        ['dense_forward']
    """
    if not isinstance(model, Trainable):
        raise TypeError(
            f"[explain] model must be a model: expected Sequential or Model, got {type(model).__name__}. Pass a model."
        )
    if config.device() != "cpu":
        raise DeviceError(
            f"[explain] the CPU's program is what can be explained: expected set_device('cpu'), got {config.device()!r}. On a "
            "GPU use NVIDIA's profilers, nsys and ncu."
        )
    batch = batch_size_of("explain", batch_size)
    training = _numbers.as_bool("explain", "training", training)
    with model._lock:
        plan = _plan(model, batch, training)
        machine = measured_machine(model.dtype)
        before = [weight.array.copy() for weight in model.weights]
        try:
            seconds = _measured(plan.plan.program)
        finally:
            for weight, array in zip(model.weights, before, strict=True):
                weight.array[...] = array
    program = plan.plan.program
    rows = [
        _row(machine, step, cost, measured)
        for step, cost, measured in zip(program.steps, program.costs, seconds, strict=True)
    ]
    step = "training step" if training else "forward pass"
    return Explanation(f"{model.name}: {step} of {batch} samples", rows, machine)


def _plan(model: Any, batch: int, training: bool) -> plans.ModelPlan:
    """A program of its own, with an optimizer state of its own, filled with random samples."""
    losses = model._need_compile("explain") if training else []
    generator = random.generator(0)  # not a draw from the global stream
    x = [generator.standard_normal((batch, *shape)) for shape in model._sample_shapes()]
    model._prepare_inputs("explain", x if len(x) > 1 else x[0])
    if not training:
        plan = plans.predict_plan(model, model._sample_shapes(), batch)
    else:
        optimizer = OptimizerState(model.optimizer, model.weights_by_path)
        plan = plans.train_plan(model, losses, model._sample_shapes(), batch, optimizer)
        optimizer.prepare_step()
    for array, values in zip(plan.inputs, x, strict=True):
        array[...] = values
    for array in plan.targets:
        array[...] = 0
    for array in plan.weights:
        array[...] = 1 / max(array.size, 1)
    return plan


def _measured(program: Any) -> np.ndarray:
    best = np.array(program.run_timed())
    end, repetitions = time.perf_counter() + _SECONDS, 1
    while repetitions < _REPETITIONS or time.perf_counter() < end:
        best = np.minimum(best, program.run_timed())
        repetitions += 1
    return best


def _row(machine: Machine, step: tuple[str, str], cost: tuple[str, float, float, float], measured: float) -> Row:
    algorithm, flops, executed, nbytes = cost
    waits = {
        "arithmetic": machine.arithmetic(executed, algorithm),
        "memory": nbytes / machine.bytes_per_second(nbytes),
        "call": machine.call,
    }
    limit = max(waits, key=waits.__getitem__)
    predicted = machine.predicted(executed, nbytes, algorithm)
    return Row(*step, algorithm, flops, executed, nbytes, predicted, float(measured), limit)


def _cells(row: Row) -> tuple[str, ...]:
    seconds = max(row.measured, 1e-9)
    return (
        row.kernel,
        row.problem,
        row.algorithm,
        f"{row.flops / 1e6:.3f}",
        f"{row.bytes / 1e6:.3f}",
        f"{row.predicted * 1e6:.1f}",
        f"{row.measured * 1e6:.1f}",
        f"{row.flops / seconds / 1e9:.1f}",
        f"{row.bytes / seconds / 1e9:.1f}",
        row.limit,
        f"{row.percent:.0f}",
    )


def _size(nbytes: float) -> str:
    return f"{nbytes / 2**20:.0f} MiB" if nbytes >= 2**20 else f"{nbytes / 2**10:.0f} KiB"
