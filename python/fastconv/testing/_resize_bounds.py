"""How far a resized image may be from the reference's: an error of the weights of both axes, and of the sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference import resize
from ._roundoff import LIBM, unit_roundoff
from .case import Case

__all__ = ["resize_error", "resize_weights"]


def resize_weights(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The magnitudes of the weights of both axes."""
    extents = case.shapes["x"][1:3]
    kwargs = dict(case.kwargs)
    size = kwargs.pop("size", 2)
    size = (size, size) if isinstance(size, int) else size
    if case.op == "upsample":
        size = (size[0] * extents[0], size[1] * extents[1])
        kwargs.setdefault("interpolation", "nearest")
    scales = kwargs.pop("scales", None) or (None, None)
    rows, columns = (
        np.abs(resize.resize_weights(n, out, scale=scale, **kwargs))
        for n, out, scale in zip(extents, size, scales, strict=True)
    )
    return rows, columns


def resize_error(u: float, x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Of the sums, and of the weights: these are differences of numbers near 1, found in float64."""
    terms = max(map(np.count_nonzero, rows)) + max(map(np.count_nonzero, columns))
    total = np.einsum("ph,nhwc,qw->npqc", rows, x, columns)
    reach = np.einsum("ph,nhwc,qw->npqc", rows + (rows > 0), x, columns + (columns > 0))
    return (terms + 4) * u * total + LIBM * unit_roundoff(np.float64) * reach
