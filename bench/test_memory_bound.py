"""What the memory's bandwidth bounds, in arrays inside the cores' caches and far beyond them, beside PyTorch.

"Bytes" are what the job must move if nothing is kept in a cache: each pass over an array once. GB/s then compare with the
copies of bench/peak.cpp, whose arrays have the same size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import machine
import ours
from contest import Contestant
from fastconv import ops

IMAGES = {"inside": (4, 32, 32, 32), "beyond": (64, 64, 64, 64)}
LOGITS = {"inside": (128, 1000), "beyond": (16384, 1000)}
CELLS = {place: size // 4 for place, size in machine.COPIED.items()}
EPSILON, RATE = 1e-3, 0.5

places = pytest.mark.parametrize("place", IMAGES)
directions = pytest.mark.parametrize("direction", ("forward", "forward+backward"))


@pytest.fixture
def torch_memory(torch_ops: Any) -> Any:
    from peers import torch_memory

    return torch_memory


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def mine(function: Callable[..., Any], x: np.ndarray, dy: np.ndarray | None, **others: np.ndarray) -> Contestant:
    return ours.operation(function, {"x": x, **others}, dy, () if dy is None else ("x", *others))


@places
@directions
@pytest.mark.parametrize("name", ("relu", "gelu", "tanh", "sigmoid"))
def test_activation(measure: Callable[..., None], torch_memory: Any, name: str, direction: str, place: str) -> None:
    x = random(CELLS[place])
    dy = None if direction == "forward" else random(x.size, seed=1)
    contestants = {"fastconv": mine(getattr(ops, name), x, dy), **torch_memory.activation(name, x, dy)}
    measure(
        "memory", f"{name} {direction}, {place}", contestants, bytes=x.nbytes * (2 if dy is None else 5), place=place
    )


@places
def test_add(measure: Callable[..., None], torch_memory: Any, place: str) -> None:
    a, b = random(CELLS[place]), random(CELLS[place], seed=1)
    contestants = {"fastconv": ours.operation(ops.add, {"a": a, "b": b}), **torch_memory.add(a, b)}
    measure("memory", f"add forward, {place}", contestants, bytes=3 * a.nbytes, place=place)


@places
@directions
@pytest.mark.parametrize("name", ("max_pool", "avg_pool"))
def test_pool(measure: Callable[..., None], torch_memory: Any, name: str, direction: str, place: str) -> None:
    """Windows of 2x2; backward reads a place of one byte, or x again, beside dy: the fewer of the two count."""
    x = random(*IMAGES[place])
    n, h, w, c = x.shape
    dy = None if direction == "forward" else random(n, h // 2, w // 2, c, seed=1)
    pool = getattr(ops, f"{name}2d")
    contestants = {"fastconv": mine(pool, x, dy), **getattr(torch_memory, name)(x, dy)}
    once = x.nbytes + x.nbytes // 4
    measure("memory", f"{name} {direction}, {place}", contestants, bytes=once if dy is None else 2 * once, place=place)


@places
@directions
def test_batch_norm(measure: Callable[..., None], torch_memory: Any, direction: str, place: str) -> None:
    """In training: the statistics need x before the first result, and so do the sums of the gradient: two passes each."""
    x = random(*IMAGES[place])
    c = x.shape[-1]
    gamma, beta, mean, var = random(c), random(c, seed=1), np.zeros(c, np.float32), np.ones(c, np.float32)
    dy = None if direction == "forward" else random(*x.shape, seed=2)
    contestant = ours.operation(
        lambda x, gamma, beta, mean, var: ops.batch_norm(x, gamma, beta, mean, var, epsilon=EPSILON, training=True),
        {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "var": var},
        dy,
        () if dy is None else ("x", "gamma", "beta"),
    )
    contestants = {"fastconv": contestant, **torch_memory.batch_norm(x, gamma, beta, dy, EPSILON)}
    passes = 3 if dy is None else 3 + 5
    measure("memory", f"batch_norm {direction}, {place}", contestants, bytes=passes * x.nbytes, place=place)


@places
@directions
@pytest.mark.parametrize("name", ("layer_norm", "group_norm"))
def test_normalization(measure: Callable[..., None], torch_memory: Any, name: str, direction: str, place: str) -> None:
    """Rows are as long as an image has channels; groups have two passes over x, and two over dy and x."""
    x = random(*IMAGES[place])
    c = x.shape[-1]
    groups = () if name == "layer_norm" else (8,)
    if name == "layer_norm":
        x = x.reshape(-1, c)
    gamma, beta = random(c), random(c, seed=1)
    dy = None if direction == "forward" else random(*x.shape, seed=2)
    normalize = getattr(ops, name)
    contestant = mine(
        lambda x, gamma, beta: normalize(x, gamma, beta, *groups, epsilon=EPSILON), x, dy, gamma=gamma, beta=beta
    )
    contestants = {"fastconv": contestant, **getattr(torch_memory, name)(x, *groups, gamma, beta, dy, EPSILON)}
    forward, backward = (2, 3) if name == "layer_norm" else (3, 5)
    passes = forward if dy is None else forward + backward
    measure("memory", f"{name} {direction}, {place}", contestants, bytes=passes * x.nbytes, place=place)


@places
def test_softmax_crossentropy(measure: Callable[..., None], torch_memory: Any, place: str) -> None:
    logits = random(*LOGITS[place])
    labels = np.random.default_rng(1).integers(0, logits.shape[1], len(logits))
    dy = random(len(logits), seed=2)
    contestant = ours.operation(
        lambda y_pred, y_true: ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True),
        {"y_pred": logits, "y_true": labels},
        dy,
        ("y_pred",),
    )
    contestants = {"fastconv": contestant, **torch_memory.softmax_crossentropy(logits, labels, dy)}
    name = f"softmax-crossentropy forward+backward, {place}"
    measure("memory", name, contestants, bytes=3 * logits.nbytes, place=place)


@places
def test_dropout(measure: Callable[..., None], torch_memory: Any, place: str) -> None:
    """Ones go in, so results show the mask: the share that is kept, what it is scaled to, and that dx has the mask of y."""
    x = np.ones(IMAGES[place], np.float32)
    contestant = ours.operation(
        lambda x, seed: ops.dropout(x, RATE, seed=seed), {"x": x, "seed": np.array([7], np.uint64)}, x, ("x",)
    )
    contestants = {
        name: Contestant(c.run, lambda c=c: [summary(*c.results())])
        for name, c in {"fastconv": contestant, **torch_memory.dropout(x, x, RATE)}.items()
    }
    name = f"dropout forward+backward, {place}"
    measure("memory", name, contestants, tolerance=0.01, bytes=4 * x.nbytes, place=place)


def summary(y: np.ndarray, dx: np.ndarray) -> np.ndarray:
    return np.array([(y > 0).mean(), y.max(), (y == dx.reshape(y.shape)).mean()])


@places
def test_adam(measure: Callable[..., None], torch_memory: Any, place: str) -> None:
    """Reads weights, gradient and both moments, writes all but the gradient."""
    weights, gradient = random(CELLS[place]), random(CELLS[place], seed=1)
    contestants = {"fastconv": ours.adam(weights, gradient), **torch_memory.adam(weights, gradient)}
    measure("memory", f"adam step, {place}", contestants, bytes=7 * weights.nbytes, place=place)
