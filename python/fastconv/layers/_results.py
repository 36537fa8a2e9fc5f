"""What a layer's ``call`` gives back, or a function that the layer was made with."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.graph import Value

__all__ = ["check_results"]

_TENSORS = (Value, np.ndarray, np.generic)


def check_results(layer: str, source: str, results: Any, symbolic: bool) -> None:
    """TypeError unless ``source``, which a layer has called, returned a tensor or a list or tuple of tensors.

    Args:
        layer: its name, for the message.
        source: for the message, too: what was called.
        results: what it returned.
        symbolic: whether it was called on values of a plan, of which only ops make others.
    """
    several = isinstance(results, (list, tuple)) and len(results) > 0
    for result in results if several else [results]:
        if not isinstance(result, Value if symbolic else _TENSORS):
            got = repr(result) if result is None or isinstance(result, (list, tuple)) else type(result).__name__
            raise TypeError(
                f"[{layer}] {source} must return what fastconv.ops made of its inputs: expected a tensor or a list of tensors, "
                f"got {got}. End it with return, and hold constants in a layer's weights."
            )
