"""A classifier of four numbers and data for it: what the tests of refused calls start from."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastconv
from fastconv import layers, models

__all__ = ["LABELS", "ONE_HOT", "RNG", "X", "built", "compiled"]

RNG = np.random.default_rng(20261121)
X = RNG.normal(size=(12, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 12)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


def built(*more: layers.Layer) -> models.Sequential:
    fastconv.random.seed(1)
    return models.Sequential([layers.Input((4,)), *more, layers.Dense(3, activation="softmax")])


def compiled(loss: Any = "categorical_crossentropy", optimizer: Any = "sgd", **settings: Any) -> models.Sequential:
    model = built()
    model.compile(optimizer=optimizer, loss=loss, **settings)
    return model
