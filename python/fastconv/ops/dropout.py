"""Dropout by a counter-based generator: the mask of a seed is the same on every machine and for any number of threads."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fastconv import _cpu
from fastconv.graph import Value
from fastconv.ops import _devices, _numbers
from fastconv.ops.registry import (
    Call,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
    shape_of,
)

__all__ = ["dropout", "dropout_backward"]


def _lower(dtype: str, shapes: tuple[Shape | None, ...], *, rate: float) -> Lowered:
    spec = _cpu.DropoutSpec.make(dtype, shapes[0], rate)
    expect_shape("dropout", "seed", shapes[1], spec.shape("seed"))
    return Lowered(((spec.shape("y"), dtype),), (Call("dropout", spec, (0, 1, 2)),))


DROPOUT: OpDef = register(
    OpDef(
        "dropout",
        ("x", "seed"),
        _lower,
        lambda g: (apply(DROPOUT, g.dys[0], g.inputs[1], rate=g.attrs["rate"]), None),  # the same mask on dy
        dtypes={"seed": ("uint64",)},
    )
)


def _mask_shape(x: Shape, noise_shape: Shape) -> Shape:
    if len(noise_shape) != len(x) or any(n not in (1, extent) for n, extent in zip(noise_shape, x, strict=True)):
        raise ValueError(
            f"[dropout] noise_shape must broadcast to x: expected {len(x)} extents, each 1 or x's, got "
            f"noise_shape={noise_shape}, x.shape={x}. Use 1 for the axes along which cells share their fate."
        )
    return noise_shape


def _lower_shared(dtype: str, shapes: tuple[Shape | None, ...], *, rate: float, noise_shape: Shape) -> Lowered:
    x, seed = shapes
    assert x is not None
    mask = _mask_shape(x, noise_shape)
    spec = _cpu.DropoutSpec.make(dtype, mask, rate)
    expect_shape("dropout", "seed", seed, spec.shape("seed"))
    product = _cpu.BinarySpec.make(dtype, "multiply", x, mask)
    calls = (
        Call("fill", _cpu.FillSpec.make(dtype, mask, 1.0), (3,)),
        Call("dropout", spec, (3, 1, 4)),
        Call("binary_forward", product, (0, 4, 2)),
    )
    return Lowered(((x, dtype),), calls, scratch=((mask, dtype), (mask, dtype)))


# The mask is small and drawn again for the gradient.
SHARED_DROPOUT: OpDef = register(
    OpDef(
        "shared_dropout",
        ("x", "seed"),
        _lower_shared,
        lambda g: (apply(SHARED_DROPOUT, g.dys[0], g.inputs[1], **g.attrs), None),
        dtypes={"seed": ("uint64",)},
        title="dropout",
    )
)


def as_seed(op: str, name: str, x: Any, seed: Any) -> Any:
    """The seed as an array (1,) where x is."""
    if isinstance(seed, Value):
        return seed
    if isinstance(seed, (bool, np.bool_)) or not hasattr(seed, "__index__"):
        raise TypeError(
            f"[{op}] {name} must be an int: expected 0 <= {name} < 2**64, got {name}={seed!r} ({type(seed).__name__}). "
            "Pass a whole number."
        )
    try:
        number = operator.index(seed)
    except TypeError:  # a class, an array of several
        raise TypeError(
            f"[{op}] {name} must be one int: expected 0 <= {name} < 2**64, got {name}={seed!r} ({type(seed).__name__}). "
            "Pass a whole number."
        ) from None
    if not 0 <= number < 2**64:
        raise ValueError(
            f"[{op}] {name} must fit 64 bits: expected 0 <= {name} < 2**64, got {name}={number}. Reduce it."
        )
    return _devices.of(op, ("x",), (x,)).on_device(op, name, np.array([number], np.uint64))


def dropout(x: Any, rate: float, *, seed: Any, noise_shape: Any = None, out: Any = None) -> Any:
    """``x / (1 - rate)`` where a random mask keeps a cell, 0 elsewhere ("inverted" dropout: the mean stays).

    Args:
        x: float32 or float64 array of any shape.
        rate: share of cells set to zero, in [0, 1], to the nearest 2^-16; 1 drops everything.
        seed: int in [0, 2**64); the mask depends on it and on each cell's place alone.
        noise_shape: of the mask, which repeats along axes of extent 1: (N, 1, 1, C) drops whole channels of images. None, as
            an extent: x's.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.

    Numerics: a dropped NaN is 0, but with a noise_shape that repeats it stays NaN, for there the mask is multiplied.
    Source: Srivastava et al. 2014; Tompson et al. 2014 (channels); Philox4x32-10 of Salmon et al. 2011.
    """
    op, attrs = _dropout(x, rate, noise_shape)
    return apply(op, x, as_seed("dropout", "seed", x, seed), out=out, **attrs)


def dropout_backward(dy: Any, x: Any, rate: float, *, seed: Any, noise_shape: Any = None, needs: Any = None) -> tuple:
    """Gradient of :func:`dropout`: ``(dx,)``, by the same mask."""
    op, attrs = _dropout(x, rate, noise_shape)
    (need,) = all_needs("dropout", needs, ("x",), (True,))
    return backward(op, dy, (x, as_seed("dropout", "seed", x, seed)), attrs, (need, False))[:1]


def _dropout(x: Any, rate: Any, noise_shape: Any) -> tuple[OpDef, dict[str, Any]]:
    attrs: dict[str, Any] = {"rate": _numbers.as_float("dropout", "rate", rate)}
    if noise_shape is None:
        return DROPOUT, attrs
    if not isinstance(noise_shape, (tuple, list)):
        raise TypeError(
            f"[dropout] noise_shape must be extents: expected a tuple of ints or None, got noise_shape={noise_shape!r}. Pass "
            "one per axis of x."
        )
    shape = shape_of("dropout", "x", x)
    given = [shape[i] if n is None and i < len(shape) else n for i, n in enumerate(noise_shape)]
    extents = tuple(_numbers.as_int("dropout", "noise_shape", n) for n in given)
    return (DROPOUT, attrs) if extents == shape else (SHARED_DROPOUT, {**attrs, "noise_shape": extents})
