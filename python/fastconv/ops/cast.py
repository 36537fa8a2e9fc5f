"""Arrays in another floating-point type."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.graph import is_symbolic
from fastconv.ops import _devices
from fastconv.ops.registry import Call, Gradient, Lowered, OpDef, Shape, all_needs, apply, backward, register

__all__ = ["cast", "cast_backward"]

_FLOATS = ("float32", "float64", "float16", "bfloat16")


def _lower(dtype: str, shapes: tuple[Shape | None, ...], *, to: str) -> Lowered:
    spec = _cpu.CastSpec.make(dtype, to, shapes[0])
    return Lowered(((spec.shape("y"), to),), (Call("cast", spec, (0, 1)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    """The cotangent in x's type; a weight's gradient, summed in float32, comes in float32 already."""
    return (_cast(g.dys[0], str(g.inputs[0].dtype)),)


CAST = register(OpDef("cast", ("x",), _lower, _gradient))


def _cast(x: Any, to: str, out: Any = None) -> Any:
    if out is None and str(x.dtype) == to:
        return x
    return apply(CAST, x, to=to, out=out)


def _checked(dtype: Any, floats: tuple[str, ...]) -> str:
    name = str(dtype)
    if name not in floats:
        raise TypeError(
            f"[cast] dtype must be a floating-point type of the device: expected one of {', '.join(floats)}, got "
            f"dtype={dtype!r}. Convert integers with .astype."
        )
    return name


def cast(x: Any, dtype: Any, *, out: Any = None) -> Any:
    """``x`` in another floating-point type, rounded to nearest even where that is narrower.

    Args:
        x: array of any shape: float32 or float64, on CUDA float32, float16 or bfloat16.
        dtype: the name of one of these, or a NumPy dtype.
        out: optional preallocated result.

    Returns:
        Array of x's shape; x itself where it is of that type already and ``out`` is not given.

    Raises:
        TypeError: for another type, or one that x's device does not compute in.

    Numerics: what is too large for the type becomes infinity; NaN stays NaN.

    Example:
        >>> import numpy as np, fastconv
        >>> fastconv.ops.cast(np.float32([0.5]), "float64")
        array([0.5])
    """
    if is_symbolic(x):
        return _cast(x, _checked(dtype, _FLOATS), out)
    device = _devices.of("cast", ("x",), (x,))
    return _cast(_devices.as_floats("cast", "x", getattr(x, "array", x)), _checked(dtype, device.floats), out)


def cast_backward(dy: Any, x: Any, dtype: Any, *, needs: Any = None) -> tuple:
    """Gradient of :func:`cast`: ``(dx,)``, dy in x's type."""
    wanted = all_needs("cast", needs, ("x",), (True,))
    return backward(CAST, dy, (x,), {"to": _checked(dtype, _FLOATS)}, wanted)
