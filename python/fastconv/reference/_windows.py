"""What convolution and pooling do with every window, for any number of spatial axes; all in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ._window import Axis

Axes = Sequence[Axis]
Index = tuple[slice, ...]


def taps(window: Axes) -> Iterator[tuple[tuple[int, ...], Index, Index]]:
    """Every tap that meets the image, in row-major order: its place in the filter, and where y and x meet through it."""
    for tap in itertools.product(*(list(axis.taps()) for axis in window)):
        place, outputs, inputs = zip(*tap, strict=True)
        yield place, (slice(None), *outputs), (slice(None), *inputs)


# --- the three directions of a correlation ------------------------------------------------------------------


def correlate(x: np.ndarray, w: np.ndarray, window: Axes, groups: int) -> np.ndarray:
    """Images and filters to results."""
    y = np.zeros((x.shape[0], *(axis.out for axis in window), w.shape[-1]))
    for tap, outputs, inputs in taps(window):
        seen = x[inputs]
        y[outputs] += _join(_group(seen, groups) @ _group_filter(w[tap], groups), seen.shape)
    return y


def scatter(dy: np.ndarray, w: np.ndarray, window: Axes, groups: int) -> np.ndarray:
    """Results and filters to images."""
    dx = np.zeros((dy.shape[0], *(axis.extent for axis in window), w.shape[-2] * groups))
    for tap, outputs, inputs in taps(window):
        seen = dy[outputs]
        dx[inputs] += _join(_group(seen, groups) @ _group_filter(w[tap], groups).swapaxes(1, 2), seen.shape)
    return dx


def correlate_weight(x: np.ndarray, dy: np.ndarray, shape: tuple[int, ...], window: Axes, groups: int) -> np.ndarray:
    """Images and results to filters of that shape."""
    dw = np.zeros(shape)
    for tap, outputs, inputs in taps(window):
        per_group = _group(x[inputs], groups).swapaxes(1, 2) @ _group(dy[outputs], groups)
        dw[tap] = per_group.transpose(1, 0, 2).reshape(shape[-2:])
    return dw


def _group(x: np.ndarray, groups: int) -> np.ndarray:
    """(N, …, C) -> (groups, N · …, C/groups)."""
    return x.reshape(math.prod(x.shape[:-1]), groups, x.shape[-1] // groups).transpose(1, 0, 2)


def _group_filter(w: np.ndarray, groups: int) -> np.ndarray:
    """(C/groups, K) -> (groups, C/groups, K/groups)."""
    return w.reshape(w.shape[0], groups, w.shape[1] // groups).transpose(1, 0, 2)


def _join(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(groups, N · …, K/groups) -> (N, …, K)."""
    return y.transpose(1, 0, 2).reshape(*shape[:-1], y.shape[0] * y.shape[2])


# --- pooling ------------------------------------------------------------------------------------------------


def largest(x: np.ndarray, window: Axes) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of every window and the number of the first tap that has it; NaN beats all."""
    best = np.full((x.shape[0], *(axis.out for axis in window), x.shape[-1]), -np.inf)
    winner = np.full(best.shape, -1)
    for i, (_, outputs, inputs) in enumerate(taps(window)):
        value, held = x[inputs], best[outputs]
        # winner < 0 lets the first real cell win even when it is -inf: a pad must never get the gradient.
        wins = (value > held) | (np.isnan(value) & ~np.isnan(held)) | (winner[outputs] < 0)
        best[outputs] = np.where(wins, value, held)
        winner[outputs] = np.where(wins, i, winner[outputs])
    return best, winner


def to_largest(dy: np.ndarray, x: np.ndarray, window: Axes) -> np.ndarray:
    """Each dy at the first largest cell of its window."""
    _, winner = largest(x, window)
    dx = np.zeros(x.shape)
    for i, (_, outputs, inputs) in enumerate(taps(window)):
        dx[inputs] += np.where(winner[outputs] == i, dy[outputs], 0.0)
    return dx


def gather(x: np.ndarray, window: Axes) -> np.ndarray:
    """The sum of every window."""
    y = np.zeros((x.shape[0], *(axis.out for axis in window), x.shape[-1]))
    for _, outputs, inputs in taps(window):
        y[outputs] += x[inputs]
    return y


def spread(dy: np.ndarray, shape: tuple[int, ...], window: Axes) -> np.ndarray:
    """Each dy at all cells of its window."""
    dx = np.zeros(shape)
    for _, outputs, inputs in taps(window):
        dx[inputs] += dy[outputs]
    return dx


def counts(window: Axes, include_pad: bool = False) -> np.ndarray:
    """Cells of every window to divide by, (…, 1): the real ones, or all within the padded image."""
    found = np.ones(())
    for axis in window:
        found = np.multiply.outer(found, axis.padded_counts() if include_pad else axis.real_counts())
    return found[..., None]
