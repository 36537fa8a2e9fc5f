"""A stand-in for CuPy's pool of device memory: what is in use, and a limit beyond which it refuses."""

from __future__ import annotations

import weakref
from typing import Any

from .memory import owner_of

__all__ = ["MemoryPool", "OutOfMemoryError"]

_BLOCK = 512  # bytes that CuPy rounds up to


class OutOfMemoryError(MemoryError):
    """As CuPy's."""


class MemoryPool:
    """Counts the arrays that live."""

    def __init__(self) -> None:
        self._used = 0
        self._limit = 0

    def used_bytes(self) -> int:
        """Of arrays that live."""
        return self._used

    def set_limit(self, size: int) -> None:
        """How many bytes may be in use from now on; 0 for as many as there are."""
        self._limit = size

    def allocate(self, size: int, make: Any) -> Any:
        """What ``make()`` returns, a NumPy array of ``size`` bytes, which counts until the last view of it is gone.

        Raises:
            OutOfMemoryError: beyond the limit.
        """
        size = -(-size // _BLOCK) * _BLOCK
        if self._limit and self._used + size > self._limit:
            raise OutOfMemoryError(
                f"Out of memory allocating {size:,} bytes (allocated so far: {self._used:,} bytes, limit set to: "
                f"{self._limit:,} bytes)."
            )
        array = make()
        self._used += size
        weakref.finalize(owner_of(array), self._free, size)
        return array

    def _free(self, size: int) -> None:
        self._used -= size
