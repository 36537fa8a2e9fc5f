"""The networks of networks.py in PyTorch, and their weights in fastconv's order and layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

import fastconv
from networks import Conv, Dense, Dropout, MaxPool, Network, Plain, Residual

torch.set_num_threads(fastconv.get_num_threads())


class Sum(nn.Module):
    """relu(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def build(network: Network) -> nn.Sequential:
    """The network, ending in the logits; inputs are (N, C, H, W)."""
    *extents, channels = network.input_shape
    with torch.no_grad():
        return _sequential(network.layers, torch.zeros(1, channels, *extents))[0].train()


def _sequential(layers: tuple[Any, ...], x: torch.Tensor) -> tuple[nn.Sequential, torch.Tensor]:
    """The modules, and what they make of ``x``: its shape tells each layer its number of inputs."""
    modules = nn.Sequential().eval()
    for layer in layers:
        for module in _modules(layer, x):
            modules.append(module.eval())
            x = module(x)
    return modules, x


def _modules(layer: Any, x: torch.Tensor) -> Iterator[nn.Module]:
    match layer:
        case Conv(filters, size, stride, padding, relu, bias):
            yield nn.Conv2d(x.shape[1], filters, size, stride, padding, bias=bias)
            if relu:
                yield nn.ReLU()
        case MaxPool(size, stride, padding):
            yield nn.MaxPool2d(size, stride, padding)
        case Dense(units, relu):
            yield nn.Linear(x.shape[1], units)
            if relu:
                yield nn.ReLU()
        case Dropout(rate):
            yield nn.Dropout(rate)
        case Residual(body, shortcut):
            yield Sum(_sequential(body, x)[0], _sequential(shortcut, x)[0])
        case Plain("batch_norm"):
            yield nn.BatchNorm2d(x.shape[1])
        case Plain("relu"):
            yield nn.ReLU()
        case Plain("global_avg_pool"):
            yield nn.AdaptiveAvgPool2d(1)
            yield nn.Flatten()
        case Plain("flatten"):
            yield nn.Flatten()


def in_our_layout(net: nn.Module, tensors: list[torch.Tensor]) -> list[np.ndarray]:
    """``tensors``, one per parameter of ``net`` (the parameters or their gradients), as fastconv keeps them."""
    return [_in_our_layout(tensor.detach(), channels) for tensor, channels in zip(tensors, _channels(net), strict=True)]


def _channels(net: nn.Module) -> Iterator[int]:
    """For each parameter the channels of the last convolution before it: how a flattened image is to be read."""
    channels = 1
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            channels = module.out_channels
        for parameter in module.parameters(recurse=False):
            yield channels
            if isinstance(module, nn.Linear) and parameter.ndim == 2:
                channels = 1  # behind a dense layer there are no images


def _in_our_layout(tensor: torch.Tensor, channels: int) -> np.ndarray:
    if tensor.ndim == 4:  # (K, C, R, S) to (R, S, C, K)
        return tensor.permute(2, 3, 1, 0).numpy()
    if tensor.ndim == 2:  # (units, channels * pixels) to (pixels * channels, units)
        units = tensor.shape[0]
        return tensor.reshape(units, channels, -1).permute(2, 1, 0).reshape(-1, units).numpy()
    return tensor.numpy()
