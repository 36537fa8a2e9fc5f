"""A penalty on what passes through."""

from __future__ import annotations

from typing import Any

from fastconv.layers.base import Layer
from fastconv.regularizers import L1L2

__all__ = ["ActivityRegularization"]


class ActivityRegularization(Layer):
    """Passes its input on, and adds ``(l1 * Σ|x| + l2 * Σx²) / batch size`` to the loss.

    Args:
        l1, l2: factors, finite and >= 0.

    Input shape / Output shape: any, the same.

    Example:
        >>> from fastconv import layers
        >>> layers.ActivityRegularization(l2=0.1)(layers.Input((3,))).shape
        (None, 3)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **keywords: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **keywords)
        self.l1, self.l2 = self.activity_regularizer.l1, self.activity_regularizer.l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]  # made of the two
        return {**config, "l1": self.l1, "l2": self.l2}
