"""PyTorch's side of the operations that the memory's bandwidth bounds: into new arrays, and into arrays that are there.

Every function gives ``mode -> Contestant`` for the forward, or for forward and backward where ``dy`` is given. The modes "out="
write into the same arrays every time, as fastconv's programs do: no page is ever new to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from contest import Contestant
from peers.torch_ops import aten, contestant, in_each_format

Modes = dict[str, Contestant]

# name -> (forward, backward of (dy, x, y)); the overloads of both that take an array to write to.
_ACTIVATIONS: dict[str, tuple[Any, Callable[..., Any], Any, Callable[..., Any]]] = {
    "relu": (
        *(aten.relu, lambda dy, x, y: aten.threshold_backward(dy, y, 0)),
        *(aten.relu.out, lambda dy, x, y, dx: aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx)),
    ),
    "gelu": (
        *(aten.gelu, lambda dy, x, y: aten.gelu_backward(dy, x)),
        *(aten.gelu.out, lambda dy, x, y, dx: aten.gelu_backward.grad_input(dy, x, grad_input=dx)),
    ),
    "tanh": (
        *(aten.tanh, lambda dy, x, y: aten.tanh_backward(dy, y)),
        *(aten.tanh.out, lambda dy, x, y, dx: aten.tanh_backward.grad_input(dy, y, grad_input=dx)),
    ),
    "sigmoid": (
        *(aten.sigmoid, lambda dy, x, y: aten.sigmoid_backward(dy, y)),
        *(aten.sigmoid.out, lambda dy, x, y, dx: aten.sigmoid_backward.grad_input(dy, y, grad_input=dx)),
    ),
}


def activation(name: str, x: np.ndarray, dy: np.ndarray | None) -> Modes:
    forward, backward, forward_out, backward_out = _ACTIVATIONS[name]
    tx, y, dx = torch.from_numpy(x), torch.empty(x.shape), torch.empty(x.shape)
    if dy is None:
        return _both(lambda: forward(tx), lambda: forward_out(tx, out=y))
    tdy = torch.from_numpy(dy)

    def new() -> Any:
        made = forward(tx)
        return made, backward(tdy, tx, made)

    def reused() -> Any:
        forward_out(tx, out=y)
        return y, backward_out(tdy, tx, y, dx)

    return _both(new, reused)


def add(a: np.ndarray, b: np.ndarray) -> Modes:
    ta, tb, y = torch.from_numpy(a), torch.from_numpy(b), torch.empty(a.shape)
    return _both(lambda: ta + tb, lambda: torch.add(ta, tb, out=y))


def max_pool(x: np.ndarray, dy: np.ndarray | None) -> Modes:
    window = ([2, 2], [2, 2], [0, 0], [1, 1], False)
    made: Modes = {}
    for mode, (tx, *tdy) in in_each_format([x] if dy is None else [x, dy]):
        y, indices = (t.clone() for t in aten.max_pool2d_with_indices(tx, *window))
        dx = torch.empty_like(tx)

        def new(tx: Any = tx, tdy: Any = tdy) -> Any:
            y, indices = aten.max_pool2d_with_indices(tx, *window)
            return (y, aten.max_pool2d_with_indices_backward(tdy[0], tx, *window, indices)) if tdy else y

        def reused(tx: Any = tx, tdy: Any = tdy, y: Any = y, indices: Any = indices, dx: Any = dx) -> Any:
            aten.max_pool2d_with_indices.out(tx, *window, out=y, indices=indices)
            if not tdy:
                return y
            aten.max_pool2d_with_indices_backward.grad_input(tdy[0], tx, *window, indices, grad_input=dx)
            return y, dx

        made |= _both(new, reused, mode)
    return made


def avg_pool(x: np.ndarray, dy: np.ndarray | None) -> Modes:
    window = ([2, 2], [2, 2], [0, 0], False, False, None)
    made: Modes = {}
    for mode, (tx, *tdy) in in_each_format([x] if dy is None else [x, dy]):
        y, dx = aten.avg_pool2d(tx, *window), torch.empty_like(tx)

        def new(tx: Any = tx, tdy: Any = tdy) -> Any:
            y = aten.avg_pool2d(tx, *window)
            return (y, aten.avg_pool2d_backward(tdy[0], tx, *window)) if tdy else y

        def reused(tx: Any = tx, tdy: Any = tdy, y: Any = y, dx: Any = dx) -> Any:
            aten.avg_pool2d.out(tx, *window, out=y)
            return (y, aten.avg_pool2d_backward.grad_input(tdy[0], tx, *window, grad_input=dx)) if tdy else y

        made |= _both(new, reused, mode)
    return made


def batch_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, dy: np.ndarray | None, epsilon: float) -> Modes:
    made: Modes = {}
    g, b = torch.from_numpy(gamma), torch.from_numpy(beta)
    for mode, (tx, *tdy) in in_each_format([x] if dy is None else [x, dy]):
        mean, var = torch.zeros(g.shape), torch.ones(g.shape)

        def run(tx: Any = tx, tdy: Any = tdy, mean: Any = mean, var: Any = var) -> Any:
            y, m, s = aten.native_batch_norm(tx, g, b, mean, var, True, 0.01, epsilon)
            if not tdy:
                return y
            return y, *aten.native_batch_norm_backward(tdy[0], tx, g, mean, var, m, s, True, epsilon, [True] * 3)

        made[mode] = contestant(run)
    return made


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, dy: np.ndarray | None, epsilon: float) -> Modes:
    tx, g, b = (torch.from_numpy(a) for a in (x, gamma, beta))
    tdy = None if dy is None else torch.from_numpy(dy)

    def run() -> Any:
        y, m, s = aten.native_layer_norm(tx, g.shape, g, b, epsilon)
        return y if tdy is None else (y, *aten.native_layer_norm_backward(tdy, tx, g.shape, m, s, g, b, [True] * 3))

    return {"PyTorch": contestant(run)}


def group_norm(
    x: np.ndarray, groups: int, gamma: np.ndarray, beta: np.ndarray, dy: np.ndarray | None, epsilon: float
) -> Modes:
    made: Modes = {}
    g, b = torch.from_numpy(gamma), torch.from_numpy(beta)
    n, *pixels, c = x.shape
    size = (n, c, int(np.prod(pixels)), groups)
    for mode, (tx, *tdy) in in_each_format([x] if dy is None else [x, dy]):

        def run(tx: Any = tx, tdy: Any = tdy) -> Any:
            y, m, s = aten.native_group_norm(tx, g, b, *size, epsilon)
            return (y, *aten.native_group_norm_backward(tdy[0], tx, m, s, g, *size, [True] * 3)) if tdy else y

        made[mode] = contestant(run)
    return made


def softmax_crossentropy(logits: np.ndarray, labels: np.ndarray, dy: np.ndarray) -> Modes:
    """Loss of each sample and the gradient for the logits."""
    tx, ty, tdy = torch.from_numpy(logits), torch.from_numpy(labels), torch.from_numpy(dy)

    def run() -> Any:
        log_p = aten._log_softmax(tx, 1, False)
        loss, total = aten.nll_loss_forward(log_p, ty, None, 0, -100)
        d_log_p = aten.nll_loss_backward(tdy, log_p, ty, None, 0, -100, total)
        return loss, aten._log_softmax_backward_data(d_log_p, log_p, 1, torch.float32)

    return {"PyTorch": contestant(run)}


def dropout(x: np.ndarray, dy: np.ndarray, rate: float) -> Modes:
    """Forward and backward; masks are random, so the results are what ``summary`` of test_memory_bound.py compares."""
    tx, tdy = torch.from_numpy(x), torch.from_numpy(dy)

    def run() -> Any:
        y, mask = aten.native_dropout(tx, rate, True)
        return y, aten.native_dropout_backward(tdy, mask, 1 / (1 - rate))

    return {"PyTorch": contestant(run)}


def adam(weights: np.ndarray, gradient: np.ndarray) -> Modes:
    made: Modes = {}
    for mode in ("fused", "foreach"):
        w = torch.nn.Parameter(torch.from_numpy(weights.copy()))
        w.grad = torch.from_numpy(gradient)
        optimizer = torch.optim.Adam([w], eps=1e-7, **{mode: True})

        def results(w: Any = w, step: Any = optimizer.step) -> list[np.ndarray]:
            step()
            return [w.detach().numpy().copy()]

        made[f"PyTorch {mode}"] = Contestant(optimizer.step, results)
    return made


def _both(new: Callable[[], Any], reused: Callable[[], Any], mode: str = "PyTorch") -> Modes:
    return {mode: contestant(new), f"{mode} out=": contestant(reused)}
