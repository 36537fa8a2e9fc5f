"""PyTorch's side of the operations: its own kernels without autograd around them, in each of its memory formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

import fastconv
from contest import Contestant

aten = torch.ops.aten
FORMATS = {"PyTorch NCHW": torch.contiguous_format, "PyTorch channels_last": torch.channels_last}

torch.set_num_threads(fastconv.get_num_threads())


def contestant(run: Callable[[], Any]) -> Contestant:
    """``run`` without autograd; images and filters among its results are turned to fastconv's layouts."""

    def results() -> list[np.ndarray]:
        made = run()
        return [as_ours(t) for t in (made if isinstance(made, (tuple, list)) else (made,)) if t is not None]

    return Contestant(torch.no_grad()(run), torch.no_grad()(results))


def as_ours(tensor: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) as an array (N, H, W, C); other ranks as they are."""
    return (tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor).numpy()


def images(array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    """An (N, H, W, C) array as a tensor (N, C, H, W) in a memory format; other ranks as they are."""
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2).contiguous(memory_format=memory_format) if array.ndim == 4 else tensor


def in_each_format(arrays: Sequence[np.ndarray]) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """``(name of the mode, the arrays as tensors)``."""
    for name, memory_format in FORMATS.items():
        yield name, [images(a, memory_format) for a in arrays]


def conv2d(
    direction: str, x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int, padding: int, groups: int
) -> dict[str, Contestant]:
    """The forward or one gradient, by mode."""
    made = {}
    for name, (tx, tdy) in in_each_format([x, dy]):
        tw = torch.from_numpy(w).permute(3, 2, 0, 1).contiguous(memory_format=FORMATS[name])
        if direction == "forward":
            made[name] = contestant(lambda x=tx, w=tw: torch.conv2d(x, w, None, stride, padding, 1, groups))
            continue
        mask = [direction == "backward_input", direction == "backward_weight", False]
        geometry = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask)

        def run(x: Any = tx, w: Any = tw, dy: Any = tdy, geometry: Any = geometry) -> Any:
            return aten.convolution_backward(dy, x, w, None, *geometry)

        made[name] = contestant(run)
        if direction == "backward_weight":  # (K, C, R, S) to (R, S, C, K)
            made[name] = Contestant(made[name].run, lambda run=run: [run()[1].permute(2, 3, 1, 0).numpy()])
    return made


def dense(direction: str, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> dict[str, Contestant]:
    """A matrix product, with the weights stored as nn.Linear stores them (units, features) and as fastconv does."""
    tx, tw, tdy = map(torch.from_numpy, (x, w, dy))
    linear = tw.T.contiguous()
    products = {
        "forward": (lambda: torch.nn.functional.linear(tx, linear), lambda: tx @ tw),
        "backward_input": (lambda: tdy @ linear, lambda: tdy @ tw.T),
        "backward_weight": (lambda: tdy.T @ tx, lambda: tx.T @ tdy),
    }[direction]
    made = dict(zip(("PyTorch linear", "PyTorch matmul"), map(contestant, products), strict=True))
    if direction == "backward_weight":
        made["PyTorch linear"] = Contestant(made["PyTorch linear"].run, lambda: [(tdy.T @ tx).T.numpy()])
    return made
