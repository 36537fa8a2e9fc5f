"""A stand-in for CuPy on the host, as strict as the real one: its arrays are no NumPy arrays, and never become some
silently. What fastconv uses of CuPy is here with CuPy's names; anything else is an AttributeError.

Copies and fills wait their turn in a stream (:mod:`~fastconv.testing.fake_streams`), as does a program; what else looks at
an array does what the current stream has before it, and sees what other streams have done by then, which may be nothing."""

from __future__ import annotations

import ctypes
import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import fake_pool, fake_streams
from .memory import guarded_empty

__all__ = ["asarray", "cuda", "empty", "from_dlpack", "get_default_memory_pool", "may_share_memory", "ndarray", "zeros"]

_ALIGNMENT = 16  # CuPy's own allocations are aligned to 512
_pool = fake_pool.MemoryPool()


class _Pointer:
    """An address on the device, and copies from and to it that happen when their stream gets there."""

    def __init__(self, memory: np.ndarray) -> None:
        self._memory = memory
        self.ptr = memory.ctypes.data

    def copy_from_host_async(self, source: int, size: int, stream: Any = None) -> None:
        """Reads pinned memory at the time of the copy."""
        _check_pinned(source, size)
        _queue(stream, lambda: ctypes.memmove(self.ptr, source, size))

    def copy_to_host_async(self, target: int, size: int, stream: Any = None) -> None:
        """Writes pinned memory at the time of the copy."""
        _check_pinned(target, size)
        _queue(stream, lambda: ctypes.memmove(target, self.ptr, size))

    def copy_from_device_async(self, source: _Pointer, size: int, stream: Any = None) -> None:
        """From memory of the device."""
        _queue(stream, lambda: ctypes.memmove(self.ptr, source.ptr, size))


def _check_pinned(address: int, size: int) -> None:
    if not fake_streams.is_pinned(address, size):
        raise RuntimeError("CUDA would wait here: an asynchronous copy takes pinned memory")


def _queue(stream: Any, work: Any) -> None:
    (fake_streams.current() if stream is None else stream).put(work)


class ndarray:
    """An array "on the device": host memory behind CuPy's interface."""

    def __init__(self, host: np.ndarray) -> None:
        self._memory = host
        self.device = fake_streams.Device()

    shape = property(lambda self: self._memory.shape)
    dtype = property(lambda self: self._memory.dtype)
    size = property(lambda self: self._memory.size)
    ndim = property(lambda self: self._memory.ndim)
    nbytes = property(lambda self: self._memory.nbytes)
    flags = property(lambda self: self._memory.flags)
    data = property(lambda self: _Pointer(self._memory))

    @property
    def _host(self) -> np.ndarray:
        """The contents as the current stream sees them."""
        fake_streams.current().synchronize()
        return self._memory

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The description that kernels read; version 3 of the protocol."""
        return {
            "shape": self.shape,
            "typestr": "<V2" if self.dtype.name == "bfloat16" else self.dtype.str,
            "data": (self._memory.ctypes.data, False),
            "strides": None if self._memory.flags.c_contiguous else self._memory.strides,
            "version": 3,
        }

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0  # CUDA memory of the first device

    def __dlpack__(self, **unused: Any) -> ndarray:
        return self

    def __len__(self) -> int:
        return len(self._memory)

    def get(self, stream: Any = None, out: np.ndarray | None = None) -> np.ndarray:
        """A copy on the host, after what the stream has before it."""
        (fake_streams.current() if stream is None else stream).synchronize()
        if out is None:
            return self._memory.copy()
        if type(out) is not np.ndarray or out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError("get(out=) takes a host array of the same shape and dtype")
        out[...] = self._memory
        return out

    def set(self, values: np.ndarray, stream: Any = None) -> None:
        """Copies an array of the host here: read now, as CUDA reads pageable memory, and written in the stream's turn."""
        if type(values) is not np.ndarray or values.dtype != self.dtype or values.shape != self.shape:
            raise ValueError("set() takes a host array of the same shape and dtype")
        taken = values.copy()
        _queue(stream, lambda: np.copyto(self._memory, taken))

    def fill(self, value: Any) -> None:
        """Writes one value everywhere."""
        _queue(None, lambda: self._memory.fill(value))

    def reshape(self, *shape: Any) -> ndarray:
        """As NumPy's."""
        return ndarray(self._memory.reshape(*shape))

    def transpose(self, *axes: int) -> ndarray:
        """As NumPy's."""
        return ndarray(self._host.transpose(*axes))

    def view(self, dtype: Any) -> ndarray:
        """As NumPy's."""
        return ndarray(self._memory.view(dtype))

    def copy(self) -> ndarray:
        """As NumPy's."""
        return ndarray(self._host.copy())

    def any(self) -> ndarray:
        """As NumPy's, () on the device."""
        return ndarray(np.asarray(self._host.any()))

    def argmax(self) -> ndarray:
        """As NumPy's, () on the device."""
        return ndarray(np.asarray(self._host.argmax()))

    def __lt__(self, other: Any) -> ndarray:
        return ndarray(np.asarray(self._host < other))

    def __ge__(self, other: Any) -> ndarray:
        return ndarray(np.asarray(self._host >= other))

    def __or__(self, other: ndarray) -> ndarray:
        return ndarray(self._host | other._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __str__(self) -> str:
        return str(self._host)

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(np.asarray(self._memory[key]))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            raise TypeError(f"Unsupported type {type(value)}")
        self._host[key] = value._host if isinstance(value, ndarray) else value


def empty(shape: Any, dtype: Any = np.float64) -> ndarray:
    """Memory full of ones (NaN, for floats), aligned for 16-byte accesses, that ends at a page nobody may touch."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    array = _pool.allocate(size, lambda: guarded_empty(shape, dtype, alignment=_ALIGNMENT))
    array.reshape(-1).view(np.uint8)[...] = 0xFF
    return ndarray(array)


def zeros(shape: Any, dtype: Any = np.float64) -> ndarray:
    """As NumPy's."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def from_dlpack(array: Any) -> ndarray:
    """The memory of another library's array; its ``__dlpack__`` is told the stream that will read it."""
    return array.__dlpack__(stream=cuda.get_current_stream().ptr)


def asarray(array: Any, dtype: Any = None) -> ndarray:
    """A copy of a host array; a device array itself, and one that describes itself as memory on a device."""
    if isinstance(array, ndarray):
        return array
    if hasattr(array, "__cuda_array_interface__"):
        interface = array.__cuda_array_interface__
        described = {**interface, "version": 3}
        return ndarray(np.asarray(SimpleNamespace(__array_interface__=described, owner=array)))
    host = np.asarray(array, dtype)
    copy = empty(host.shape, host.dtype)
    copy.set(host)
    return copy


def may_share_memory(a: ndarray, b: ndarray) -> bool:
    """As NumPy's."""
    return np.may_share_memory(a._memory, b._memory)


def get_default_memory_pool() -> fake_pool.MemoryPool:
    """Where all arrays come from."""
    return _pool


cuda = SimpleNamespace(
    Device=fake_streams.Device,
    Event=fake_streams.Event,
    Stream=fake_streams.Stream,
    alloc_pinned_memory=fake_streams.alloc_pinned_memory,
    get_current_stream=fake_streams.current,
    memory=SimpleNamespace(OutOfMemoryError=fake_pool.OutOfMemoryError),
)
