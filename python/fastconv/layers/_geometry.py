"""What the layers over sequences, images and volumes ask of their inputs, and how a sequence becomes an image of one row."""

from __future__ import annotations

from typing import Any

from fastconv import ops
from fastconv.ops import _numbers

__all__ = [
    "as_row",
    "as_sequence",
    "channels_of",
    "check_data_format",
    "check_images",
    "check_sequences",
    "check_single",
    "check_volumes",
    "one_count",
    "three_counts",
    "three_pads",
]


def check_data_format(name: str, data_format: Any) -> None:
    """ValueError unless channels come last."""
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"[{name}] channels come last: expected data_format='channels_last', got {data_format!r}. Transpose the data."
        )


def check_single(name: str, inputs: Any) -> None:
    """TypeError for a list of inputs, or of their shapes."""
    if isinstance(inputs, list):
        raise TypeError(
            f"[{name}] inputs must be one array: expected (N, ...), got a list of {len(inputs)}. Concatenate them, or use "
            "np.array for nested lists."
        )


def channels_of(name: str, shape: Any) -> int:
    """C of a shape (N, ..., C)."""
    check_single(name, shape)
    if len(shape) < 2:
        raise ValueError(
            f"[{name}] inputs must have channels: expected (N, ..., C), got rank {len(shape)}. Add an axis, e.g. x[None]."
        )
    return shape[-1]


def check_images(name: str, shape: Any) -> None:
    """ValueError unless a shape is (N, H, W, C)."""
    if len(shape) != 4:
        raise ValueError(
            f"[{name}] rank 4 expected, got {len(shape)}: expected images (N, H, W, C), got input of shape {tuple(shape)}. "
            "Add Reshape, or a channel axis with x[..., None]."
        )


def check_sequences(name: str, shape: Any) -> None:
    """ValueError unless a shape is (N, T, C)."""
    if len(shape) != 3:
        raise ValueError(
            f"[{name}] rank 3 expected, got {len(shape)}: expected sequences (N, T, C), got input of shape {tuple(shape)}. "
            "Add Reshape, or a channel axis with x[..., None]."
        )


def check_volumes(name: str, shape: Any) -> None:
    """ValueError unless a shape is (N, D, H, W, C)."""
    if len(shape) != 5:
        raise ValueError(
            f"[{name}] rank 5 expected, got {len(shape)}: expected volumes (N, D, H, W, C), got input of shape {tuple(shape)}. "
            "Add Reshape, or a channel axis with x[..., None]."
        )


def three_counts(name: str, argument: str, value: Any, least: int = 1) -> tuple[int, int, int]:
    """``(depth, height, width)``, each >= ``least``, from an int or three."""
    depth, *image = _numbers.as_triple(name, argument, value)
    (depth, _), (height, width) = (_numbers.as_counts(name, argument, pair, least) for pair in ((depth, depth), image))
    return depth, height, width


def three_pads(name: str, value: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(before, after) >= 0 along depth, height and width from an int, three ints or three pairs."""
    pads = _numbers.as_triple_pads(name, value)
    depth, height, width = (_numbers.as_counts(name, "padding", pair, 0) for pair in pads)
    return depth, height, width


def one_count(name: str, argument: str, value: Any, least: int = 1) -> int:
    """An int, which may come as Keras's 1-tuple."""
    single = value[0] if isinstance(value, (tuple, list)) and len(value) == 1 else value
    return _numbers.as_counts(name, argument, _numbers.as_int(name, argument, single), least)[1]


def as_row(x: Any) -> Any:
    """(N, T, C) as images (N, 1, T, C) of one row; the same memory."""
    check_single("as_row", x)
    n, steps, channels = x.shape
    return ops.reshape(x, (n, 1, steps, channels))


def as_sequence(x: Any) -> Any:
    """(N, 1, T, C) as sequences (N, T, C); the same memory."""
    n, _, steps, channels = x.shape
    return ops.reshape(x, (n, steps, channels))
