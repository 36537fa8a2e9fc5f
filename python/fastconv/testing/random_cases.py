"""Random but valid geometry, in the ranges that reliability asks for; the same seed gives the same cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Case

_BATCHES = (0, 1, 1, 2, 2, 7)
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33)
_EXTENTS = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 40)
_MOST_WORK = 2_000_000  # multiplications, so that a thousand cases take seconds

# What a random convolution may have that a usual one has not; a sample of them has to hold some of each.
HAZARDS: dict[str, Callable[[Case], bool]] = {
    "empty batch": lambda c: c.shapes["x"][0] == 0,
    "depthwise": lambda c: c.kwargs["groups"] == c.shapes["x"][3] > 1,
    "multiplier": lambda c: c.kwargs["groups"] > 1 and c.shapes["w"][3] > c.shapes["x"][3],
    "stride > window": lambda c: any(s > k for s, k in zip(c.kwargs["stride"], c.shapes["w"], strict=False)),
    "window > image": lambda c: any(k > n for k, n in zip(c.shapes["w"], c.shapes["x"][1:], strict=False)),
    "dilation > image": lambda c: any(d > n for d, n in zip(c.kwargs["dilation"], c.shapes["x"][1:], strict=False)),
    "unequal pads": lambda c: not isinstance(c.kwargs["padding"], str) and any(a != b for a, b in c.kwargs["padding"]),
    "unequal strides": lambda c: len(set(c.kwargs["stride"])) == 2,
    "unequal dilations": lambda c: len(set(c.kwargs["dilation"])) == 2,
    "same": lambda c: c.kwargs["padding"] == "same",
}


def random_cases(op: str, count: int, seed: int) -> list[Case]:
    """``count`` valid problems of a convolution, a pooling or dense."""
    rng = np.random.default_rng(seed)
    make = {"conv2d": _conv, "conv2d_transpose": _transpose, "dense": _dense}.get(op, _pool)
    cases: list[Case] = []
    while len(cases) < count:
        drawn = make(rng)
        if drawn is not None:
            shapes, kwargs = drawn
            if op == "avg_pool2d":
                kwargs["count_include_pad"] = bool(rng.random() < 0.5)
            cases.append(Case(op, f"random{seed}.{len(cases)}", shapes, kwargs, frozenset({"random"})))
    return cases


def square_cases(count: int, seed: int) -> list[Case]:
    """``count`` valid convolutions with a 3x3 or 5x5 window that moves by one pixel: what fast algorithms are for."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    while len(cases) < count:
        extent, h, w = _pick(rng, (3, 5)), _pick(rng, _EXTENTS), _pick(rng, _EXTENTS)
        n, c, k = _pick(rng, _BATCHES), _pick(rng, _CHANNELS), _pick(rng, _CHANNELS)
        pads = ((_below(rng, 8), _below(rng, 3)), (_below(rng, 3), _below(rng, 8)))
        if h + sum(pads[0]) < extent or w + sum(pads[1]) < extent or n * h * w * extent**2 * c * k > _MOST_WORK:
            continue
        shapes = {"x": (n, h, w, c), "w": (extent, extent, c, k), "bias": (k,)}
        cases.append(
            Case(
                "conv2d", f"square{seed}.{len(cases)}", shapes, {"padding": _padding(rng, pads)}, frozenset({"random"})
            )
        )
    return cases


def _pick(rng: np.random.Generator, options: tuple[int, ...]) -> int:
    return int(options[rng.integers(len(options))])


def _below(rng: np.random.Generator, n: int) -> int:
    return int(rng.integers(n))


def _axis(rng: np.random.Generator, farthest: int) -> tuple[int, int, int, int, tuple[int, int]]:
    """Extent, window, stride, dilation and pads of one axis; padded just enough for the window to fit."""
    extent, window = _pick(rng, _EXTENTS), 1 + _below(rng, 7)
    stride = 1 if rng.random() < 0.5 else 1 + _below(rng, 8)
    dilation = 1 if rng.random() < 0.7 else 1 + _below(rng, farthest)
    eff = (window - 1) * dilation + 1
    pads = [0, 0] if rng.random() < 0.3 else [_below(rng, min(eff, 5)), _below(rng, min(eff, 5))]
    missing = max(0, eff - extent - sum(pads))
    first = _below(rng, missing + 1)
    return extent, window, stride, dilation, (pads[0] + first, pads[1] + missing - first)


def _padding(rng: np.random.Generator, pads: tuple[tuple[int, int], tuple[int, int]]) -> Any:
    """Sometimes a name instead of numbers: with either "same" every window fits."""
    draw = rng.random()
    return "same" if draw < 0.15 else "same_lower" if draw < 0.25 else pads


def _groups(rng: np.random.Generator) -> tuple[int, int, int]:
    """``(C, K, groups)``: ordinary, grouped or depthwise, the last with a multiplier."""
    kind = rng.random()
    c = _pick(rng, _CHANNELS)
    if kind < 0.25:
        return c, c * (1 + _below(rng, 3)), c
    if kind < 0.45:
        groups = _pick(rng, (2, 3, 4))
        return groups * (1 + _below(rng, 5)), groups * (1 + _below(rng, 5)), groups
    return c, _pick(rng, _CHANNELS), 1


def _conv(rng: np.random.Generator) -> tuple[dict, dict] | None:
    (h, r, sh, dh, rows), (w, s, sw, dw, cols) = _axis(rng, 45), _axis(rng, 45)
    n, (c, k, groups) = _pick(rng, _BATCHES), _groups(rng)
    kwargs = {
        "stride": (sh, sw),
        "padding": _padding(rng, (rows, cols)),
        "dilation": (dh, dw),
        "groups": groups,
    }
    outputs = ((h + sum(rows)) // sh + 1) * ((w + sum(cols)) // sw + 1)
    if n * outputs * r * s * c * k // groups > _MOST_WORK:
        return None
    shapes = {"x": (n, h, w, c), "w": (r, s, c // groups, k)}
    return (shapes | {"bias": (k,)} if rng.random() < 0.7 else shapes), kwargs


def _transpose(rng: np.random.Generator) -> tuple[dict, dict] | None:
    axes, pads, extra = [], [], []
    for _ in range(2):
        extent, window, stride, dilation, _pads = _axis(rng, 4)
        total = (extent - 1) * stride + (window - 1) * dilation + 1
        before = _below(rng, min(total, 4))
        pads.append((before, _below(rng, min(total - before, 4))))
        extra.append(_below(rng, stride))
        axes.append((extent, window, stride, dilation))
    (h, r, sh, dh), (w, s, sw, dw) = axes
    n, (c, k, groups) = _pick(rng, _BATCHES), _groups(rng)
    c, k = k, c  # a depthwise convolution's transpose has as many groups as outputs
    padding = _padding(rng, (pads[0], pads[1]))
    if n * h * w * r * s * c * k // groups > _MOST_WORK:
        return None
    kwargs = {"stride": (sh, sw), "padding": padding, "dilation": (dh, dw), "groups": groups}
    if not isinstance(padding, str):
        kwargs["output_padding"] = tuple(extra)
    shapes = {"x": (n, h, w, c), "w": (r, s, k // groups, c)}
    return (shapes | {"bias": (k,)} if rng.random() < 0.7 else shapes), kwargs


def _pool(rng: np.random.Generator) -> tuple[dict, dict] | None:
    axes = [_axis(rng, 4) for _ in range(2)]
    for extent, window, _stride, dilation, pads in axes:
        # Every window must see a real cell: pads smaller than it, no dilation that steps over the image.
        if max(pads) > (window - 1) * dilation or dilation > extent:
            return None
    (h, r, sh, dh, rows), (w, s, sw, dw, cols) = axes
    x = (_pick(rng, _BATCHES), h, w, _pick(rng, _CHANNELS))
    if int(np.prod(x)) * r * s > _MOST_WORK:
        return None
    kwargs: dict[str, Any] = {
        "pool_size": (r, s),
        "padding": _padding(rng, (rows, cols)),
        "dilation": (dh, dw),
    }
    if rng.random() < 0.7:
        kwargs["stride"] = (sh, sw)
    if rng.random() < 0.3:
        kwargs["ceil_mode"] = True
    return {"x": x}, kwargs


def _dense(rng: np.random.Generator) -> tuple[dict, dict] | None:
    d, u = _pick(rng, _CHANNELS), _pick(rng, _CHANNELS)
    shapes: dict[str, tuple] = {"x": (_pick(rng, _BATCHES), d), "w": (d, u)}
    return (shapes | {"bias": (u,)} if rng.random() < 0.7 else shapes), {}
