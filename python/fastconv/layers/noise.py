"""Noise on activations in training: normal summands and factors, masks that whole channels share, masks for SELU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from fastconv import ops
from fastconv.layers import _geometry
from fastconv.layers.base import Layer
from fastconv.layers.core import Dropout
from fastconv.ops import _numbers
from fastconv.variables import Seed

__all__ = [
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]

# Klambauer et al. 2017: the fixed point of SELU.
_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


class _SpatialDropout(Layer):
    """Drops a share ``rate`` of the channels of each sample, whole."""

    _axes: ClassVar[int]

    def __init__(self, rate: float, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.rate = _numbers.as_float_in(self.name, "rate", rate, 0, 1)
        self.seed = None if seed is None else _numbers.as_int(self.name, "seed", seed)
        self._mask_seed = self.add_seed(Seed(self.seed))

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != self._axes + 2:
            raise ValueError(
                f"[{self.name}] rank {self._axes + 2} expected, got {len(input_shape)}: expected channels last behind "
                f"{self._axes} axes, got input of shape {tuple(input_shape)}. Reshape the data, or use Dropout."
            )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training and self.rate):
            return inputs
        noise_shape = (inputs.shape[0], *(1,) * self._axes, inputs.shape[-1])
        return ops.dropout(inputs, self.rate, seed=self._mask_seed, noise_shape=noise_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of sequences (N, T, C) in training.

    Args:
        rate: share of the channels set to zero, in [0, 1]; the others are scaled up by ``1 / (1 - rate)``.
        seed: for a sequence of masks of its own; from fastconv.random's stream by default.

    Source: Tompson et al. 2014, "Efficient Object Localization Using Convolutional Networks".
    """

    _axes = 1


class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of images (N, H, W, C) in training.

    Args:
        rate: share of the channels set to zero, in [0, 1]; the others are scaled up by ``1 / (1 - rate)``.
        data_format: "channels_last".
        seed: for a sequence of masks of its own; from fastconv.random's stream by default.

    Source: Tompson et al. 2014, "Efficient Object Localization Using Convolutional Networks".
    """

    _axes = 2

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(rate, seed, **keywords)
        _geometry.check_data_format(self.name, data_format)


class SpatialDropout3D(SpatialDropout2D):
    """Drops whole channels of volumes (N, D, H, W, C) in training.

    Args:
        rate: share of the channels set to zero, in [0, 1]; the others are scaled up by ``1 / (1 - rate)``.
        data_format: "channels_last".
        seed: for a sequence of masks of its own; from fastconv.random's stream by default.

    Source: Tompson et al. 2014, "Efficient Object Localization Using Convolutional Networks".
    """

    _axes = 3


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance of what SELU gives: dropped cells get SELU's lower limit, and an affine map follows.

    ``a * (x where kept, else -alpha * scale) + b`` in training; inputs pass in inference.

    Args:
        rate: share of cells that are dropped, in [0, 1).
        noise_shape: of the mask, which repeats along axes of extent 1; None: the inputs', also for single extents.
        seed: for a sequence of masks of its own; from fastconv.random's stream by default.

    Source: Klambauer et al. 2017, "Self-Normalizing Neural Networks", section "New dropout technique".
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **keywords: Any
    ) -> None:
        super().__init__(rate, noise_shape, seed, **keywords)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training and self.rate):
            return inputs
        dropped, kept = -_ALPHA * _SCALE, 1 - self.rate
        a = (kept * (1 + self.rate * dropped**2)) ** -0.5
        b = -a * dropped * self.rate
        # dropout gives (x - dropped) / kept where kept and 0 elsewhere: what is dropped becomes a * dropped + b exactly.
        y = super().call(ops.scale(inputs, 1.0, -dropped), training=True)
        return ops.scale(y, a * kept, a * dropped + b)


class GaussianNoise(Layer):
    """Adds normal noise in training; passes everything in inference.

    Args:
        stddev: of the noise, in [0, 1].
        seed: for a sequence of its own; from fastconv.random's stream by default.
    """

    def __init__(self, stddev: float, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.stddev = _numbers.as_float_in(self.name, "stddev", stddev, 0, 1)
        self.seed = None if seed is None else _numbers.as_int(self.name, "seed", seed)
        self._noise_seed = self.add_seed(Seed(self.seed))

    def call(self, inputs: Any, training: bool = False) -> Any:
        return ops.gaussian_noise(inputs, self.stddev, seed=self._noise_seed) if training and self.stddev else inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(Layer):
    """Multiplies by normal noise of mean 1 and variance ``rate / (1 - rate)`` in training; passes everything in inference.

    Args:
        rate: as Dropout's, which has the same mean and variance; in [0, 1).
        seed: for a sequence of its own; from fastconv.random's stream by default.

    Source: Srivastava et al. 2014, "Dropout", section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.rate = _numbers.as_float(self.name, "rate", rate)
        if not 0 <= self.rate < 1:
            raise ValueError(
                f"[{self.name}] rate must be in [0, 1): expected 0 <= rate < 1, got rate={rate}. Use a smaller one."
            )
        self.seed = None if seed is None else _numbers.as_int(self.name, "seed", seed)
        self._noise_seed = self.add_seed(Seed(self.seed))

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not (training and self.rate):
            return inputs
        stddev = math.sqrt(self.rate / (1 - self.rate))
        return ops.gaussian_noise(inputs, stddev, seed=self._noise_seed, multiply=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
