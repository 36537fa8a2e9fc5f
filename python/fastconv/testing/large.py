"""One problem with tensors of more than 2^31 elements, and whether its results are right at the pieces that are looked at.

Inputs are zero but for pieces of an axis: at its ends, where some tensor's element or byte number passes a power of two that a
shorter integer could not hold, and at random. The results of a piece follow from the same piece of the inputs alone, and what
is summed over the axis follows from all pieces: the reference computes both from the pieces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np

from .. import _cpu, ops, reference
from ..ops import _devices
from . import virtual
from .bounds import backward_bounds, forward_bounds
from .case import Case
from .compare import (
    assert_bounded,
    assert_exact,
    backward,
    cotangent,
    exact_inputs,
    forward,
    is_exact,
    random_inputs,
)
from .numerics import instruction_set, numerics

__all__ = ["PASSED", "Local", "Problem", "Windowed", "at_pieces", "kernels", "pieces_of"]

PASSED = tuple(
    2**bits for bits in range(28, 35)
)  # elements: 2^31 and 2^32 of bytes, of elements of 1 to 8 bytes, of elements
_CELLS = 3000  # of a piece, at least: more than a block of any kernel's innermost loop
_RANDOM = 3  # pieces

Piece = tuple[int, int]


@dataclass(frozen=True)
class Problem:
    """Kernels of one instruction set, precision and algorithm, on one case.

    ``along`` are the inputs that are cut along ``axis``; the others, weights, are whole.
    """

    case: Case
    axis: int = 0
    along: tuple[str, ...] = ("x",)
    gradient: bool = True
    isa: str = ""
    precision: str = "strict"
    conv2d: str = "automatic"
    dtype: str = "float32"

    def __str__(self) -> str:
        how = [self.isa, "" if self.precision == "strict" else self.precision]
        how += ["" if self.conv2d == "automatic" else self.conv2d, "" if self.dtype == "float32" else self.dtype]
        return " ".join([str(self.case), *filter(None, how)])

    @property
    def extent(self) -> int:
        return int(self.case.shapes[self.along[0]][self.axis])

    def cut(self, extent: int) -> Case:
        """The case with so many cells of the axis."""
        shapes = {
            name: _with_extent(shape, self.axis, extent) if name in self.along else shape
            for name, shape in self.case.shapes.items()
        }
        kwargs = dict(self.case.kwargs)
        if kwargs.get("groups") == self.extent:  # depthwise, cut along the channels
            kwargs["groups"] = extent
        return replace(self.case, shapes=shapes, kwargs=kwargs)


class Local(Problem):
    """The same cells of the axis in the results as in the inputs, each for itself."""

    def _exact(self) -> bool:
        return is_exact(self.case) and self.precision == "strict"

    def reference_at(self, pieces: Sequence[Piece]) -> AbstractContextManager[None]:
        """Inside, the reference knows where the pieces are that it gets; for those to whom it matters."""
        return nullcontext()

    def check(self) -> None:
        """AssertionError unless the kernels agree with the reference."""
        rng = np.random.default_rng(list(str(self).encode()))
        draw = exact_inputs if self._exact() else random_inputs
        probe = self.cut(2)
        y = forward(reference, probe, draw(probe, rng, np.dtype(self.dtype).type))
        y_shape = _with_extent(y.shape, self.axis, self.extent)
        pieces = pieces_of([*(self.case.shapes[n] for n in self.along), y_shape], self.axis, self.extent, rng)

        with self.reference_at(pieces):
            self._check_at(pieces, y_shape, rng)

    def _check_at(self, pieces: list[Piece], y_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        exact = self._exact()
        draw = exact_inputs if exact else random_inputs
        case = self.cut(sum(end - begin for begin, end in pieces))
        small = draw(case, rng, np.dtype(self.dtype).type)
        small_dy = cotangent(forward(reference, case, small), rng, exact)
        inputs = dict(small)
        for name in self.along:
            inputs[name] = at_pieces(small[name], self.case.shapes[name], self.axis, pieces)

        def regions(shape: tuple[int, ...]) -> list[virtual.Region]:
            each, rest = divmod(shape[self.axis], self.extent)
            if rest or (each > 1 and self.axis > 0):
                raise NotImplementedError(f"which cells of {shape} belong to a piece?")
            return [_region(self.axis, (begin * each, end * each)) for begin, end in pieces]

        unchecked = mock.patch.object(_devices.HOST, "checks_targets", False)  # rows of zeros are no distributions
        with kernels(self), virtual.results(regions), unchecked:
            y = forward(ops, self.case, inputs)
            bounds = None if exact else forward_bounds(case, small)
            self._compare("forward", [y], [forward(reference, case, small)], bounds, pieces)
            del y
            if self.gradient:
                dy = at_pieces(small_dy, y_shape, self.axis, pieces)
                bounds = None if exact else backward_bounds(case, small_dy, small)
                wanted = backward(reference, case, small_dy, small)
                self._compare("gradient", backward(ops, self.case, dy, inputs), wanted, bounds, pieces)

    def _compare(self, what: str, actual: Sequence, wanted: Sequence, bounds: Sequence | None, pieces: list) -> None:
        for i, (a, w) in enumerate(zip(actual, wanted, strict=True)):
            if w is None:
                continue
            if a.shape != w.shape:  # cut along the axis
                a = np.concatenate([a[_region(self.axis, piece)] for piece in pieces], self.axis)
            if bounds is None:
                assert_exact(a, w, f"{what} {i}")
            else:
                assert_bounded(a, w, bounds[i], f"{what} {i}")


@dataclass(frozen=True)
class Windowed(Problem):
    """Windows along the axis, without padding there: [p, q) of the result from [p * stride, …) of the input; or, ``up``, the
    other way round. In small integers."""

    window: int = 1
    stride: int = 1
    dilation: int = 1
    up: bool = False

    def check(self) -> None:
        """AssertionError unless the kernels agree with the reference."""
        rng = np.random.default_rng(list(str(self).encode()))
        dtype = np.dtype(self.dtype).type
        reach = (self.window - 1) * self.dilation + 1
        windows = self.extent if self.up else (self.extent - reach) // self.stride + 1
        weights = exact_inputs(self.cut(reach), rng, dtype)

        def cells(piece: Piece) -> Piece:  # that the windows see
            return piece[0] * self.stride, (piece[1] - 1) * self.stride + reach

        def in_and_out(piece: Piece) -> tuple[Piece, Piece]:
            return (piece, cells(piece)) if self.up else (cells(piece), piece)

        out = (self.extent - 1) * self.stride + reach if self.up else windows
        y = forward(reference, self.cut(reach), weights)
        y_shape = _with_extent(y.shape, self.axis, out)
        shapes = [*(self.case.shapes[n] for n in self.along), y_shape]
        scales = [1 if self.up else self.stride] * len(self.along) + [self.stride if self.up else 1]
        pieces = pieces_of(shapes, self.axis, windows, rng, scales, apart=-(-reach // self.stride))

        wanted, seen = [], []
        filled: dict[str, list] = {name: [] for name in ("dy", *self.along)}
        for piece in pieces:
            into, outof = in_and_out(piece)
            case = self.cut(into[1] - into[0])
            small = {n: v if n in self.along else weights[n] for n, v in exact_inputs(case, rng, dtype).items()}
            result = forward(reference, case, small)
            small_dy = cotangent(result, rng, exact=True)
            for name in self.along:
                filled[name].append((_region(self.axis, into), small[name]))
            filled["dy"].append((_region(self.axis, outof), small_dy))
            wanted.append((result, backward(reference, case, small_dy, small)))
            seen.append((_region(self.axis, into), _region(self.axis, outof)))
        dy = virtual.filled(y_shape, dtype, filled["dy"])
        inputs = {
            n: virtual.filled(self.case.shapes[n], dtype, filled[n]) if n in self.along else weights[n] for n in weights
        }

        places = {tuple(self.case.shapes[n]): [r for r, _ in seen] for n in self.along}
        places.setdefault(y_shape, [r for _, r in seen])
        with kernels(self), virtual.results(places.__getitem__):
            y = forward(ops, self.case, inputs)
            for (result, _), (_, region) in zip(wanted, seen, strict=True):
                assert_exact(y[region], result, f"forward at {region[self.axis]}")
            del y
            if self.gradient:
                self._check_gradients(
                    backward(ops, self.case, dy, inputs), [g for _, g in wanted], [r for r, _ in seen]
                )

    def _check_gradients(self, actual: Sequence, wanted: Sequence[tuple], regions: Sequence) -> None:
        for i, (name, a) in enumerate(zip(self.case.shapes, actual, strict=False)):  # without a bias, its too
            if a is None:
                continue
            if name not in self.along:
                assert_exact(a, np.sum([g[i] for g in wanted], 0, np.float64).astype(a.dtype), f"gradient {i}")
                continue
            for gradients, region in zip(wanted, regions, strict=True):
                assert_exact(a[region], gradients[i], f"gradient {i} at {region[self.axis]}")


@contextmanager
def kernels(problem: Problem) -> Iterator[None]:
    """Inside, the problem's instruction set, precision and algorithm."""
    with instruction_set(problem.isa or _cpu.current_isa()), numerics(problem.precision, problem.conv2d):
        yield


def pieces_of(
    shapes: Sequence[tuple[int, ...]],
    axis: int,
    extent: int,
    rng: np.random.Generator,
    scales: Sequence[int] | None = None,
    apart: int = 0,
) -> list[Piece]:
    """Pieces of [0, extent) that hold the places where elements of the tensors pass powers of two, ``apart`` from each other.

    ``scales``: how many cells of each tensor's axis one of the extent stands for.
    """
    inner = [math.prod(shape[axis + 1 :]) for shape in shapes]
    length = max(2, -(-_CELLS // max(inner)))
    middles = [0, extent, *rng.integers(extent, size=_RANDOM)]
    for shape, size, scale in zip(shapes, inner, scales or itertools.repeat(1), strict=False):
        total = math.prod(shape)
        middles += [passed // size % shape[axis] // scale for passed in PASSED if passed < total]
    pieces: list[Piece] = []
    for middle in sorted(middles):
        begin, end = max(0, int(middle) - length // 2), min(extent, int(middle) + length // 2 + 1)
        if pieces and begin <= pieces[-1][1] + apart:
            begin = pieces.pop()[0]
        pieces.append((begin, end))
    return pieces


def at_pieces(small: np.ndarray, shape: tuple[int, ...], axis: int, pieces: Sequence[Piece]) -> np.ndarray:
    """Zeros of the shape, with the cells of ``small`` at the pieces of the axis; read-only."""
    firsts = itertools.accumulate((end - begin for begin, end in pieces), initial=0)
    cells = [
        small[_region(axis, (first, first + end - begin))] for first, (begin, end) in zip(firsts, pieces, strict=False)
    ]
    return virtual.filled(shape, small.dtype, zip((_region(axis, piece) for piece in pieces), cells, strict=True))


def _region(axis: int, piece: Piece) -> virtual.Region:
    return (*(slice(None),) * axis, slice(*piece))


def _with_extent(shape: Sequence[int], axis: int, extent: int) -> tuple[int, ...]:
    return (*shape[:axis], extent, *shape[axis + 1 :])
