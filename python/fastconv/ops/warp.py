"""Images turned, zoomed, sheared, and with another contrast and brightness: at random, by a seed and an image's place in the
batch, with the same bits on every device."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.augment import FILL_MODES, INTERPOLATIONS
from fastconv.ops.dropout import as_seed
from fastconv.ops.pool import global_avg_pool2d
from fastconv.ops.registry import Call, Gradient, Lowered, OpDef, Shape, apply, expect_shape, register

__all__ = ["adjust2d", "warp2d"]


def _no_gradient(g: Gradient) -> tuple[Any, ...]:
    raise ValueError(
        "[augmentation] there is no gradient: expected layers without weights before the augmentation, got one that is to be "
        "trained. Put random changes of images first."
    )


def _lower_warp(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    x, seed = shapes
    spec = _cpu.WarpSpec.make(dtype, x, *attrs.values())
    expect_shape("warp2d", "seed", seed, spec.shape("seed"))
    return Lowered(((spec.shape("y"), dtype),), (Call("warp", spec, (0, 1, 2)),))


def _lower_adjust(dtype: str, shapes: tuple[Shape | None, ...], **attrs: Any) -> Lowered:
    x, mean, seed = shapes
    spec = _cpu.AdjustSpec.make(dtype, x, *attrs.values())
    expect_shape("adjust2d", "mean", mean, spec.shape("mean"))
    expect_shape("adjust2d", "seed", seed, spec.shape("seed"))
    return Lowered(((spec.shape("y"), dtype),), (Call("adjust", spec, (0, 1, 2, 3)),))


_SEED: dict[str, tuple[str, ...]] = {"seed": ("uint64",)}
WARP: OpDef = register(OpDef("warp2d", ("x", "seed?"), _lower_warp, _no_gradient, dtypes=_SEED))
ADJUST: OpDef = register(OpDef("adjust2d", ("x", "mean?", "seed?"), _lower_adjust, _no_gradient, dtypes=_SEED))


def warp2d(
    x: Any,
    *,
    angle: Any = (0, 0),
    zoom_rows: Any = (1, 1),
    zoom_columns: Any = (1, 1),
    one_zoom: bool = False,
    shear_x: Any = (0, 0),
    shear_y: Any = (0, 0),
    either_way: bool = False,
    centred: bool = True,
    seed: Any = None,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    out: Any = None,
) -> Any:
    """Turns, zooms and shears each image by draws of its own.

    ``y[n, p, q]`` is ``x[n]`` at (column, row) = ``Z S R (q, p)``, counted from the image's centre: Z = diag(zoom of columns, of
    rows), S = [[1, shear_x], [shear_y, 1]], R turns counter-clockwise.

    Args:
        x: float array (N, H, W, C), up to 16384 cells high and wide.
        angle: ``(first, last)`` in turns, within [-1, 1].
        zoom_rows, zoom_columns: ``(first, last)`` within [0, 2]; above 1 shows more than the image.
        one_zoom: both axes have the zoom of the rows.
        shear_x, shear_y: ``(first, last)`` within [-1, 1].
        either_way: half of the images are sheared the other way.
        centred: False: counted from the image's first cell.
        seed: int in [0, 2**64). Words 0 to 3 of ``Philox4x32-10(counter=2n, key=seed)`` draw angle, zooms and shear_x, words 0
            and 1 of counter 2n + 1 shear_y and its sign: multiples of 2**-24. None: the first of every range.
        interpolation: of places between cells: "nearest", or "bilinear", the mean of their four neighbours.
        fill_mode, fill_value: what lies beyond an image: as in :func:`augment2d`.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype. There is no gradient.

    Numerics: places are multiples of 1/65536 of a cell, found in integers. Quarter turns of square images are exact.
    Source: Keras 3, RandomRotation, RandomZoom, RandomShear.

    Example:
        >>> import numpy as np
        >>> x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
        >>> warp2d(x, angle=(0.25, 0.25))[0, :, :, 0]
        array([[1., 3.],
               [0., 2.]], dtype=float32)
    """
    op = "warp2d"
    attrs = {
        "angle": _numbers.as_range(op, "angle", angle),
        "zoom_rows": _numbers.as_range(op, "zoom_rows", zoom_rows),
        "zoom_columns": _numbers.as_range(op, "zoom_columns", zoom_columns),
        "one_zoom": _numbers.as_bool(op, "one_zoom", one_zoom),
        "shear_x": _numbers.as_range(op, "shear_x", shear_x),
        "shear_y": _numbers.as_range(op, "shear_y", shear_y),
        "either_way": _numbers.as_bool(op, "either_way", either_way),
        "centred": _numbers.as_bool(op, "centred", centred),
        "interpolation": _numbers.as_one_of(op, "interpolation", interpolation, INTERPOLATIONS),
        "fill_mode": _numbers.as_one_of(op, "fill_mode", fill_mode, FILL_MODES),
        "fill_value": _numbers.as_float(op, "fill_value", fill_value),
    }
    return apply(WARP, x, None if seed is None else as_seed(op, "seed", x, seed), out=out, **attrs)


def adjust2d(
    x: Any,
    *,
    contrast: Any = (1, 1),
    brightness: Any = (0, 0),
    limits: Any = (0, 255),
    seed: Any = None,
    out: Any = None,
) -> Any:
    """Changes contrast and brightness of each image by draws of its own: ``clip((x - m) * contrast + m + brightness)``, m the mean
    of each channel of the image.

    Args:
        x: float array (N, H, W, C).
        contrast, brightness: ``(first, last)``.
        limits: (least, largest) value of results.
        seed: int in [0, 2**64). Words 0 and 1 of ``Philox4x32-10(counter=n, key=seed)`` draw contrast and brightness, in 2**24
            steps. None: the first of each range.
        out: optional preallocated result.

    Returns:
        Array of x's shape and dtype. There is no gradient.

    Numerics: brightness has the same bits on every device; the means of contrast are sums, which a GPU adds in its own order.
    Source: Keras 3, RandomContrast, RandomBrightness.

    Example:
        >>> import numpy as np
        >>> adjust2d(np.array([[[[10.0], [200.0]]]], np.float32), brightness=(100, 100)).ravel()
        array([110., 255.], dtype=float32)
    """
    attrs = {
        "contrast": _numbers.as_range("adjust2d", "contrast", contrast),
        "brightness": _numbers.as_range("adjust2d", "brightness", brightness),
        "limits": _numbers.as_range("adjust2d", "limits", limits),
    }
    drawn = None if seed is None else as_seed("adjust2d", "seed", x, seed)
    mean = None if attrs["contrast"] == (1.0, 1.0) else global_avg_pool2d(x)
    return apply(ADJUST, x, mean, drawn, out=out, **attrs)
