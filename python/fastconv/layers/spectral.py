"""SpectralNormalization: a layer whose kernel is kept at a spectral norm of about 1."""

from __future__ import annotations

import math
from typing import Any

from fastconv import initializers, ops
from fastconv.graph import Value, record_update
from fastconv.layers.base import Layer
from fastconv.layers.wrappers import described, inner_layer
from fastconv.ops import _numbers
from fastconv.variables import Variable

__all__ = ["SpectralNormalization"]

_NO_LENGTH = 1e-30  # far below the square of a length that counts
_SHARE_OF_OLD = 1e-12  # of a direction: nothing beside the new one, and all where a kernel of zeros gives no new one


class SpectralNormalization(Layer):
    """Divides a layer's kernel by its largest singular value before every training step, as Keras does.

    Args:
        layer: one with a ``kernel`` (Dense, convolutions) or ``embeddings``.
        power_iterations: how many steps of the power iteration find the singular value, on from the last training step's.

    Input shape / Output shape: the layer's. Weights: kernel, vector_u (1, K), which is not trained, the layer's others; a kernel is
    seen as a matrix (..., K). Gradients are those of the divided kernel, which takes the place of the old one. Inference changes nothing.

    Source: Miyato et al. 2018, arXiv 1802.05957.
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.layer = inner_layer(self.name, "layer", layer)
        self.power_iterations = _numbers.as_count(self.name, "power_iterations", power_iterations)

    def build(self, input_shape: Any) -> None:
        self.layer.ensure_built(input_shape)
        self._kernel_name = next((name for name in ("kernel", "embeddings") if hasattr(self.layer, name)), "")
        if not self._kernel_name:
            raise ValueError(
                f"[{self.name}] the layer must have a kernel: expected one with kernel or embeddings, got "
                f"{type(self.layer).__name__}. Use Dense, Embedding or a convolution."
            )
        shape = (1, self._kernel.shape[-1])
        self.vector_u = self.add_weight(shape, initializers.TruncatedNormal(stddev=0.02), "vector_u", trainable=False)

    @property
    def _kernel(self) -> Variable:
        kernel: Variable = getattr(self.layer, self._kernel_name)
        return kernel

    @property
    def weights(self) -> list[Variable]:
        """In Keras's order, where the kernel is the wrapper's, too: kernel, vector_u, the layer's others."""
        if not self.built:
            return super().weights
        return [self._kernel, *self._weights, *(w for w in self.layer.weights if w is not self._kernel)]

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return self.layer(inputs)
        variable = self._kernel
        vector_u, kernel = self._normalized(variable)
        for target, new in ((self.vector_u, vector_u), (variable, kernel)):
            if isinstance(new, Value):
                record_update(target, new)
            else:
                target.assign(new)
        setattr(self.layer, self._kernel_name, ops.straight_through(variable, kernel))
        try:
            return self.layer(inputs, training=True)
        finally:
            setattr(self.layer, self._kernel_name, variable)

    def _normalized(self, kernel: Variable) -> tuple[Any, Any]:
        """The next direction u, and the kernel over the singular value ``v W u``."""
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        turned = ops.transpose(matrix, (1, 0))
        u: Any = self.vector_u
        for _ in range(self.power_iterations):
            image = ops.dense(_unit(ops.dense(u, turned)), matrix)
            u = _unit(ops.add(image, ops.scale(u, _SHARE_OF_OLD)))
        sigma = ops.dense(image, ops.reshape(u, (-1, 1)))
        return u, ops.divide(kernel, ops.reshape(ops.scale(sigma, 1.0, _NO_LENGTH), (1,)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": described(self.layer), "power_iterations": self.power_iterations}


def _unit(row: Any) -> Any:
    """Of length 1, or zeros."""
    return ops.scale(ops.rms_norm(row, epsilon=_NO_LENGTH), 1 / math.sqrt(row.shape[-1]))
