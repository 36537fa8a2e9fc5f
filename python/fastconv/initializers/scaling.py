"""Random values whose variance follows from the weight's fans, which keeps signals in range across layers.

    Glorot  variance 2 / (fan_in + fan_out)     Glorot and Bengio 2010
    He      variance 2 / fan_in                 He et al. 2015
    Lecun   variance 1 / fan_in                 LeCun et al. 1998

The normal members of the family are cut at two standard deviations and widened so that the variance holds
after the cut; the uniform ones reach from -sqrt(3 variance) to sqrt(3 variance).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.initializers.random import RandomInitializer

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "compute_fans",
]

# Standard deviation of a unit normal variable cut at ±2: sqrt(1 - 2·2·φ(2) / (2Φ(2) - 1)).
_TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(RandomInitializer):
    """Zero-mean random values of variance ``scale / fan``.

    Args:
        scale: > 0.
        mode: which fan: "fan_in", "fan_out" or "fan_avg", their mean.
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: int, or None for ``fastconv.random``.
        input_axes: axes of the weight whose extents multiply to fan_in; with output_axes it replaces
            :func:`compute_fans`.
        output_axes: axes of the weight whose extents multiply to fan_out.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        op = type(self).__name__
        super().__init__(seed)
        self.scale = _arguments.real(op, "scale", scale, above=0)
        self.mode = _arguments.choice(op, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        known = ("truncated_normal", "untruncated_normal", "uniform", "normal")
        chosen = _arguments.choice(op, "distribution", distribution, known)
        self.distribution = "truncated_normal" if chosen == "normal" else chosen
        self.input_axes = input_axes
        self.output_axes = output_axes

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "truncated_normal":
            return math.sqrt(variance) / _TRUNCATED_STDDEV * self._truncated_normal(shape, dtype)
        if self.distribution == "untruncated_normal":
            return math.sqrt(variance) * self._normal(shape, dtype)
        limit = math.sqrt(3 * variance)
        return self._uniform(shape, dtype, -limit, limit)

    def get_config(self) -> dict[str, Any]:
        own = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution}
        return {**own, **super().get_config(), **self._axes()}

    def _axes(self) -> dict[str, Any]:
        """The axes where given: left out otherwise, because Keras before 3.15 does not know them."""
        axes = {"input_axes": self.input_axes, "output_axes": self.output_axes}
        return {name: list(value) for name, value in axes.items() if value is not None}


class _Scaled(VarianceScaling):
    """A member of the family with its arguments fixed by the class."""

    _fixed: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        super().__init__(*self._fixed, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed, **self._axes()}


class GlorotUniform(_Scaled):
    """U(-l, l), l = sqrt(6 / (fan_in + fan_out)): Glorot and Bengio 2010, "Xavier"."""

    _fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot and Bengio 2010."""

    _fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """U(-l, l), l = sqrt(6 / fan_in): He et al. 2015, for ReLU networks."""

    _fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in: He et al. 2015, for ReLU networks."""

    _fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """U(-l, l), l = sqrt(3 / fan_in): LeCun et al. 1998."""

    _fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in: LeCun et al. 1998, for SELU networks."""

    _fixed = (1.0, "fan_in", "truncated_normal")


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight, as Keras counts them.

    Args:
        shape: (D, U) of a dense weight, or (R, S, C, K) of a filter, whose window R·S counts in both fans.
        input_axes: with output_axes, the axes to multiply instead.
        output_axes: see input_axes.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    op = "compute_fans"
    shape = [
        _arguments.integer(op, f"shape[{i}]", n, least=0) for i, n in enumerate(_arguments.items(op, "shape", shape))
    ]
    if input_axes is not None and output_axes is not None:
        input_axes, output_axes = (
            [
                _arguments.integer(op, name, a, least=-len(shape), most=len(shape) - 1)
                for a in _arguments.items(op, name, axes)
            ]
            for name, axes in (("input_axes", input_axes), ("output_axes", output_axes))
        )
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) == 0:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
