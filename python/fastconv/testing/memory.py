"""Arrays that catch a kernel reading or writing where it must not.

A guarded array ends (or starts) exactly at a page the process may not touch: one element too far is a fault
at that instruction, in a release build and without a sanitizer. A poisoned array is full of NaN: a result
that was not written, or a workspace that was read before it was, shows.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from ..ops import _devices

__all__ = [
    "fill_numpy_cache",
    "guarded",
    "guarded_empty",
    "guarded_results",
    "heap_bytes",
    "poisoned",
    "resident_bytes",
    "return_large_blocks",
]

_PROT_NONE = 0
_M_MMAP_THRESHOLD = -3


class _Heap(ctypes.Structure):
    """glibc's struct mallinfo2, of which two fields count bytes in use."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
if hasattr(_LIBC, "mallinfo2"):
    _LIBC.mallinfo2.restype = _Heap


def heap_bytes() -> int | None:
    """Bytes that malloc has handed out, C++ and Python together; None where the C library cannot tell (glibc 2.33 can)."""
    if not hasattr(_LIBC, "mallinfo2"):
        return None
    heap = _LIBC.mallinfo2()
    return heap.uordblks + heap.hblkhd


def resident_bytes() -> int:
    """Memory of this process that is in RAM; Linux only."""
    with open("/proc/self/statm", encoding="ascii") as pages:
        return int(pages.read().split()[1]) * mmap.PAGESIZE


def fill_numpy_cache() -> None:
    """NumPy keeps up to seven freed blocks of each size below 1024 bytes, 3.5 MiB of them. Models of random shapes find new
    sizes for hours, and the heap seems to grow; after this it does not."""
    blocks = [np.empty(size, np.uint8) for size in range(1024) for _ in range(7)]
    del blocks


def return_large_blocks() -> None:
    """From here on malloc returns arrays from 128 KiB on to the system when they die, as glibc does at first.

    Of itself it stops doing so: it puts arrays as large as the largest that has died into the heap from then on, and keeps
    the room. Then the resident memory tells how large the largest models were, and not what dead ones have left. Does nothing
    where the C library has no mallopt.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, 128 << 10)


def guarded(array: np.ndarray, edge: Literal["end", "start"] = "end") -> np.ndarray:
    """A C-contiguous copy of ``array`` with a forbidden page right after its end or before its start."""
    copy = guarded_empty(array.shape, array.dtype, edge)
    copy[...] = array
    return copy


def guarded_empty(
    shape: tuple[int, ...], dtype: Any, edge: Literal["end", "start"] = "end", alignment: int = 1
) -> np.ndarray:
    """A NaN-poisoned array with a forbidden page at one edge, at most ``alignment - 1`` bytes away from its end; Linux and
    macOS only."""
    if edge not in ("end", "start"):
        raise ValueError(f"[guarded] edge must be one of 'end', 'start', got edge={edge!r}. Pass one of them.")
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    size, page = count * dtype.itemsize, mmap.PAGESIZE
    body = max(1, -(-size // page)) * page
    memory = mmap.mmap(-1, body + page)  # anonymous; unmapped when the last view of it is gone
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _forbid(address + (body if edge == "end" else 0), page)
    offset = (body - size) // alignment * alignment if edge == "end" else page
    array = np.frombuffer(memory, dtype=dtype, count=count, offset=offset).reshape(shape)
    _poison(array)
    return array


def owner_of(array: np.ndarray) -> Any:
    """What frees an array's memory when it dies, e.g. the ``mmap`` behind views of views."""
    owner: Any = array
    while (base := getattr(owner, "obj" if isinstance(owner, memoryview) else "base", None)) is not None:
        owner = base
    return owner


@contextmanager
def guarded_results() -> Iterator[None]:
    """Inside, ops allocate results that are full of NaN and end at a page nobody may touch."""
    before = _devices.HOST.empty
    _devices.HOST.empty = lambda op, name, shape, dtype: guarded_empty(tuple(shape), dtype)
    try:
        yield
    finally:
        _devices.HOST.empty = before


def poisoned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array full of NaN (integers: of the most negative number), to pass as a result or a workspace."""
    array = np.empty(shape, dtype)
    _poison(array)
    return array


def _poison(array: np.ndarray) -> None:
    if array.dtype.kind in "iu":
        array[...] = np.iinfo(array.dtype).min
    else:
        array.reshape(-1).view(np.uint8)[...] = 0xFF  # NaN in every floating-point type


def _forbid(address: int, length: int) -> None:
    """Unless FASTCONV_GUARD_PAGES=0: for emulators that touch what a processor does not (tests/native/old_cpu)."""
    if os.environ.get("FASTCONV_GUARD_PAGES") == "0":
        return
    if _LIBC.mprotect(address, length, _PROT_NONE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect failed")
