"""What may be asked of a convolution: checks of arrays and numbers, and the two axes that follow."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check
from ._memory import refuse_too_large
from ._window import Axis, axes, effective, explicit, split
from .by_name import check_name

IMAGE = ("batch", "height", "width", "channels")
_FILTER = ("kernel height", "kernel width", "in channels", "out channels")
_FILTER_TRANSPOSE = ("kernel height", "kernel width", "out channels", "in channels")
_BIAS = ("out channels",)


def _numbers(op: str, stride: Any, dilation: Any, groups: Any) -> tuple[tuple[int, int], tuple[int, int], int]:
    return (
        _check.pair(op, "stride", stride, 1),
        _check.pair(op, "dilation", dilation, 1),
        _check.integer(op, "groups", groups, 1),
    )


def conv_args(
    op: str,
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    activation: Any,
    dy: Any = None,
) -> tuple[np.dtype, Axis, Axis, int]:
    named = {"x": (x, IMAGE), "w": (w, _FILTER), "bias": (bias, _BIAS), "dy": (dy, IMAGE)}
    backward = op.endswith("_backward")
    dtype = _check.arrays(op, **_given(named, backward))
    stride, dilation, groups = _numbers(op, stride, dilation, groups)
    check_name(op, activation)
    explicit(op, padding)
    c, k = x.shape[3], w.shape[3]
    if c % groups:
        _divides(op, "in channels", c, groups, x.shape)
    if w.shape[2] != c // groups:
        got = f"w {w.shape[2]} in channels, w.shape={w.shape}, x.shape={x.shape}, groups={groups}"
        rule = "w in channels must be the in channels of one group"
        _check.fail(ValueError, op, rule, f"C / groups = {c // groups}", got, "w is (R, S, C/groups, K).")
    if k % groups:
        _divides(op, "out channels", k, groups, w.shape)
    if bias is not None:
        _check.shape(op, "bias", bias, (k,), f"the out channels of w, w.shape={w.shape}")
    rows, cols = axes(op, "kernel", x.shape[1:3], w.shape[:2], stride, dilation, padding)
    y_shape = (x.shape[0], rows.out, cols.out, k)
    if backward:
        _check.shape(op, "dy", dy, y_shape, "the forward's result (batch, height, width, out channels)")
    refuse_too_large(op, x.shape if backward else y_shape, x.shape, w.shape, y_shape)
    return dtype, rows, cols, groups


def transpose_args(
    op: str,
    x: Any,
    w: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: Any,
    dy: Any = None,
) -> tuple[np.dtype, Axis, Axis, int]:
    named = {"x": (x, IMAGE), "w": (w, _FILTER_TRANSPOSE), "bias": (bias, _BIAS), "dy": (dy, IMAGE)}
    backward = op.endswith("_backward")
    dtype = _check.arrays(op, **_given(named, backward))
    stride, dilation, groups = _numbers(op, stride, dilation, groups)
    pads = explicit(op, padding)
    extra = _check.pair(op, "output_padding", output_padding, 0)
    c, k = x.shape[3], w.shape[2] * groups
    if w.shape[3] != c:
        got = f"w {w.shape[3]} in channels, w.shape={w.shape}, x.shape={x.shape}"
        rule = "w in channels must be the channels of x"
        _check.fail(ValueError, op, rule, f"{c} in channels", got, "w is (R, S, K/groups, C).")
    if c % groups:
        _divides(op, "in channels", c, groups, x.shape)
    if bias is not None:
        _check.shape(op, "bias", bias, (k,), f"w out channels times groups, w.shape={w.shape}, groups={groups}")
    if padding in ("same", "same_lower") and any(extra):
        rule = "output_padding does not go with padding 'same', which fixes the output extent"
        _check.fail(
            ValueError,
            op,
            rule,
            "output_padding 0",
            f"output_padding={output_padding}",
            "Give pads as numbers.",
        )
    for e, s in zip(extra, stride, strict=True):
        if e >= s:
            rule = "output_padding must be smaller than stride"
            got = f"output_padding={output_padding}, stride={stride}"
            _check.fail(
                ValueError,
                op,
                rule,
                "output_padding < stride",
                got,
                "A larger one adds rows nothing reaches.",
            )
    rows, cols = (
        _transpose_axis(op, x.shape[1 + i], w.shape[i], stride[i], dilation[i], pads and pads[i], padding, extra[i])
        for i in range(2)
    )
    y_shape = (x.shape[0], rows.extent, cols.extent, k)
    if backward:
        _check.shape(op, "dy", dy, y_shape, "the forward's result (batch, height, width, out channels)")
    refuse_too_large(op, x.shape if backward else y_shape, x.shape, w.shape, y_shape)
    return dtype, rows, cols, groups


def _transpose_axis(
    op: str,
    n: int,
    window: int,
    stride: int,
    dilation: int,
    pads: tuple[int, int] | None,
    name: Any,
    extra: int,
) -> Axis:
    """The axis of the convolution that maps the transposed convolution's output back to its input."""
    eff = effective(window, dilation)
    if pads is None:
        pads = (0, 0) if name == "valid" else split(max(eff - stride, 0), name)
        extra = extra if name == "valid" else max(stride - eff, 0)
    extent = (n - 1) * stride - sum(pads) + eff + extra
    if extent < 1:
        rule = "padding removes the whole result"
        got = f"{extent} with padding={name!r}, kernel {window}, stride {stride}, input {n}"
        _check.fail(ValueError, op, rule, "output extent >= 1", got, "Use less padding.")
    return Axis(extent, window, stride, dilation, *pads, out=n)


def _given(named: dict[str, Any], backward: bool) -> dict[str, Any]:
    """The arrays to check: bias only where there is one, dy only for gradients."""
    return {
        name: pair
        for name, pair in named.items()
        if not (name == "bias" and pair[0] is None) and (name != "dy" or backward)
    }


def _divides(op: str, what: str, channels: int, groups: int, shape: tuple[int, ...]) -> None:
    rule = f"groups must divide {what} {channels}"
    got = f"groups={groups}, shape={shape}"
    _check.fail(ValueError, op, rule, f"{what} % groups == 0", got, f"Use a divisor of {channels}.")
