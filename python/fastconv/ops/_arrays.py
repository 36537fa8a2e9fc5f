"""What may stand for an array, and how arrays are made ready for a kernel. The one place that looks at kinds, dtypes,
layouts and free memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import _memory
from fastconv.errors import DeviceError
from fastconv.ops._foreign import is_on_gpu

FLOATS = ("float32", "float64")

# NumPy spells ``dtype.name`` out at every call, at the price of a small kernel. Native byte order only.
_NAMES = {np.dtype(name): name for name in (*FLOATS, "uint8", "int32", "int64", "uint64")}


def as_array(op: str, name: str, value: Any) -> np.ndarray:
    """``value`` as a plain ndarray without a copy, or TypeError."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(
            f"[{op}] {name} must be a plain array: expected ndarray, got {type(value).__module__}.{type(value).__name__}. "
            f"Convert it with np.asarray (a mask would be lost: fill it first)."
        )
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    if is_on_gpu(value):
        raise DeviceError(
            f"[{op}] {name} is on a GPU: expected an array on the host here, got {type(value).__name__}. Copy it, e.g. with "
            "cupy.asnumpy."
        )
    if not isinstance(value, (np.generic, type)):  # classes of arrays have these attributes, too
        if hasattr(value, "__array_interface__"):
            try:
                return np.asarray(value)
            except Exception as error:
                raise TypeError(
                    f"[{op}] {name} must be an array: expected a readable __array_interface__, got {type(value).__name__} "
                    f"({error}). Convert it with np.array."
                ) from error
        if hasattr(value, "__dlpack__"):
            try:
                return np.from_dlpack(value)
            except Exception as error:
                raise TypeError(
                    f"[{op}] {name} must be an array on the host: expected a readable DLPack tensor, got "
                    f"{type(value).__name__} ({error}). Detach it and move it to the CPU."
                ) from error
    raise TypeError(
        f"[{op}] {name} must be an ndarray: expected numpy.ndarray, got {type(value).__name__}. "
        "Convert it with np.asarray(..., dtype=np.float32)."
    )


def check_dtype(op: str, name: str, array: np.ndarray, accepted: tuple[str, ...] = FLOATS) -> None:
    """TypeError unless the dtype is one of ``accepted`` in the machine's byte order."""
    if _NAMES.get(array.dtype) in accepted:
        return
    if not array.dtype.isnative:
        raise TypeError(
            f"[{op}] {name} has a foreign byte order: expected native {' or '.join(accepted)}, got dtype {array.dtype}. "
            f"Convert it with {name}.astype({name}.dtype.newbyteorder('='))."
        )
    if array.dtype.name not in accepted:
        raise TypeError(
            f"[{op}] {name} has dtype {array.dtype}, which is not supported: expected {' or '.join(accepted)}, got "
            f"{name}.dtype={array.dtype}. Convert it with {name}.astype(np.float32)."
        )


def dtype_name(array: np.ndarray) -> str:
    """``array.dtype.name``, sooner."""
    return _NAMES.get(array.dtype) or array.dtype.name


def as_numbers(op: str, name: str, value: Any) -> np.ndarray:
    """An array of bool, ints or floats from an array or from (nested) lists of numbers.

    Raises:
        TypeError: for anything else. ValueError: for rows of different lengths.
    """
    if isinstance(value, (list, tuple)):
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ValueError(
                f"[{op}] {name} must be rectangular: expected rows of one length, got a list that NumPy cannot stack "
                f"({error}). Pad or cut the rows."
            ) from error
    else:
        array = as_array(op, name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"[{op}] {name} must be numbers: expected a float, int or bool array, got dtype {array.dtype}. "
            "Encode text and categories first (utils.to_categorical)."
        )
    return array


def assign(op: str, name: str, target: np.ndarray, values: np.ndarray) -> None:
    """``target[...] = values`` with NumPy's conversion, but never from a finite number to infinity."""
    if values.dtype == target.dtype:
        target[...] = values
        return
    try:
        with np.errstate(over="raise", under="ignore", invalid="ignore"):
            target[...] = values
    except FloatingPointError:
        raise ValueError(
            f"[{op}] {name} must fit {target.dtype}: expected values up to {np.finfo(target.dtype).max:.3g}, got larger ones "
            f"in {name}.dtype={values.dtype}. Scale them."
        ) from None


def contiguous(op: str, name: str, array: np.ndarray) -> np.ndarray:
    """The array itself if a kernel can read it, else a C-contiguous, aligned copy."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    copy = empty(op, name, array.shape, array.dtype)
    copy[...] = array
    return copy


def empty(op: str, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An uninitialised array, or MemoryError before the machine runs out of memory."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    _memory.check_free(op, name, shape, size)
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:  # ValueError: more bytes than an address can count
        raise _memory.refused(op, name, shape, size) from error


def check_out(op: str, out: Any, shape: tuple[int, ...], dtype: str, inputs: list[np.ndarray | None]) -> np.ndarray:
    """``out`` if a result of this shape and dtype can be written into it."""
    if type(out) is not np.ndarray:
        raise TypeError(
            f"[{op}] out must be an ndarray: expected numpy.ndarray, got {type(out).__name__}. Use np.empty."
        )
    if _NAMES.get(out.dtype) != dtype:
        raise TypeError(
            f"[{op}] out must have the result's dtype: expected {dtype}, got out.dtype={out.dtype}. Allocate it with np.empty."
        )
    if out.shape != shape:
        raise ValueError(
            f"[{op}] out must have the result's shape: expected {shape}, got out.shape={out.shape}. Allocate it with np.empty."
        )
    if not (out.flags.c_contiguous and out.flags.aligned and out.flags.writeable):
        raise ValueError(
            f"[{op}] out must be C-contiguous, aligned and writeable: expected such an array, got flags {_flags(out)}. "
            "Allocate it with np.empty."
        )
    if any(array is not None and np.may_share_memory(out, array) for array in inputs):
        raise ValueError(
            f"[{op}] out must not overlap an input: expected separate memory, got shared bytes. Allocate it with np.empty."
        )
    return out


def _flags(array: np.ndarray) -> str:
    names = ("c_contiguous", "aligned", "writeable")
    return ", ".join(f"{name}={bool(getattr(array.flags, name))}" for name in names)
