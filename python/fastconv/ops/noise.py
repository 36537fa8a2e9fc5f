"""Normal noise by a counter-based generator: the noise of a seed is the same on every machine and for any number of threads."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.dropout import as_seed
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_shape,
    register,
)

__all__ = ["gaussian_noise", "gaussian_noise_backward"]


def _lower(dtype: str, shapes: tuple[Shape | None, ...], *, stddev: float, multiply: bool) -> Lowered:
    spec = _cpu.NoiseSpec.make(dtype, shapes[0], stddev, multiply)
    expect_shape("gaussian_noise", "seed", shapes[1], spec.shape("seed"))
    return Lowered(((spec.shape("y"), dtype),), (Call("noise", spec, (0, 1, 2)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    expect_shape("gaussian_noise", "dy", tuple(g.dys[0].shape), tuple(g.inputs[0].shape))
    if not g.attrs["multiply"]:  # the noise is a constant
        return (g.dys[0], None)
    return (apply(NOISE, g.dys[0], g.inputs[1], **g.attrs), None)  # the same factors on dy


NOISE: OpDef = register(OpDef("gaussian_noise", ("x", "seed"), _lower, _gradient, dtypes={"seed": ("uint64",)}))


def _attrs(stddev: Any, multiply: Any) -> dict[str, Any]:
    return {
        "stddev": _numbers.as_float("gaussian_noise", "stddev", stddev),
        "multiply": _numbers.as_bool("gaussian_noise", "multiply", multiply),
    }


def gaussian_noise(x: Any, stddev: float, *, seed: Any, multiply: bool = False, out: Any = None) -> Any:
    """``x + stddev * z``, or ``x * (1 + stddev * z)``, z standard normal.

    Args:
        x: float32 or float64 array of any shape.
        stddev: at least 0.
        seed: int in [0, 2**64); z depends on it and on each cell's place alone.
        multiply: cells get factors with mean 1 instead of summands.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype.

    Numerics: z has float32's precision for both types, ``|z| < 5.8``, and the same bits on every instruction set and device.
    Source: Box and Muller 1958; Philox4x32-10 of Salmon et al. 2011, words 2k and 2k + 1 of which make z at 2k and 2k + 1.
    """
    return apply(NOISE, x, as_seed("gaussian_noise", "seed", x, seed), out=out, **_attrs(stddev, multiply))


def gaussian_noise_backward(
    dy: Any, x: Any, stddev: float, *, seed: Any, multiply: bool = False, needs: Any = None
) -> tuple:
    """Gradient of :func:`gaussian_noise`: ``(dx,)``, dy, or dy times the same factors."""
    (need,) = all_needs("gaussian_noise", needs, ("x",), (True,))
    inputs = (x, as_seed("gaussian_noise", "seed", x, seed))
    return backward(NOISE, dy, inputs, _attrs(stddev, multiply), (need, False))[:1]
