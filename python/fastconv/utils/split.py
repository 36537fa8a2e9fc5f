"""Random splits of a data set into parts of given ratios, optionally the same class mix in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import items
from ._checks import as_array, as_real, as_rng, same_rows

__all__ = ["split_indices", "train_val_test_split"]

Part = tuple[np.ndarray, np.ndarray]


def train_val_test_split(
    x: Any,
    y: Any,
    ratios: Sequence[float] = (0.8, 0.1, 0.1),
    stratify: bool = False,
    seed: int | None = None,
) -> tuple[Part, Part, Part]:
    """Shuffle and split samples into training, validation and test parts; every sample lands in exactly one.

    Args:
        x: samples (N, ...).
        y: labels or targets (N, ...).
        ratios: three shares >= 0 that sum to 1; sizes are N * ratio, rounded so that they sum to N.
        stratify: True gives each class its share in each part (to within two samples); ``y`` must then be
            class labels (N,) or (N,1), integers or strings.
        seed: whole number; the same seed gives the same split. None draws from :func:`fastconv.random.seed`'s
            stream.

    Returns:
        ``(x_train, y_train), (x_val, y_val), (x_test, y_test)``, copies in shuffled order.

    Raises:
        TypeError: wrong kinds of arguments, or ``stratify`` with labels that are floats.
        ValueError: no rows, unequal numbers of rows, ratios that are not shares of 1, one-hot labels with
            ``stratify``.

    Example:
        >>> import numpy as np
        >>> from fastconv.utils import train_val_test_split
        >>> parts = train_val_test_split(np.arange(20), np.arange(20) % 2, stratify=True, seed=0)
        >>> [len(x) for x, y in parts]
        [16, 2, 2]
    """
    op = "train_val_test_split"
    x, y = as_array(op, "x", x), as_array(op, "y", y, "biufUS", "labels or targets")
    same_rows(op, x, y)
    if len(x) == 0:
        raise ValueError(f"[{op}] x must have rows: expected N >= 1, got x.shape={x.shape}. Pass samples.")
    shares = _shares(op, ratios)
    if not isinstance(stratify, (bool, np.bool_)):
        raise TypeError(f"[{op}] stratify must be True or False, got {type(stratify).__name__}. The labels are y.")
    labels = _class_labels(op, y) if stratify else None
    train, val, test = split_indices(len(x), shares, as_rng(op, seed), labels)
    return (x[train], y[train]), (x[val], y[val]), (x[test], y[test])


def split_indices(
    n: int, shares: Sequence[float], rng: np.random.Generator, labels: np.ndarray | None = None
) -> list[np.ndarray]:
    """Disjoint shuffled index arrays, one per share, holding 0..n-1 together; ``labels`` (n,) stratifies."""
    order = rng.permutation(n)
    if labels is None:
        groups = [order]
    else:
        _, number = np.unique(labels, return_inverse=True)
        by_class = order[np.argsort(number[order], kind="stable")]
        groups = np.split(by_class, np.cumsum(np.bincount(number))[:-1])
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    owed = np.zeros(len(shares))  # rounding carried from class to class, so that the totals are right too
    for group in groups:
        target = np.asarray(shares) * len(group) + owed
        counts = _whole(target, len(group))
        owed = target - counts
        for part, piece in zip(parts, np.split(group, np.cumsum(counts)[:-1]), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def _whole(target: np.ndarray, total: int) -> np.ndarray:
    """Non-negative ints near ``target`` that sum to ``total`` (largest remainder)."""
    counts = np.floor(np.clip(target + 1e-9, 0, None)).astype(np.intp)  # 1e-9: 0.1 * 30 must count as 3
    while (left := total - int(counts.sum())) != 0:
        rest = target - counts
        k = np.argmax(rest) if left > 0 else np.argmin(np.where(counts > 0, rest, np.inf))
        counts[k] += 1 if left > 0 else -1
    return counts


def _shares(op: str, ratios: Any) -> list[float]:
    shares = [as_real(op, f"ratios[{i}]", ratio) for i, ratio in enumerate(items(op, "ratios", ratios))]
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"[{op}] ratios must be the shares of training, validation and test data: expected 3 numbers >= "
            f"0 that sum to 1, got ratios={tuple(shares)}. Use (0.8, 0.1, 0.1)."
        )
    return shares


def _class_labels(op: str, y: np.ndarray) -> np.ndarray:
    if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] == 1):
        raise ValueError(
            f"[{op}] stratify needs one class label per sample: expected y of shape (N,) or (N, 1), got "
            f"y.shape={y.shape}. Split first and one-hot encode afterwards, or pass stratify=False."
        )
    if y.dtype.kind == "f":
        raise TypeError(
            f"[{op}] stratify needs class labels: expected integers or strings, got y.dtype={y.dtype}. "
            f"Pass stratify=False for regression."
        )
    return y.reshape(-1)
