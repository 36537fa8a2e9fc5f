"""Arrays of any extent in little memory: only the regions that somebody looks at have pages of their own.

What is read outside of them is zero, in every array the same page of the system's. What is written outside of them goes to
one block of shared memory, mapped again and again, and means nothing. A forbidden page range of 32 GiB lies on both sides, so
that an index that has lost its upper bits faults. Linux only.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..ops import _devices

__all__ = ["Region", "filled", "flat_ranges", "results", "unwritten"]

Region = tuple[slice, ...]  # of an array, as its index

_GUARD = 1 << 35
_SCRATCH = 1 << 24  # bytes that stand for all that is written outside of regions
_NORESERVE = 0x4000
_FIXED = 0x10
_WRITEABLE = mmap.PROT_READ | mmap.PROT_WRITE
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def filled(shape: Sequence[int], dtype: Any, pieces: Iterable[tuple[Region, np.ndarray]]) -> np.ndarray:
    """Zeros but for the pieces, which nobody may write."""
    block = _Block(shape, dtype)
    block.own(0, None, mmap.PROT_READ)
    array, pieces = block.array(), list(pieces)
    for region, _ in pieces:
        for begin, end in flat_ranges(shape, region):
            block.protect(begin * array.itemsize, end * array.itemsize, _WRITEABLE)
    for region, values in pieces:
        array[region] = values
    block.protect(0, None, mmap.PROT_READ)
    array.flags.writeable = False
    return array


def unwritten(shape: Sequence[int], dtype: Any, regions: Sequence[Region]) -> np.ndarray:
    """A result to be: NaN (integers: the largest number) in the regions, and nothing outside of them stays."""
    block = _Block(shape, dtype)
    block.share()
    array = block.array()
    ranges = [r for region in regions for r in flat_ranges(shape, region)]
    for begin, end in ranges:
        block.own(begin * array.itemsize, end * array.itemsize)
    flat = array.reshape(-1)
    for begin, end in ranges:
        flat[begin:end] = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    return array


@contextmanager
def results(regions: Callable[[tuple[int, ...]], Sequence[Region]], least: int = 1 << 30) -> Iterator[None]:
    """Inside, ops get a result of at least so many bytes by :func:`unwritten`, with the regions of its shape."""
    before = _devices.HOST.empty

    def empty(op: str, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        if math.prod(shape) * np.dtype(dtype).itemsize < least:
            return before(op, name, shape, dtype)
        return unwritten(shape, dtype, regions(tuple(shape)))

    _devices.HOST.empty = empty
    try:
        yield
    finally:
        _devices.HOST.empty = before


def flat_ranges(shape: Sequence[int], region: Region) -> list[tuple[int, int]]:
    """The elements of a region, in C order, as runs of neighbours."""
    region = (*region, *(slice(None),) * (len(shape) - len(region)))
    bounds = [s.indices(n)[:2] for s, n in zip(region, shape, strict=True)]
    cut = max((i for i, n in enumerate(shape) if bounds[i] != (0, n)), default=0)  # behind it everything is taken
    inner = math.prod(shape[cut + 1 :])
    first, last = bounds[cut]
    ranges = []
    for index in np.ndindex(*(end - begin for begin, end in bounds[:cut])):
        row = 0
        for (begin, _), i, n in zip(bounds, index, shape, strict=False):
            row = row * n + begin + i
        ranges.append(((row * shape[cut] + first) * inner, (row * shape[cut] + last) * inner))
    return ranges


class _Block:
    """Address space for an array that ends at its guard."""

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self._shape, self._dtype = tuple(shape), np.dtype(dtype)
        size = math.prod(shape) * self._dtype.itemsize
        self._body = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._skipped = self._body - size
        self._reserved = _map(None, self._body + 2 * _GUARD, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
        self._start = self._reserved + _GUARD

    def array(self) -> np.ndarray:
        raw = (ctypes.c_char * (self._body - self._skipped)).from_address(self._start + self._skipped)
        weakref.finalize(
            raw, _libc.munmap, self._reserved, self._body + 2 * _GUARD
        )  # NumPy's base, so: with the last view
        return np.frombuffer(raw, self._dtype).reshape(self._shape)

    def share(self) -> None:
        """Puts scratch memory everywhere."""
        file = os.memfd_create("scratch")
        os.truncate(file, _SCRATCH)
        for at in range(0, self._body, _SCRATCH):
            length = min(_SCRATCH, self._body - at)
            _map(self._start + at, length, _WRITEABLE, mmap.MAP_SHARED | _FIXED, file)
        os.close(file)

    def own(self, begin: int, end: int | None, protection: int = _WRITEABLE) -> None:
        """Gives bytes [begin, end) of the array, or all from `begin` on, pages of zeros of their own."""
        at, length = self._pages(begin, end)
        _map(at, length, protection, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE | _FIXED)
        _libc.madvise(at, length, mmap.MADV_HUGEPAGE)  # zeros in large pages, too

    def protect(self, begin: int, end: int | None, protection: int) -> None:
        """Lets these bytes, and what shares pages with them, be written or only read."""
        _check(_libc.mprotect(*self._pages(begin, end), protection) == 0)

    def _pages(self, begin: int, end: int | None) -> tuple[int, int]:
        """Address and length of the pages with bytes [begin, end) of the array."""
        first = (begin + self._skipped) // mmap.PAGESIZE * mmap.PAGESIZE
        last = self._body if end is None else -(-(end + self._skipped) // mmap.PAGESIZE) * mmap.PAGESIZE
        return self._start + first, last - first


def _map(address: int | None, length: int, protection: int, flags: int, file: int = -1) -> int:
    found = _libc.mmap(address, length, protection, flags, file, 0)
    _check(found != _FAILED)
    return int(found)


def _check(succeeded: bool) -> None:
    if not succeeded:
        error = ctypes.get_errno()
        raise MemoryError(f"the system gave no pages: {os.strerror(error)}")
