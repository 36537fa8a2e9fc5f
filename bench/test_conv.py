"""The convolutions of real networks, forward and both gradients, beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ours
from fastconv import ops
from fastconv.testing.cases import Case, cases

DIRECTIONS = ("forward", "backward_input", "backward_weight")
CASES = cases("conv2d", tag="bench")


def _entries() -> list[tuple[Case, str]]:
    """A network's first layer (3 channels or 1) has no gradient for its input."""
    return [(c, d) for c in CASES for d in DIRECTIONS if d != "backward_input" or c.shapes["x"][-1] > 3]


@pytest.mark.parametrize(
    "case,direction", [pytest.param(c, d, id=f"{c.name.removeprefix('bench.')}-{d}") for c, d in _entries()]
)
def test_conv2d(measure: Callable[..., None], torch_ops: Any, case: Case, direction: str) -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(case.shapes[name], dtype=np.float32) for name in ("x", "w"))
    w /= np.sqrt(w[..., 0].size).astype(np.float32)
    dy = rng.standard_normal(ops.conv2d(x, w, **case.kwargs).shape, dtype=np.float32)
    wrt = {"forward": [], "backward_input": ["x"], "backward_weight": ["w"]}[direction]

    def mine(precision: str) -> ours.Contestant:
        return ours.operation(
            lambda x, w: ops.conv2d(x, w, **case.kwargs),
            {"x": x, "w": w},
            dy if wrt else None,
            wrt,
            forward=not wrt,
            precision=precision,
        )

    numbers = {"stride": 1, "padding": 0, "groups": 1, **case.kwargs}
    contestants = {
        "fastconv": mine("fast"),
        "fastconv strict": mine("strict"),
        **torch_ops.conv2d(direction, x, w, dy, **numbers),
    }
    name = f"{case.name.removeprefix('bench.')} {direction}"
    facts = {"shape": _told(x.shape, w.shape, **numbers), "flops": 2 * dy.size * w[..., 0].size}
    facts["bytes"] = 4 * (x.size + w.size + dy.size)
    measure(
        "convolution", name, contestants, **facts, window=w.shape[0], stride=numbers["stride"], channels=w.shape[2:]
    )


def _told(x: tuple[int, ...], w: tuple[int, ...], stride: int, padding: int, groups: int) -> str:
    extra = [
        f"{key}{value}"
        for key, value, usual in (("s", stride, 1), ("p", padding, 0), ("g", groups, 1))
        if value != usual
    ]
    return " ".join([f"{','.join(map(str, x))} -> {w[3]}, {w[0]}x{w[1]}", *extra])
