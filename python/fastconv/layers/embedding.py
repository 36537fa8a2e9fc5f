"""Embedding and RepeatVector."""

from __future__ import annotations

from typing import Any

from fastconv import initializers, ops
from fastconv.layers.base import Layer
from fastconv.ops import _numbers
from fastconv.ops.registry import wide

__all__ = ["Embedding", "RepeatVector"]


class Embedding(Layer):
    """Numbers of words, or of other things, become vectors: rows of a table.

    Args:
        input_dim: rows of the table; ids are in [0, input_dim).
        output_dim: length of a vector.
        embeddings_initializer: name, instance or function.
        embeddings_regularizer, embeddings_constraint: names or objects of ``fastconv.regularizers`` and ``fastconv.constraints``.
        mask_zero: False; there are no masks.

    Input shape: (N, ...), ids, as floats like all that a model is fed. Output shape: (N, ..., output_dim). Weights: embeddings
    (input_dim, output_dim). An id that is no row is refused where it is an input of the model; one that the model computes, or
    that is on a GPU, makes a row of NaN, and the training step that meets it is not taken.
    """

    ruled_weights = ("embeddings",)
    autocast = False  # ids are not rounded to 16 bits

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        mask_zero: bool = False,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.input_dim = _numbers.as_count(self.name, "input_dim", input_dim)
        self.output_dim = _numbers.as_count(self.name, "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        if mask_zero:
            raise ValueError(
                f"[{self.name}] mask_zero is not supported: expected mask_zero=False, got {mask_zero!r}. Pad at the front, so that "
                "a recurrent layer ends with the words."
            )

    def build(self, input_shape: Any) -> None:
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(shape, self.embeddings_initializer, "embeddings")

    def call(self, inputs: Any) -> Any:
        table: Any = self.embeddings
        if inputs.dtype in ("float16", "bfloat16"):
            inputs = ops.cast(inputs, wide(inputs.dtype))
        return ops.embedding(inputs, table)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "mask_zero": False,
        }


class RepeatVector(Layer):
    """(N, D) -> (N, n, D), the same vector in every step.

    Args:
        n: how often.
    """

    def __init__(self, n: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.n = _numbers.as_count(self.name, "n", n)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2:
            raise ValueError(
                f"[{self.name}] rank 2 expected, got {len(input_shape)}: expected vectors (N, D), got input of shape {input_shape}. "
                "Add Flatten before RepeatVector."
            )

    def call(self, inputs: Any) -> Any:
        step = ops.reshape(inputs, (inputs.shape[0], 1, inputs.shape[1]))
        return ops.concatenate([step] * self.n, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
