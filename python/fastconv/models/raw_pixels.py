"""A word to those who train on pixels 0..255 as they come from a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from fastconv import layers

__all__ = ["warn_of_raw_pixels"]

_ROWS = 64  # looked at
_BRIGHT = 128  # digits of 0..16, or counts, are no raw pixels

# Layers that neither scale nor learn; what else is not here is trusted to scale.
_PASS = (
    "Flatten",
    "Reshape",
    "ZeroPadding",
    "Cropping",
    "Random",
    "Dropout",
    "Resizing",
    "CenterCrop",
    "Permute",
    "UpSampling",
)
_LEARN = ("Dense", "Conv", "SeparableConv", "DepthwiseConv")


def warn_of_raw_pixels(model: Any, inputs: Sequence[Any]) -> None:
    """UserWarning where images hold whole numbers up to 255 and the first layer that learns gets them unscaled."""
    if len(inputs) != 1 or not _looks_raw(inputs[0]):
        return
    for layer in _in_order(model):
        kind = type(layer).__name__
        if type(layer).__module__.startswith(layers.__name__) and kind.startswith(_PASS):
            continue
        if type(layer).__module__.startswith(layers.__name__) and kind.startswith(_LEARN):
            warnings.warn(
                f"[fit] x looks like raw pixels: expected about -1..1 before {layer.name}, got whole numbers up to "
                f"{inputs[0][:_ROWS].max():g}. Begin the model with layers.Rescaling(1 / 255), or divide x by 255.",
                stacklevel=3,
            )
        return


def _looks_raw(x: Any) -> bool:
    if hasattr(x, "__cuda_array_interface__"):  # a look would wait for the GPU
        return False
    if x.ndim < 3 or x.size == 0 or x.dtype.kind not in "uif":
        return False
    rows = x[:_ROWS]
    return bool(rows.min() >= 0 and _BRIGHT <= rows.max() <= 255 and (rows % 1 == 0).all())


def _in_order(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _in_order(layer)
        elif not isinstance(layer, layers.InputLayer):
            yield layer
