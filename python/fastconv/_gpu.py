"""What a GPU needs: the CUDA module of this build, CuPy, a driver, a device; and memory there, or an error of ours."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np

from fastconv.errors import DeviceError

__all__ = ["copied", "empty", "load"]

_loaded: tuple[Any, Any] | None = None  # remembered once everything has been found
_forked = False  # this process is the child of one that had loaded it


def load(where: str) -> tuple[Any, Any]:
    """``(cupy, fastconv._cuda)``.

    Args:
        where: what the message of an error begins with, e.g. "[conv2d] x is on a GPU".

    Raises:
        DeviceError: says what is missing and how to get it.
    """
    global _loaded
    if _forked:
        raise DeviceError(
            f"{where}: the child of a process that has used a GPU cannot use it, and CUDA offers no way: expected a process of "
            f"its own, got a fork (process {os.getpid()} of {os.getppid()}). Start it with "
            "multiprocessing.get_context('spawn')."
        )
    if _loaded is None:
        _loaded = _find(where)
    return _loaded


def _find(where: str) -> tuple[Any, Any]:
    try:
        module = importlib.import_module("fastconv._cuda")  # not in every build
    except ImportError as error:
        raise DeviceError(
            f"{where}: expected a fastconv with its CUDA module, got a build without ({error}). Install from source where "
            "nvcc is found (pip install . --config-settings=cmake.define.FASTCONV_CUDA=ON), or use arrays on the host "
            "(cupy.asnumpy)."
        ) from None
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"{where}: expected CuPy, which allocates memory there, beside the CUDA module, got {error}. pip install "
            "'fastconv[cuda]'."
        ) from None
    try:
        found = module.devices()
    except RuntimeError as error:
        raise DeviceError(
            f"{where}: the CUDA module expected a GPU and its driver, got an error. {error} Check nvidia-smi."
        ) from None
    if not found:
        raise DeviceError(f"{where}: the CUDA module expected a visible GPU, got none. Check CUDA_VISIBLE_DEVICES.")
    return cupy, module


def empty(cupy: Any, where: str, shape: tuple[int, ...], dtype: Any, way_out: str = "Use a smaller batch.") -> Any:
    """An uninitialised array of the current device, from CuPy's pool.

    Args:
        where: what the message of an error begins with, e.g. "[conv2d] y".

    Raises:
        MemoryError: says what found no room.
    """
    try:
        return cupy.empty(shape, dtype)
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise MemoryError(
            f"{where} must fit the GPU's memory: expected room for shape {tuple(shape)} of {np.dtype(dtype)}, got a refusal "
            f"({error}). {way_out}"
        ) from None


def copied(cupy: Any, where: str, array: np.ndarray) -> Any:
    """A copy of a C-contiguous array of the host. Arguments and errors as :func:`empty`'s."""
    copy = empty(cupy, where, array.shape, array.dtype)
    copy.set(array)
    return copy


def _after_fork() -> None:
    global _loaded, _forked
    if _loaded is not None:
        _loaded, _forked = None, True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
