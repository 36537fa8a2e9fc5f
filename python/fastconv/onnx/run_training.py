"""ONNX's optimizers of the domain ai.onnx.preview.training, computed by fastconv's kernels.

A node updates several tensors: its inputs are R (the rate), T (steps so far), all tensors, all gradients, then their states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import _cpu, ops
from fastconv.onnx.reading import OnnxNode

__all__ = ["KERNELS"]

Arrays = list[Any]
_NO_STEP_YET = 10**9  # a step at which Adam no longer corrects its bias: ONNX does not either at T = 0


def _update(kernel: str, hyper: list[float], gradient: np.ndarray, changed: list[np.ndarray | None]) -> None:
    """One step of an optimizer kernel; ``changed`` are the tensor and its states, in the kernel's order."""
    numbers = np.zeros(8)
    numbers[: len(hyper)] = hyper
    program = _cpu.Program()
    spec = _cpu.VectorSpec.make(gradient.dtype.name, kernel, gradient.shape)
    program.add(kernel, spec, [np.ascontiguousarray(gradient), numbers, *changed])
    program.run()


def _grouped(inputs: Arrays, states: int) -> tuple[float, int, list[list[np.ndarray]]]:
    """Rate, steps, and for each tensor: itself, its gradient and its states; copies, but for the gradient."""
    rate, steps, *rest = inputs
    count = len(rest) // (2 + states)
    groups = [[array.copy() for array in rest[i::count]] for i in range(count)]
    return float(rate), int(steps), groups


def _in_order(groups: list[list[np.ndarray]]) -> tuple[np.ndarray, ...]:
    """All tensors, then all first states, then all second ones."""
    return tuple(array for part in zip(*groups, strict=True) for array in part)


def _momentum(node: OnnxNode, inputs: Arrays) -> tuple[np.ndarray, ...]:
    rate, steps, groups = _grouped(inputs, 1)
    beta = node.attrs["beta"] if steps > 0 else 1.0
    nesterov = node.attrs["mode"] == "nesterov"
    if beta <= 0 or (nesterov and beta != 1):
        raise ValueError(f"beta must be above 0, and 1 for Nesterov's momentum: got {beta}")
    for x, gradient, velocity in groups:
        velocity /= beta  # the kernel's velocity counts gradients once
        hyper = [rate * beta, node.attrs["alpha"], nesterov, node.attrs["norm_coefficient"]]
        _update("torch_sgd_update", hyper, gradient, [x, velocity])
        velocity *= beta
    return _in_order([[x, velocity] for x, _, velocity in groups])


def _adam(node: OnnxNode, inputs: Arrays) -> tuple[np.ndarray, ...]:
    rate, steps, groups = _grouped(inputs, 2)
    decay, after = node.attrs.get("norm_coefficient", 0.0), node.attrs.get("norm_coefficient_post", 0.0)
    numbers = [node.attrs.get("alpha", 0.9), node.attrs.get("beta", 0.999), node.attrs.get("epsilon", 1e-6), 0.0]
    for x, gradient, *moments in groups:
        regular = ops.add(gradient, ops.scale(x, decay))
        _update("adam_update", [rate, *numbers, steps if steps > 0 else _NO_STEP_YET], regular, [x, *moments, None])
        x *= 1 - after
    return _in_order([[x, *moments] for x, _, *moments in groups])


def _adagrad(node: OnnxNode, inputs: Arrays) -> tuple[np.ndarray, ...]:
    """Adam's kernel without memory of gradients: ONNX adds epsilon to the root, the kernel ``adagrad_update`` under it.

    With beta_2 = 1/2 its average of squares is (h + g²) / 2, half of what Adagrad has then, and its root smaller by √2.
    """
    rate, steps, groups = _grouped(inputs, 1)
    rate /= 1 + steps * node.attrs.get("decay_factor", 0.0)
    decay, epsilon = node.attrs.get("norm_coefficient", 0.0), node.attrs.get("epsilon", 1e-6)
    for x, gradient, squares in groups:
        regular = ops.add(gradient, ops.scale(x, decay))
        numbers = [rate / math.sqrt(2), 0.0, 0.5, epsilon / math.sqrt(2), 0.0, _NO_STEP_YET]
        _update("adam_update", numbers, regular, [x, np.zeros_like(x), squares, None])
        squares *= 2
    return _in_order([[x, squares] for x, _, squares in groups])


KERNELS: dict[str, Callable[[OnnxNode, Arrays], Any]] = {
    "ai.onnx.preview.training.Adagrad": _adagrad,
    "ai.onnx.preview.training.Adam": _adam,
    "ai.onnx.preview.training.Momentum": _momentum,
}
