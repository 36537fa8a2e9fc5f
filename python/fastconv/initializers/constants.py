"""Initial values that are not random."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.initializers.base import Initializer

__all__ = ["Constant", "Identity", "Ones", "Zeros"]


class Zeros(Initializer):
    """All 0."""

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """All 1."""

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.ones(shape, dtype)


class Constant(Initializer):
    """All ``value``."""

    def __init__(self, value: float = 0.0):
        self.value = _arguments.real("Constant", "value", value)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.full(shape, self.value, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Identity(Initializer):
    """``gain`` on the main diagonal of a matrix, 0 elsewhere. Shape: (rows, columns)."""

    def __init__(self, gain: float = 1.0):
        self.gain = _arguments.real("Identity", "gain", gain)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(
                f"[Identity] only a matrix has an identity: expected 2 dims, got shape={shape}. "
                f"Use another initializer for this weight."
            )
        return self.gain * np.eye(*shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
