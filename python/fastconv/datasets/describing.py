"""A look at data before training: shapes, classes, ranges, and what is often wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arguments import items
from ..utils._checks import as_array, same_rows

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """What :func:`describe` found; printing it shows all.

    Attributes:
        samples: how many.
        shape: of one sample.
        dtype: NumPy's name of the element type.
        low, high, mean: of all finite cells.
        nan, infinite: how many cells are.
        duplicates: samples that equal an earlier one.
        conflicts: those of them whose label is another one than the earlier sample's.
        classes: number of samples by class, or empty where there are no class labels.
        hints: advice in sentences.
    """

    samples: int
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    mean: float
    nan: int
    infinite: int
    duplicates: int
    conflicts: int
    classes: dict[str, int]
    hints: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"samples     {self.samples:,} of shape {self.shape}, {self.dtype}",
            f"values      {self.low:g} .. {self.high:g}, mean {self.mean:.4g}",
            f"NaN         {self.nan:,}, infinite {self.infinite:,}",
            f"duplicates  {self.duplicates:,}, {self.conflicts:,} of them with another label",
        ]
        if self.classes:
            lines.append(
                f"classes     {len(self.classes)}: " + ", ".join(f"{k} {n:,}" for k, n in self.classes.items())
            )
        return "\n".join([*lines, *(f"hint        {hint}" for hint in self.hints)])


def describe(x: Any, y: Any = None, class_names: Sequence[str] | None = None) -> Description:
    """Looks through samples and labels.

    Args:
        x: samples (N, ...), numbers; a ``np.memmap`` is read in parts.
        y: labels (N,) or (N,1) of integers or strings, whose classes are counted; other targets are passed over; or None.
        class_names: names of the classes 0, 1, ...

    Returns:
        A :class:`Description`.

    Example:
        >>> from fastconv import datasets
        >>> (x, y), _ = datasets.digits.load_data()
        >>> found = datasets.describe(x, y)
        >>> found.shape, found.low, found.high, len(found.classes)
        ((8, 8), 0.0, 16.0, 10)
    """
    x = as_array("describe", "x", x)
    same_rows("describe", x, x)
    labels = None
    if y is not None:
        y = as_array("describe", "y", y, "biufUS", "labels or targets")
        same_rows("describe", x, y)
        labels = y.reshape(-1) if y.size == len(x) and y.dtype.kind in "biuUS" else None
    names = None if class_names is None else [str(name) for name in items("describe", "class_names", class_names)]
    low, high, total, finite, nan, infinite = np.inf, -np.inf, 0.0, 0, 0, 0
    seen: dict[bytes, Any] = {}
    duplicates = conflicts = 0
    for i, sample in enumerate(x):
        cells = np.ascontiguousarray(sample)
        good = cells
        if cells.dtype.kind == "f":
            good = cells[np.isfinite(cells)]
            nan += int(np.isnan(cells).sum())
            infinite += int(np.isinf(cells).sum())
        if good.size:
            low, high = min(low, float(good.min())), max(high, float(good.max()))
            total, finite = total + float(good.sum(dtype=np.float64)), finite + good.size
        label = None if labels is None else labels[i].item()
        first = seen.setdefault(_digest(cells), label)
        if len(seen) < i + 1 - duplicates:
            duplicates += 1
            conflicts += first != label
    classes = {} if labels is None else _classes(labels, names)
    if not finite:
        low = high = float("nan")
    hints = _hints(x, low, high, nan + infinite, duplicates, conflicts, classes)
    mean = total / finite if finite else float("nan")
    return Description(
        len(x), x.shape[1:], x.dtype.name, low, high, mean, nan, infinite, duplicates, conflicts, classes, hints
    )


def _digest(cells: np.ndarray) -> bytes:
    """16 bytes instead of a whole sample; two samples in 2**64 share them by chance."""
    import hashlib

    return hashlib.blake2b(cells.tobytes(), digest_size=16).digest()


def _classes(labels: np.ndarray, class_names: Sequence[str] | None) -> dict[str, int]:
    found, counts = np.unique(labels, return_counts=True)
    named = class_names is not None and labels.dtype.kind in "iub" and found[0] >= 0 and found[-1] < len(class_names)
    return {
        (class_names[int(label)] if named and class_names is not None else str(label)): int(count)
        for label, count in zip(found, counts, strict=True)
    }


def _hints(
    x: np.ndarray, low: float, high: float, bad: int, duplicates: int, conflicts: int, classes: dict[str, int]
) -> tuple[str, ...]:
    found = []
    if bad:
        found.append(f"{bad:,} cells are no finite numbers: fit would stop. Remove or replace them.")
    if x.ndim >= 3 and low >= 0 and 128 <= high <= 255:
        found.append("These look like raw pixels, 0..255: begin the model with layers.Rescaling(1 / 255).")
    elif np.isfinite(high - low) and max(abs(low), abs(high)) > 100:
        found.append("Values are large: centre and scale them, e.g. by layers.Normalization or BatchNormalization.")
    if conflicts:
        found.append(f"{conflicts:,} samples equal others of another class: look at them.")
    elif duplicates:
        found.append(f"{duplicates:,} samples are copies: keep them out of both training and test data.")
    if classes and max(classes.values()) > 4 * min(classes.values()):
        found.append("Classes are unequal in size: stratify the split, and look at class_weight.")
    return tuple(found)
