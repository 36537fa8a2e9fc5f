"""fastconv's side of an operation: its kernels as a model's program runs them, results in planned memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import fastconv
from contest import Contestant
from fastconv import _cpu, optimizers
from fastconv.autodiff import gradients
from fastconv.graph import Value, tracing
from fastconv.plan import Plan


def operation(
    function: Callable[..., Any],
    arrays: Mapping[str, np.ndarray],
    dy: np.ndarray | None = None,
    wrt: Sequence[str] = (),
    forward: bool = True,
    precision: str = "fast",
) -> Contestant:
    """``function(**arrays)`` and, with ``dy``, the gradients for ``wrt``; without ``forward`` only what these need."""
    fastconv.set_precision(precision)
    with tracing():
        values = {name: Value(a.shape, a.dtype.name, name=name) for name, a in arrays.items()}
        y = function(**values)
        y = y[0] if isinstance(y, tuple) else y
        given, results = dict(zip(values.values(), arrays.values(), strict=True)), [y] if forward else []
        if dy is not None:
            given[cotangent := Value(y.shape, y.dtype, name="dy")] = dy
            results += gradients([y], [cotangent], [values[name] for name in wrt])
    plan = Plan(list(given), results)
    for value, array in given.items():
        plan.array(value)[...] = array
    fastconv.set_precision("fast")
    return Contestant(plan.run, lambda: [plan.run(), *(plan.array(v).copy() for v in results)][1:])


def adam(weights: np.ndarray, gradient: np.ndarray) -> Contestant:
    """One step of Adam on one flat array of weights, again and again; the results are those after the first."""
    optimizer = optimizers.Adam()
    spec = _cpu.VectorSpec.make(weights.dtype.name, optimizer.kernel, weights.shape)
    trained, *moments = (np.array(a) for a in (weights, np.zeros_like(weights), np.zeros_like(weights)))
    program = _cpu.Program()
    program.add(optimizer.kernel, spec, [gradient, optimizer.hyper(1), trained, *moments, None])  # no v_hat

    def results() -> list[np.ndarray]:
        program.run()
        return [trained.copy()]

    return Contestant(program.run, results)
