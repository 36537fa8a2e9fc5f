"""The train/test split of data that come in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils._checks import as_real
from ..utils.split import split_indices

__all__ = ["Pair", "as_fraction", "train_test"]

Pair = tuple[np.ndarray, np.ndarray]


def as_fraction(op: str, test_fraction: Any) -> float:
    """``test_fraction`` as a float in [0, 1)."""
    fraction = as_real(op, "test_fraction", test_fraction)
    if not 0 <= fraction < 1:
        raise ValueError(
            f"[{op}] test_fraction must leave data to train on: expected 0 <= test_fraction < 1, "
            f"got test_fraction={fraction}. Use 0.2."
        )
    return fraction


def train_test(x: np.ndarray, y: np.ndarray, fraction: float, rng: np.random.Generator) -> tuple[Pair, Pair]:
    """Shuffle and split; integer labels (N,) or (N,1) keep their class mix in both parts."""
    labels = y.reshape(-1) if y.size == len(x) and y.dtype.kind in "iub" else None
    train, test = split_indices(len(x), (1 - fraction, fraction), rng, labels)
    return (x[train], y[train]), (x[test], y[test])
