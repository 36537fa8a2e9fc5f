"""Small models and data for the tests of mixed precision and of loss scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import config, layers, losses, optimizers
from fastconv.models import Sequential
from fastconv.testing.numerics import SETTINGS
from fastconv.utils import set_random_seed

__all__ = ["IMAGES", "LABELS", "built", "cnn", "mlp"]

_RNG = np.random.default_rng(20261121)
IMAGES = _RNG.normal(size=(12, 8, 8, 3)).astype(np.float32)
LABELS = _RNG.integers(0, 4, 12)


def mlp() -> list[Any]:
    """Layers of a small perceptron, ending in probabilities."""
    return [layers.Flatten(), layers.Dense(16, activation="relu"), layers.Dense(4, activation="softmax")]


def cnn() -> list[Any]:
    """Layers of a small CNN with batch normalisation, ending in logits."""
    return [
        layers.Conv2D(16, 3, use_bias=False),
        layers.BatchNormalization(momentum=0.5),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(4),
    ]


def built(stack: Callable[[], list[Any]], policy: str, optimizer: Any = None, **compiling: Any) -> Sequential:
    """A compiled model of these layers under a dtype policy, always with the same weights."""
    with SETTINGS.lock:
        config.set_dtype_policy(policy)
        set_random_seed(5)
        model = Sequential([layers.Input((8, 8, 3)), *stack()])
        loss = losses.SparseCategoricalCrossentropy(from_logits=stack is cnn)
        model.compile(optimizer or optimizers.SGD(0.05, momentum=0.9), loss, **compiling)
        config.set_dtype_policy("float32")
    return model
