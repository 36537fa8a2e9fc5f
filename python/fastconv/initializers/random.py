"""Random initial values that do not look at the fans of the weight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _arguments, _memory
from fastconv import random as _stream
from fastconv.initializers.base import Initializer

__all__ = ["Orthogonal", "RandomInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal"]


class RandomInitializer(Initializer):
    def __init__(self, seed: int | None = None):
        self.seed = None if seed is None else _arguments.integer(type(self).__name__, "seed", seed)

    def _normal(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return _stream.generator(self.seed).standard_normal(shape, _drawn(dtype))

    def _uniform(self, shape: tuple[int, ...], dtype: np.dtype, low: float, high: float) -> np.ndarray:
        values = _memory.lasting(type(self).__name__, "the weight", shape, _drawn(dtype))
        _stream.generator(self.seed).random(dtype=values.dtype, out=values)
        values *= high - low
        values += low
        return values

    def _truncated_normal(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Unit normal values; those beyond two deviations (4.6 %) are drawn again until none is left."""
        generator = _stream.generator(self.seed)
        values = generator.standard_normal(shape, _drawn(dtype)).reshape(-1)
        outside = np.flatnonzero(np.abs(values) > 2)
        while outside.size:
            values[outside] = generator.standard_normal(outside.size, values.dtype)
            outside = outside[np.abs(values[outside]) > 2]
        return values.reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal values N(mean, stddev²)."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.mean = _arguments.real(type(self).__name__, "mean", mean)
        self.stddev = _arguments.real(type(self).__name__, "stddev", stddev, least=0)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return self.mean + self.stddev * self._normal(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


class TruncatedNormal(RandomNormal):
    """Normal values N(mean, stddev²), those further than 2 stddev from the mean drawn again."""

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return self.mean + self.stddev * self._truncated_normal(shape, dtype)


class RandomUniform(RandomInitializer):
    """Uniform values in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.minval = _arguments.real("RandomUniform", "minval", minval)
        self.maxval = _arguments.real("RandomUniform", "maxval", maxval, least=self.minval)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return self._uniform(shape, dtype, self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix with orthonormal rows or columns: Saxe et al. 2014.

    A weight with more than two dims is the matrix (product of the others, last).
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        super().__init__(seed)
        self.gain = _arguments.real("Orthogonal", "gain", gain)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(
                f"[Orthogonal] only a matrix can be orthogonal: expected at least 2 dims, got shape={shape}. "
                f"Use another initializer for this weight."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._normal((max(rows, columns), min(rows, columns)), np.dtype("float64")))
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # makes q uniform over the orthogonal group: Mezzadri 2007
        return self.gain * (q if rows >= columns else q.T).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}


def _drawn(dtype: np.dtype) -> Any:
    """The dtype to draw in: NumPy's generators know float32 and float64."""
    return np.float64 if dtype == np.float64 else np.float32
