"""Normalization: data shifted and scaled by statistics that are known before training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastconv import _arguments, ops
from fastconv.layers._geometry import check_single
from fastconv.layers.base import Layer
from fastconv.ops import _arrays, _numbers
from fastconv.variables import Variable

__all__ = ["Normalization"]

_EPSILON = 1e-14  # sqrt(variance + 1e-14) for Keras's max(sqrt(variance), 1e-7)


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, by statistics of a data set: :meth:`adapt`, or numbers.

    Args:
        axis: axes with statistics of their own: -1, one mean per channel; None, one for all; several axes must be the last ones,
            (1, 2, 3) for a mean per cell of an image.
        mean, variance: numbers, or arrays that broadcast to the kept axes; instead of ``adapt``. The layer has no weights then.
        invert: ``x * sqrt(variance) + mean`` instead.

    Input shape / Output shape: any, the same. Weights: mean, variance (of the kept axes), count (); none where they are given.

    Numerics: divides by sqrt(variance + 1e-14), Keras by the larger of sqrt(variance) and 1e-7.

    Example:
        >>> import numpy as np
        >>> from fastconv import layers
        >>> layer = layers.Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[3.0, 20.0]], np.float32))
        array([[1., 0.]], dtype=float32)
    """

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **keywords: Any
    ) -> None:
        super().__init__(**keywords)
        given = () if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
        self.axis = tuple(_numbers.as_int(self.name, "axis", a) for a in given)
        self.invert = _numbers.as_bool(self.name, "invert", invert)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"[{self.name}] mean and variance come together: expected both or neither, got mean={mean!r}, "
                f"variance={variance!r}. Give both, or call adapt(data)."
            )
        self.input_mean = None if mean is None else self._statistic("mean", mean)
        self.input_variance = None if variance is None else self._statistic("variance", variance)
        shapes = [s.shape for s in (self.input_mean, self.input_variance) if s is not None]
        if any(shape != shapes[0] or len(shape) > len(self.axis) for shape in shapes):
            raise ValueError(
                f"[{self.name}] mean and variance must have one shape of the kept axes: expected up to {len(self.axis)} axes, got "
                f"shapes {shapes}. Reshape them."
            )

    def _statistic(self, name: str, value: Any) -> np.ndarray:
        array = _arguments.array(self.name, name, value).astype(np.float64)
        if not np.isfinite(array).all() or (name == "variance" and (array < 0).any()):
            raise ValueError(
                f"[{self.name}] {name} must be finite, a variance at least 0: expected such numbers, got {name}={value!r}. "
                "Check the data that they come from."
            )
        return array

    def build(self, input_shape: Any) -> None:
        if isinstance(input_shape, list):
            raise TypeError(
                f"[{self.name}] inputs must be one tensor: expected an array, got a list of {len(input_shape)}. Call the layer on "
                "each."
            )
        rank = len(input_shape)
        kept = sorted(a % rank if -rank <= a < rank else -1 for a in self.axis)
        if kept != list(range(rank - len(kept), rank)) or 0 in kept:
            raise ValueError(
                f"[{self.name}] axis must name the last axes: expected e.g. -1, or {tuple(range(1, rank))}, got axis={self.axis} "
                f"for input of shape {tuple(input_shape)}. Transpose the data."
            )
        self._kept = tuple(input_shape[rank - len(kept) :])
        if self.input_mean is None or self.input_variance is None:
            self.adapt_mean = self.add_weight(self._kept, "zeros", "mean", trainable=False)
            self.adapt_variance = self.add_weight(self._kept, "ones", "variance", trainable=False)
            self.count = self.add_weight((), "zeros", "count", trainable=False)  # which Keras keeps for old files
        else:
            self.adapt_mean = self._constant("mean", self.input_mean)
            self.adapt_variance = self._constant("variance", self.input_variance)
        if self.invert:
            self._zeros = self._constant("zeros", np.zeros(()))

    def _constant(self, name: str, value: np.ndarray) -> Variable:
        """Not a weight: the config has it."""
        try:
            values = np.broadcast_to(value, self._kept)
        except ValueError:
            raise ValueError(
                f"[{self.name}] {name} must broadcast to the kept axes: expected shape {self._kept}, got {value.shape}. Reshape it."
            ) from None
        return Variable(values.astype(self.dtype), name, trainable=False)

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of ``data``.

        Args:
            data: an array, or an iterable of batches: arrays, or tuples that begin with one.

        Numerics: accumulated in float64; of several batches by the formula of Chan et al. 1979.
        """
        if self.input_mean is not None:
            raise RuntimeError(
                f"[{self.name}] the statistics are given: expected a layer without mean and variance. Leave them out to adapt."
            )
        mean, variance, count = np.float64(0), np.float64(0), 0
        for batch in _batches(self.name, data):
            self.ensure_built((None, *batch.shape[1:]))
            if batch.shape[batch.ndim - len(self._kept) :] != self._kept:
                raise ValueError(
                    f"[{self.name}] data must have the kept axes: expected the last extents {self._kept}, got a batch of shape "
                    f"{batch.shape}. Adapt to data like the model's."
                )
            axes = tuple(range(batch.ndim - len(self._kept)))
            cells = math.prod(batch.shape[: len(axes)])
            if cells:
                count += cells
                share = cells / count
                step = batch.mean(axes, dtype=np.float64) - mean
                variance = (1 - share) * (variance + share * step**2) + share * batch.var(axes, dtype=np.float64)
                mean = mean + share * step
        if not count:
            raise ValueError(
                f"[{self.name}] data must not be empty: expected at least one sample, got none. Pass data."
            )
        self.adapt_mean.assign(np.asarray(mean))
        self.adapt_variance.assign(np.asarray(variance))

    def call(self, inputs: Any) -> Any:
        cells = math.prod(self._kept)
        check_single(self.name, inputs)
        n, *extents = inputs.shape
        if self._kept == inputs.shape[-1:]:
            rows = inputs
        elif math.prod(extents) == cells:
            rows = ops.reshape(inputs, (n, cells))
        else:
            rows = ops.reshape(inputs, (n, math.prod(extents) // cells, cells))
        mean, variance = (_flat(v, cells) for v in (self.adapt_mean, self.adapt_variance))
        if self.invert:  # x * variance / sqrt(variance), for no op takes roots
            zeros = _flat(self._zeros, cells)
            y = ops.batch_norm(ops.multiply(rows, variance), None, mean, zeros, variance, epsilon=_EPSILON)
        else:
            y = ops.batch_norm(rows, None, None, mean, variance, epsilon=_EPSILON)
        return y if rows is inputs else ops.reshape(y, inputs.shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": list(self.axis) if self.axis else None,
            "invert": self.invert,
            "mean": None if self.input_mean is None else self.input_mean.tolist(),
            "variance": None if self.input_variance is None else self.input_variance.tolist(),
        }


def _flat(variable: Variable, cells: int) -> Any:
    return variable if variable.shape == (cells,) else ops.reshape(variable, (cells,))


def _batches(name: str, data: Any) -> Iterable[np.ndarray]:
    """One array, or those of an iterable."""
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        yield _arrays.as_numbers(name, "data", data)
        return
    if not isinstance(data, Iterable):
        raise TypeError(
            f"[{name}] data must be an array or batches: expected an array or an iterable, got {type(data).__name__}. Pass one."
        )
    for batch in data:
        first = batch[0] if isinstance(batch, (tuple, list)) and not np.isscalar(batch[0]) else batch
        yield _arrays.as_numbers(name, "data", first)
