"""What bounds of rounding errors are counted in."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["LIBM", "unit_roundoff"]

LIBM = 8  # units of u for exp, tanh, erf and their kin, by polynomial or by libm


def unit_roundoff(dtype: Any) -> float:
    """u: half the distance from 1 to the next number."""
    return float(np.finfo(dtype).eps) / 2
