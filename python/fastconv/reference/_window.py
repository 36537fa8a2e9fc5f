"""Windows that slide over an image: output extents, "same" padding, and which cells a window tap meets.

The reference's own copy of the window arithmetic, on purpose: the compiled code infers extents by itself and
the two are compared. Everything is per axis; an image has two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _check

PADDINGS = ("valid", "same", "same_lower")

Pads = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Axis:
    """One spatial axis: tap ``t`` of output ``p`` reads input cell ``p * stride - before + t * dilation``."""

    extent: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int
    out: int

    def taps(self) -> Iterator[tuple[int, slice, slice]]:
        """``(t, outputs, inputs)`` for every tap that meets a real cell: slices of equal length."""
        for t in self._candidates():
            offset = t * self.dilation - self.before
            first = max(0, -(offset // self.stride))  # the smallest p whose cell is not before the input
            last = min(self.out - 1, (self.extent - 1 - offset) // self.stride)
            if first <= last:
                start, stop = first * self.stride + offset, last * self.stride + offset + 1
                yield t, slice(first, last + 1), slice(start, stop, self.stride)

    def _candidates(self) -> Iterator[int]:
        if self.window <= self.out * self.extent:
            return iter(range(self.window))
        # A window far larger than the image: list the few taps that can meet it, do not try them all.
        low, high = self._real_taps()
        ranges = (range(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True))
        return iter(sorted(set(itertools.chain.from_iterable(ranges))))

    def _starts(self) -> np.ndarray:
        return np.arange(self.out, dtype=np.int64) * self.stride - self.before

    def _real_taps(self) -> tuple[np.ndarray, np.ndarray]:
        starts = self._starts()
        low = np.maximum(0, -(starts // self.dilation))
        high = np.minimum(self.window - 1, (self.extent - 1 - starts) // self.dilation)
        return low, high

    def real_counts(self) -> np.ndarray:
        """How many taps of each output meet a real cell."""
        low, high = self._real_taps()
        return np.maximum(0, high - low + 1)

    def padded_counts(self) -> np.ndarray:
        """How many taps of each output lie in the padded input; ceil mode may reach beyond it."""
        beyond = (self.extent + self.after - 1 - self._starts()) // self.dilation
        return np.minimum(self.window - 1, beyond) + 1


def effective(window: int, dilation: int) -> int:
    """Cells from a window's first tap to its last, both included."""
    return (window - 1) * dilation + 1


def explicit(op: str, padding: Any) -> Pads | None:
    """Pads from an int, ``(rows, columns)`` or ``((top, bottom), (left, right))``; None for a name."""
    if isinstance(padding, str):
        _check.choice(op, "padding", padding, PADDINGS)
        return None
    if isinstance(padding, np.ndarray):
        padding = padding.tolist()
    if not isinstance(padding, (tuple, list)):
        rows = cols = _check.integer(op, "padding", padding)
        return (rows, rows), (cols, cols)
    sides: list[tuple[int, int]] = []
    for side in _check.sequence(op, "padding", padding, 2, "ints or pairs"):
        if isinstance(side, (tuple, list)):
            before, after = _check.sequence(op, "padding", side, 2)
        else:
            before = after = side
        before, after = (_check.integer(op, "padding", pad, given=padding) for pad in (before, after))
        sides.append((before, after))
    return sides[0], sides[1]


def split(total: int, name: str) -> tuple[int, int]:
    """Both sides of a "same" pad: the odd cell goes to the end, or to the start for "same_lower"."""
    less, more = total // 2, total - total // 2
    return (more, less) if name == "same_lower" else (less, more)


def axes(
    op: str,
    what: str,
    extents: tuple[int, int],
    windows: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: Any,
    ceil_mode: bool = False,
) -> tuple[Axis, Axis]:
    """The row axis and the column axis of a sliding window; ``what`` is the window's name in messages."""
    pads = explicit(op, padding)
    reach = tuple(effective(n, d) for n, d in zip(windows, dilation, strict=True))
    if pads is None:
        vertical, horizontal = (
            (0, 0) if padding == "valid" else split(max((n - 1) // s * s + eff - n, 0), padding)
            for n, s, eff in zip(extents, stride, reach, strict=True)
        )
        pads = vertical, horizontal
    padded = tuple(n + sum(pad) for n, pad in zip(extents, pads, strict=True))
    outs = []
    for n, (before, _), total, eff, s in zip(extents, pads, padded, reach, stride, strict=True):
        out = (total - eff) // s + 1
        if ceil_mode:
            out = -((eff - total) // s) + 1
            if (out - 1) * s >= n + before:  # the last window must start inside the input or the leading pad
                out -= 1
        outs.append(out)
    if min(outs) < 1:
        rule = f"{what} {windows} larger than padded input {padded}"
        got = f"{what}={windows}, dilation={dilation}, padding={padding!r}, input {extents}"
        _check.fail(ValueError, op, rule, "(size - 1) * dilation + 1 <= padded input", got, "Pad more or shrink it.")
    rows, cols = (
        Axis(extents[i], windows[i], stride[i], dilation[i], pads[i][0], pads[i][1], outs[i]) for i in range(2)
    )
    return rows, cols
