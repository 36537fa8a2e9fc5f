"""Images in another size: each row and column of the result is a short weighted sum of rows and columns."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.registry import (
    Call,
    Gradient,
    Lowered,
    OpDef,
    Shape,
    all_needs,
    apply,
    backward,
    expect_rank,
    expect_shape,
    register,
    shape_of,
)

__all__ = ["resize2d", "resize2d_backward", "upsample", "upsample_backward"]

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5")
COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
ROUNDINGS = ("round_prefer_ceil", "round_prefer_floor", "floor", "ceil")


def _lower(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    spec = _cpu.ResampleSpec.make(dtype, "resize2d", shapes[0], *attrs.values(), False)
    return Lowered(((spec.shape("y"), dtype),), (Call("resample", spec, (0, 1)),))


def _lower_backward(dtype: str, shapes: tuple[Shape | None, ...], *, shape: Shape, **attrs: Any) -> Lowered:
    spec = _cpu.ResampleSpec.make(dtype, "resize2d", shape, *attrs.values(), True)
    expect_shape("resize2d", "dy", shapes[0], spec.shape("x"))
    return Lowered(((spec.shape("y"), dtype),), (Call("resample", spec, (0, 1)),))


def _gradient(g: Gradient) -> tuple[Any, ...]:
    return (apply(BACKWARD, g.dys[0], shape=tuple(g.inputs[0].shape), **g.attrs),)


FORWARD: OpDef = register(OpDef("resize2d", ("x",), _lower, _gradient))
BACKWARD: OpDef = register(OpDef("resize2d_backward", ("dy",), _lower_backward, title="resize2d"))


def _scales(value: Any) -> tuple[float, float]:
    if value is None:
        return (0.0, 0.0)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(
            f"[resize2d] scales must be two numbers: expected (height, width), got scales={value!r}. Pass both."
        )
    height, width = (_numbers.as_positive("resize2d", "scales", v) for v in value)
    return height, width


def _attrs(
    size: Any,
    interpolation: Any,
    antialias: Any,
    coordinates: Any,
    rounding: Any,
    cubic_coeff_a: Any,
    exclude_outside: Any,
    scales: Any,
) -> dict[str, Any]:
    return {
        "size": _numbers.as_pair("resize2d", "size", size),
        "interpolation": _numbers.as_one_of("resize2d", "interpolation", interpolation, INTERPOLATIONS),
        "antialias": _numbers.as_bool("resize2d", "antialias", antialias),
        "coordinates": _numbers.as_one_of("resize2d", "coordinates", coordinates, COORDINATES),
        "rounding": _numbers.as_one_of("resize2d", "rounding", rounding, ROUNDINGS),
        "cubic_coeff_a": _numbers.as_float("resize2d", "cubic_coeff_a", cubic_coeff_a),
        "exclude_outside": _numbers.as_bool("resize2d", "exclude_outside", exclude_outside),
        "scales": _scales(scales),
    }


def resize2d(
    x: Any,
    size: Any,
    *,
    interpolation: str = "bilinear",
    antialias: bool = False,
    coordinates: str = "half_pixel",
    rounding: str = "round_prefer_ceil",
    cubic_coeff_a: float = -0.5,
    exclude_outside: bool = True,
    scales: Any = None,
    out: Any = None,
) -> Any:
    """Images in another size.

    Cell i of an axis of the result is the mean of cells j near ``c = (i + 1/2) * extent / size - 1/2``, weighted by ``k(j - c)``.

    Args:
        x: float array (N, H, W, C).
        size: (height, width) of the results, or one number for both.
        interpolation: "nearest"; "bilinear", k a tent; "bicubic" (Keys 1981); "lanczos3" and "lanczos5"; or "area", the mean
            over what the cell covers.
        antialias: where images become smaller, k is stretched as much, so that every cell counts.
        coordinates: where c is: "half_pixel" as above, or another of ONNX's: "asymmetric", "align_corners",
            "pytorch_half_pixel", "half_pixel_symmetric".
        rounding: of c where the nearest cell is meant: "round_prefer_ceil", "round_prefer_floor", "floor" or "ceil".
        cubic_coeff_a: of "bicubic": -0.5 as TensorFlow, JAX and Pillow have it, -0.75 as PyTorch.
        exclude_outside: cells beyond the image do not count, and the others' weights are scaled up; False: they repeat its
            edge.
        scales: result / source of (height, width), where size was rounded; size / extent by default.
        out: optional preallocated result.

    Returns:
        Array (N, height, width, C) of x's dtype.

    Raises:
        ValueError: for names and numbers. TypeError: for kinds and dtypes.

    Numerics: weights are found in float64; rows are added first, in ascending order. One weight of 1 copies.
    Source: TensorFlow's ``tf.image.resize``; ONNX's Resize.

    Example:
        >>> import numpy as np
        >>> x = np.array([0.0, 4.0], np.float32).reshape(1, 1, 2, 1)
        >>> resize2d(x, (1, 4)).ravel()
        array([0., 1., 3., 4.], dtype=float32)
    """
    settings = (interpolation, antialias, coordinates, rounding, cubic_coeff_a, exclude_outside, scales)
    return apply(FORWARD, x, out=out, **_attrs(size, *settings))


def resize2d_backward(
    dy: Any,
    x: Any,
    size: Any,
    *,
    interpolation: str = "bilinear",
    antialias: bool = False,
    coordinates: str = "half_pixel",
    rounding: str = "round_prefer_ceil",
    cubic_coeff_a: float = -0.5,
    exclude_outside: bool = True,
    scales: Any = None,
    needs: Any = None,
) -> tuple:
    """Gradient of :func:`resize2d`: ``(dx,)``, the same weights the other way, each cell summed in ascending order."""
    settings = (interpolation, antialias, coordinates, rounding, cubic_coeff_a, exclude_outside, scales)
    return backward(FORWARD, dy, (x,), _attrs(size, *settings), all_needs("resize2d", needs, ("x",), (True,)))


def _upsampled(x: Any, size: Any) -> tuple[int, int]:
    rows, columns = _numbers.as_counts("upsample", "size", size)
    shape = shape_of("upsample", "x", x)
    expect_rank("upsample", "x", shape, 4, "(N, H, W, C)")
    return shape[1] * rows, shape[2] * columns


def upsample(x: Any, size: Any = 2, *, interpolation: str = "nearest", out: Any = None) -> Any:
    """Images ``size`` times as high and wide: :func:`resize2d` by whole factors.

    Args:
        x: float array (N, H, W, C).
        size: factor, or (of rows, of columns).
        interpolation: "nearest" repeats rows and columns; the others are those of :func:`resize2d`.
        out: optional preallocated result.

    Returns:
        Array (N, size * H, size * W, C) of x's dtype.
    """
    return resize2d(x, _upsampled(x, size), interpolation=interpolation, out=out)


def upsample_backward(dy: Any, x: Any, size: Any = 2, *, interpolation: str = "nearest", needs: Any = None) -> tuple:
    """Gradient of :func:`upsample`: ``(dx,)``."""
    return resize2d_backward(dy, x, _upsampled(x, size), interpolation=interpolation, needs=needs)
