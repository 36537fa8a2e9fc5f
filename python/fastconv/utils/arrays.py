"""Image arrays: channels apart and together, vectors of unit length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arguments import items
from ._checks import as_array, as_int, as_real

__all__ = ["add_channel", "merge_channels", "normalize", "split_channels"]


def add_channel(x: Any) -> np.ndarray:
    """Grey images (N,H,W), or one image (H,W), with a channel axis at the end: (N,H,W,1) or (H,W,1). No copy.

    Raises:
        ValueError: ``x`` has neither 2 nor 3 dimensions, so that it is no grey image or batch of them.
    """
    array = as_array("add_channel", "x", x)
    if array.ndim not in (2, 3):
        raise ValueError(
            f"[add_channel] x must be grey images: expected shape (N,H,W) or (H,W), got "
            f"x.shape={array.shape}. Colour images have their channel axis already."
        )
    return array[..., np.newaxis]


def split_channels(x: Any) -> tuple[np.ndarray, ...]:
    """The channels of an image: a colour picture becomes its red, green and blue parts.

    Args:
        x: array (..., H, W, C), of any number dtype.

    Returns:
        C arrays of shape (..., H, W); views of ``x``, no copy.

    Example:
        >>> import numpy as np
        >>> from fastconv.utils import merge_channels, split_channels
        >>> image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        >>> red, green, blue = split_channels(image)
        >>> red.tolist()
        [[0, 3], [6, 9]]
        >>> bool((merge_channels([red, green, blue]) == image).all())
        True
    """
    array = as_array("split_channels", "x", x)
    if array.ndim < 3:
        raise ValueError(
            f"[split_channels] x must have channels: expected shape (..., H, W, C), got "
            f"x.shape={array.shape}. A grey image has no channel axis to split; see add_channel."
        )
    return tuple(array[..., c] for c in range(array.shape[-1]))


def merge_channels(channels: Sequence[Any]) -> np.ndarray:
    """The inverse of :func:`split_channels`: C arrays (..., H, W) of one dtype become (..., H, W, C)."""
    op = "merge_channels"
    arrays = [as_array(op, f"channels[{i}]", channel) for i, channel in enumerate(items(op, "channels", channels))]
    if not arrays:
        raise TypeError(f"[{op}] channels must not be empty: expected [r, g, b], got []. Pass at least one.")
    for i, array in enumerate(arrays):
        if array.shape != arrays[0].shape or array.dtype != arrays[0].dtype or array.ndim < 2:
            raise ValueError(
                f"[{op}] channels must be pictures of one shape and dtype: expected (..., H, W), got "
                f"channels[0] {arrays[0].shape} {arrays[0].dtype}, channels[{i}] {array.shape} {array.dtype}."
            )
    return np.stack(arrays, axis=-1)


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray:
    """Scale vectors to length 1: ``x / ||x||_order`` along ``axis``, as in Keras; a zero vector stays zero.

    For pixels 0..255 to 0..1 divide by 255 (or use the ``Rescaling`` layer) instead.

    Args:
        x: numbers of any shape with at least one axis.
        axis: the axis along which the norm is taken.
        order: order of the norm, >= 1: 1 sums magnitudes, 2 is Euclidean length.

    Returns:
        Array of ``x``'s shape; float64 for float64 input, else float32.

    Numerics:
        Computed in float64 after division by the largest magnitude, so that squares neither overflow nor
        vanish.

    Example:
        >>> from fastconv.utils import normalize
        >>> normalize([[3.0, 4.0]]).tolist()
        [[0.6, 0.8]]
    """
    op = "normalize"
    array = as_array(op, "x", x)
    axis, order = as_int(op, "axis", axis), as_real(op, "order", order)
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"[{op}] axis must exist: got axis={axis} for x.shape={array.shape}.")
    if order < 1:
        raise ValueError(f"[{op}] order must be a norm's: expected order >= 1, got order={order}. Use 1 or 2.")
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    if array.size == 0:
        return array.astype(dtype)
    values = array.astype(np.float64)
    largest = np.abs(values).max(axis=axis, keepdims=True)
    values /= np.where(largest == 0, 1, largest)
    length = (np.abs(values) ** order).sum(axis=axis, keepdims=True) ** (1 / order)
    return (values / np.where(length == 0, 1, length)).astype(dtype)
