"""Where arrays live, and what runs kernels on them. The one place that chooses.

A device is an object with the same few functions: :data:`HOST` for NumPy arrays and the kernels of ``fastconv._cpu``,
:class:`~fastconv.ops._cuda.Cuda` for arrays on a GPU and the kernels of ``fastconv._cuda``.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastconv import _cpu
from fastconv import _gpu as _gpu_module
from fastconv.errors import DeviceError
from fastconv.graph import Value
from fastconv.ops import _arrays
from fastconv.ops._foreign import is_on_gpu

__all__ = ["HOST", "as_floats", "cuda", "of"]

HOST: Any = SimpleNamespace(
    name="cpu",
    floats=_arrays.FLOATS,
    as_array=_arrays.as_array,
    check_dtype=_arrays.check_dtype,
    dtype_name=_arrays.dtype_name,
    contiguous=_arrays.contiguous,
    empty=_arrays.empty,
    check_out=_arrays.check_out,
    on_device=lambda op, name, array: array,
    run=_cpu.run,
    checks_targets=True,
)


@functools.lru_cache(1)
def _gpu(cupy: Any, module: Any) -> Any:
    from fastconv.ops._cuda import Cuda

    return Cuda(cupy, module)


def cuda(where: str) -> Any:
    """The GPU's side; DeviceError, beginning with ``where``, if something is missing."""
    return _gpu(*_gpu_module.load(where))


def of(op: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """The device on which the arrays among ``values`` are.

    Raises:
        DeviceError: if some are on a GPU and it cannot be used, or others are on the host: nothing is copied behind the
        caller's back.
    """
    for value in values:
        if type(value) is not np.ndarray and value is not None and _is_on_gpu(value):
            return _gpu_of(op, names, values)
    return HOST


def _is_on_gpu(value: Any) -> bool:
    return is_on_gpu(value.array if isinstance(value, Value) and hasattr(value, "array") else value)


def _gpu_of(op: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    given = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    there = [name for name, value in given if _is_on_gpu(value)]
    device = cuda(f"[{op}] {there[0]} is on a GPU")
    for name, value in given:
        if name not in there:
            raise DeviceError(
                f"[{op}] all arrays must be on one device: expected {name} on the GPU like {there[0]}, got "
                f"{type(value).__name__} on the host. Copy it with cupy.asarray, or the others back with cupy.asnumpy."
            )
    return device


def as_floats(op: str, name: str, value: Any) -> Any:
    """``value`` as an array of a floating-point type of its device, or TypeError."""
    device = of(op, (name,), (value,))
    array = device.as_array(op, name, value)
    device.check_dtype(op, name, array)
    return array
