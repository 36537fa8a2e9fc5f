"""Every case tagged "bench", forward and both gradients: seconds, GFLOP/s and per cent of the session's peak.

python -m pytest bench                                              all of them
python -m pytest bench -k "cifar2 and forward"                      one
python -m pytest bench --benchmark-json=bench/results/ops.json      with machine, versions and every round
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastconv import ops
from fastconv.graph import Value, tracing
from fastconv.testing import compare
from fastconv.testing.cases import Case, case_id, cases

_NEEDS = {"forward": None, "backward_input": (True, False, False), "backward_weight": (False, True, True)}


@pytest.mark.parametrize("direction", _NEEDS)
@pytest.mark.parametrize("case", cases("conv2d", tag="bench"), ids=case_id)
def test_conv2d(benchmark: Any, report_rate: Callable[[Any, float], None], case: Case, direction: str) -> None:
    inputs = compare.random_inputs(case, np.random.default_rng(0), np.float32)
    y = compare.forward(ops, case, inputs)
    assert np.isfinite(y).all()
    if direction == "forward":
        benchmark(ops.conv2d, *inputs.values(), **case.kwargs, out=y)
    else:
        dy = compare.cotangent(y, np.random.default_rng(1))
        benchmark(compare.backward, ops, case, dy, inputs, _NEEDS[direction])
    report_rate(benchmark, _flops(case))


def _flops(case: Case) -> float:
    """Multiplications and additions of the forward; either gradient takes as many."""
    with tracing():
        y = ops.conv2d(*(Value(shape, "float32") for shape in case.shapes.values()), **case.kwargs)
    return sum(call.spec.flops(call.kernel) for call in y.node.lowered.calls)
