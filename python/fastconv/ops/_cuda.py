"""CuPy arrays and the kernels of ``fastconv._cuda``: on CuPy's current stream, in CuPy's memory pool, without waiting."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fastconv import _gpu
from fastconv.ops._foreign import as_cupy

FLOATS = ("float32", "float16", "bfloat16")


class Cuda:
    """The device side of :mod:`fastconv.ops._devices`.

    Args:
        cupy: the module that allocates, e.g. CuPy.
        module: the extension module with the kernels.
    """

    name = "cuda"
    floats = FLOATS
    checks_targets = False  # looking at values would wait for the device; wrong ones give NaN

    def __init__(self, cupy: Any, module: Any) -> None:
        self.cupy = cupy
        self.module = module
        self._workspace_bytes = functools.lru_cache(4096)(module.workspace_bytes)

    def as_array(self, op: str, name: str, value: Any) -> Any:
        """A CuPy array of the same memory."""
        if isinstance(value, self.cupy.ndarray):
            return value
        return as_cupy(self.cupy, self.module, op, name, value)

    def check_dtype(self, op: str, name: str, array: Any, accepted: tuple[str, ...] = FLOATS) -> None:
        """TypeError unless the dtype is one of ``accepted``."""
        if array.dtype.name not in accepted:
            raise TypeError(
                f"[{op}] {name} has dtype {array.dtype}, which is not supported on the GPU: expected {' or '.join(accepted)}, "
                f"got {name}.dtype={array.dtype}. Convert it with {name}.astype('float32')."
            )

    @staticmethod
    def dtype_name(array: Any) -> str:
        """The name of an array's element type."""
        return array.dtype.name

    def contiguous(self, op: str, name: str, array: Any) -> Any:
        """The array itself if a kernel can read it, else a C-contiguous copy on the device."""
        if array.flags.c_contiguous:
            return array
        copy = self.empty(op, name, array.shape, array.dtype)
        copy[...] = array
        return copy

    def empty(self, op: str, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An uninitialised array from CuPy's pool, or MemoryError."""
        return _gpu.empty(self.cupy, f"[{op}] {name}", shape, _dtype(dtype))

    def check_out(self, op: str, out: Any, shape: tuple[int, ...], dtype: str, inputs: list[Any]) -> Any:
        """``out`` if a result of this shape and dtype can be written into it."""
        if not isinstance(out, self.cupy.ndarray):
            raise TypeError(
                f"[{op}] out must be on the GPU like the inputs: expected cupy.ndarray, got {type(out).__name__}. Use "
                "cupy.empty."
            )
        if out.dtype.name != dtype:
            raise TypeError(
                f"[{op}] out must have the result's dtype: expected {dtype}, got out.dtype={out.dtype}. Allocate it with "
                "cupy.empty."
            )
        if out.shape != shape:
            raise ValueError(
                f"[{op}] out must have the result's shape: expected {shape}, got out.shape={out.shape}. Allocate it with "
                "cupy.empty."
            )
        if not out.flags.c_contiguous:
            raise ValueError(f"[{op}] out must be C-contiguous: expected such an array, got a view. Use cupy.empty.")
        if any(array is not None and self.cupy.may_share_memory(out, array) for array in inputs):
            raise ValueError(
                f"[{op}] out must not overlap an input: expected separate memory, got shared bytes. Allocate it with "
                "cupy.empty."
            )
        return out

    def on_device(self, op: str, name: str, array: np.ndarray) -> Any:
        """A copy of a small host array, e.g. a seed."""
        return _gpu.copied(self.cupy, f"[{op}] {name}", array)

    def run(self, kernel: str, spec: Any, tensors: list[Any]) -> None:
        """Queues one kernel on CuPy's current stream of the device that the arrays are on."""
        with next(t for t in tensors if t is not None).device:
            stream = self.cupy.cuda.get_current_stream().ptr
            size = self._workspace_bytes(kernel, spec)
            workspace = self.empty(kernel, "the workspace", (size,), np.uint8) if size else None
            self.module.run(kernel, spec, tensors, workspace.data.ptr if workspace is not None else 0, stream)


def _dtype(dtype: Any) -> Any:
    """NumPy's element type of a name; bfloat16 is ml_dtypes', as in CuPy and JAX."""
    if dtype == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return dtype
