"""Images mirrored and moved at random: by a seed and an image's place in the batch, with the same bits on every device."""

from __future__ import annotations

from typing import Any

from fastconv import _cpu
from fastconv.ops import _numbers
from fastconv.ops.dropout import as_seed
from fastconv.ops.registry import Call, Gradient, Lowered, OpDef, Shape, apply, expect_shape, register

__all__ = ["augment2d"]

FLIPS = ("none", "horizontal", "vertical", "horizontal_and_vertical")
FILL_MODES = ("constant", "nearest", "wrap", "reflect", "mirror")
INTERPOLATIONS = ("nearest", "bilinear")


def _lower(dtype: str, shapes: tuple[Shape | None, ...], *, size: Any, **attrs: Any) -> Lowered:
    x, flip_seed, shift_seed = shapes
    assert x is not None
    spec = _cpu.AugmentSpec.make(dtype, x, size or tuple(x[1:3]), *attrs.values())
    expect_shape("augment2d", "flip_seed", flip_seed, spec.shape("flip_seed"))
    expect_shape("augment2d", "shift_seed", shift_seed, spec.shape("shift_seed"))
    return Lowered(((spec.shape("y"), dtype),), (Call("augment", spec, (0, 1, 2, 3)),))


def _no_gradient(g: Gradient) -> tuple[Any, ...]:
    raise ValueError(
        "[augment2d] there is no gradient: expected layers without weights before the augmentation, got one that is to be "
        "trained. Put random flips, crops and translations first."
    )


AUGMENT: OpDef = register(
    OpDef(
        "augment2d",
        ("x", "flip_seed?", "shift_seed?"),
        _lower,
        _no_gradient,
        dtypes={"flip_seed": ("uint64",), "shift_seed": ("uint64",)},
    )
)


def augment2d(
    x: Any,
    *,
    flip: str = "none",
    flip_seed: Any = None,
    alternate: bool = False,
    rows: Any = (0, 0),
    columns: Any = (0, 0),
    shift_seed: Any = None,
    size: Any = None,
    whole: bool = True,
    interpolation: str = "nearest",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    out: Any = None,
) -> Any:
    """Mirrors each image or not, and takes a window of it that begins at a random place, all in one pass.

    ``y[n, p, q] = m[n, p + row[n], q + column[n]]``, where ``m[n]`` is ``x[n]`` or its mirror image.

    Args:
        x: float array (N, H, W, C).
        flip: "none", "horizontal" (left-right), "vertical" or "horizontal_and_vertical" (both or neither).
        flip_seed: int in [0, 2**64), or None for no flip; image n is mirrored if word 0 of ``Philox4x32-10(counter=n, key=seed)``
            is below 2**31.
        alternate: mirror all images where flip_seed is odd, and none where it is even.
        rows, columns: ``(first, last)``: where the window begins, counted from the image's first cell.
        shift_seed: as flip_seed; words 1 and 2 draw row and column. None: the window begins at ``first``.
        size: (P, Q) of the window, the image's by default.
        whole: draw whole numbers only; otherwise multiples of 1/65536.
        interpolation: of places between cells: "nearest", or "bilinear", the mean of their four neighbours.
        fill_mode: what lies beyond an image a b c d: "constant" k k|a b c d|k k, "nearest" a a|a b c d|d d, "wrap"
            c d|a b c d|a b, "reflect" b a|a b c d|d c, "mirror" c b|a b c d|c b.
        fill_value: k of "constant".
        out: optional preallocated result.

    Returns:
        Array (N, P, Q, C) of x's dtype. There is no gradient.

    Example:
        >>> import numpy as np
        >>> x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
        >>> augment2d(x, columns=(-1, -1), fill_mode="reflect").ravel()
        array([0., 0., 1., 2.], dtype=float32)
    """
    attrs = {
        "size": None if size is None else _numbers.as_counts("augment2d", "size", size),
        "flip": _numbers.as_one_of("augment2d", "flip", flip, FLIPS),
        "alternate": _numbers.as_bool("augment2d", "alternate", alternate),
        "rows": _numbers.as_range("augment2d", "rows", rows),
        "columns": _numbers.as_range("augment2d", "columns", columns),
        "whole": _numbers.as_bool("augment2d", "whole", whole),
        "interpolation": _numbers.as_one_of("augment2d", "interpolation", interpolation, INTERPOLATIONS),
        "fill_mode": _numbers.as_one_of("augment2d", "fill_mode", fill_mode, FILL_MODES),
        "fill_value": _numbers.as_float("augment2d", "fill_value", fill_value),
    }
    return apply(
        AUGMENT,
        x,
        None if flip_seed is None else as_seed("augment2d", "flip_seed", x, flip_seed),
        None if shift_seed is None else as_seed("augment2d", "shift_seed", x, shift_seed),
        out=out,
        **attrs,
    )
