"""Prints by how many bytes training a network makes a fresh process grow at its peak.

Usage: python bench/memory_step.py CONTESTANT NETWORK BATCH        CONTESTANT: "fastconv", "PyTorch NCHW" ...

Counted from before the network is built (libraries loaded, threads started, the batch there) to the highest point of
resident memory in five training steps: weights, gradients, the optimizer's moments, activations and workspaces.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import networks

STEPS = 5
WARM_UP = networks.Network((8, 8, 3), (networks.Conv(8), networks.Flatten, networks.Dense(10, relu=False)))


def main(contestant: str, name: str, batch: int) -> None:
    make = _fastconv_step if contestant == "fastconv" else _torch_step
    make(contestant, WARM_UP, *_batch(WARM_UP, 2))()  # whatever a library loads late is there now
    data = _batch(networks.NETWORKS[name], batch)
    before = _restart_peak()
    step = make(contestant, networks.NETWORKS[name], *data)
    for _ in range(STEPS):
        step()
    print(_status("VmHWM") - before)


def _batch(network: networks.Network, batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.random((batch, *network.input_shape), dtype=np.float32)
    return x, rng.integers(0, network.classes, batch)


def _fastconv_step(_: str, network: networks.Network, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    model = networks.build(network)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return lambda: model.train_on_batch(x, y)


def _torch_step(mode: str, network: networks.Network, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    from peers import torch_models, torch_ops

    net = torch_models.build(network)
    return torch_models.training_step(net, x, y, torch_ops.FORMATS[mode]).run


def _restart_peak() -> int:
    """Sets the recorded peak to what is resident now, and returns that; Linux only, as fastconv is."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
