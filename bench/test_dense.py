"""Matrix products of every transposition, square and skinny, beside PyTorch (MKL)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ours
from fastconv import ops

SHAPES = ((128, 784, 512), (512, 512, 784), (1024, 1024, 1024), (1, 4096, 4096))  # batch, features, units


@pytest.mark.parametrize("direction", ("forward", "backward_input", "backward_weight"))
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def test_dense(measure: Callable[..., None], torch_ops: Any, shape: tuple[int, int, int], direction: str) -> None:
    rng = np.random.default_rng(0)
    batch, features, units = shape
    x, w, dy = (
        rng.standard_normal(extents, dtype=np.float32)
        for extents in ((batch, features), (features, units), (batch, units))
    )
    wrt = {"forward": [], "backward_input": ["x"], "backward_weight": ["w"]}[direction]
    mine = ours.operation(ops.dense, {"x": x, "w": w}, dy if wrt else None, wrt, forward=not wrt)
    measure(
        "dense",
        f"{'x'.join(map(str, shape))} {direction}",
        {"fastconv": mine, **torch_ops.dense(direction, x, w, dy)},
        flops=2 * batch * features * units,
        bytes=4 * (x.size + w.size + dy.size),
    )
