"""Settings of the whole process: threads, precision, device, dtype policy."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np

from fastconv import _arguments, _cpu, _gpu, dtype_policies
from fastconv.dtype_policies import DTypePolicy
from fastconv.errors import DeviceError

__all__ = [
    "device",
    "device_number",
    "dtype_policy",
    "get_num_threads",
    "precision",
    "set_device",
    "set_dtype_policy",
    "set_num_threads",
    "set_precision",
    "show_config",
]

_PRECISIONS = ("fast", "strict")

_settings = {"dtype_policy": "float32", "device": "cpu"}


def get_num_threads() -> int:
    """Threads that kernels may use; by default the CPUs this process may use (affinity and cgroup)."""
    return _cpu.get_num_threads()


def set_num_threads(n: int) -> None:
    """Sets the number of threads that kernels may use. Results never depend on it.

    A model whose step takes less than 5 ms, such as a small one on single images, uses fewer of them where that is faster:
    it tries both now and then.

    Raises:
        TypeError: if ``n`` is not an int. ValueError: unless 1 <= n <= 1024.
    """
    number = _arguments.integer("set_num_threads", "n", n)
    _cpu.set_num_threads(min(max(number, -1), 2**31))


def _check(setting: str, value: Any, accepted: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(
            f"[set_{setting}] {setting} must be a str: expected one of {accepted}, got {type(value).__name__}. "
            "Pass its name."
        )
    if value not in accepted:
        raise ValueError(
            f"[set_{setting}] {setting} is not known: expected one of {accepted}, got {value!r}. Use one of them."
        )


def set_precision(precision: str) -> None:
    """ "fast" lets kernels use algorithms with a larger, published error bound; "strict" keeps them out.

    They are minimal filtering (Winograd) for 3x3 and 5x5 convolutions, and on CPUs with AMX products of numbers that are
    split into two bfloat16; with "strict", AMX multiplies numbers split into three, which is as exact as a float32 sum.
    Of numbers without a pattern, the relative error (2-norm) of a result is below 1e-5 with "fast", whatever the
    algorithm. ``fastconv.explain(model)`` names the algorithm of every operation.

    A model that was already trained or run follows the new setting from its next step on. float32 only: float64 is
    always computed directly.
    """
    _check("precision", precision, _PRECISIONS)
    _cpu.set_precision(precision)


def precision() -> str:
    """The precision in force."""
    return _cpu.numerics()[0]


def set_dtype_policy(policy: str) -> None:
    """What layers made from now on keep their weights in and compute in.

    Args:
        policy: "float32", "float64", or "mixed_bfloat16" or "mixed_float16": weights, statistics, optimizer state and
            losses in float32, what lies in between in 16 bits, see :class:`fastconv.dtype_policies.DTypePolicy`.

    A mixed policy says what a model computes in on a GPU (:func:`set_device`, before or after this); on the CPU, which
    has no kernels of 16 bits, the same model computes in float32. A single layer is made otherwise with its argument
    ``dtype``.

    Raises:
        DeviceError: for a mixed policy where no GPU can be used.
    """
    _check("dtype_policy", policy, dtype_policies.NAMES)
    if DTypePolicy(policy).is_mixed:
        _gpu.load(f"[set_dtype_policy] {policy} needs the CUDA module and a GPU")
    _settings["dtype_policy"] = policy


def dtype_policy() -> str:
    """The name of the dtype policy in force."""
    return _settings["dtype_policy"]


def set_device(device: str) -> None:
    """Where models live: "cpu", "cuda" (the first GPU) or "cuda:N".

    A model follows from its next step on; its weights move by themselves. Functional ops do not look at it: they run
    where their arrays are.

    Raises:
        DeviceError: for a GPU that this machine or this build cannot use. ValueError: for a name that is no device.
    """
    if not isinstance(device, str):
        raise TypeError(
            f"[set_device] device must be a str: expected one of cpu, cuda, cuda:N, got {type(device).__name__}. Pass a str."
        )
    if device != "cpu":
        _check_gpu(device)
    _settings["device"] = device


def _check_gpu(device: str) -> None:
    if device != "cuda" and not (device.startswith("cuda:") and device[5:].isdecimal()):
        raise ValueError(
            f"[set_device] device is not known: expected one of cpu, cuda, cuda:N, got device={device!r}. Use 'cpu'."
        )
    _, module = _gpu.load(f"[set_device] {device} cannot be used")
    found = module.devices()
    if device_number(device) >= len(found):
        raise DeviceError(
            f"[set_device] {device} must be a visible GPU: expected N < {len(found)}, got {device!r}. See "
            "fastconv.show_config()['cuda']."
        )


def device() -> str:
    """The device in force."""
    return _settings["device"]


def device_number(device: str) -> int:
    """N of "cuda:N"; 0 of "cuda"."""
    return int(device[5:] or 0)


def _cuda_devices() -> list[dict[str, Any]] | None:
    """What the CUDA module sees; None where there is no module, driver or CuPy."""
    try:
        return _gpu.load("[show_config]")[1].devices()
    except DeviceError:
        return None


def show_config() -> dict[str, Any]:
    """Versions, instruction sets, threads and devices of this process, as a dict."""
    return {
        "fastconv": _cpu.version,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "isa": _cpu.current_isa(),
        "isa_available": _cpu.available_isas(),
        "threads": _cpu.get_num_threads(),
        "compiler": _cpu.compiler,
        "cuda": _cuda_devices(),
        "device": device(),
        "precision": precision(),
        "dtype_policy": dtype_policy(),
        "environment": {k: v for k, v in os.environ.items() if k.startswith("FASTCONV_")},
    }


if os.environ.get("FASTCONV_DEVICE"):
    set_device(os.environ["FASTCONV_DEVICE"])  # a wrong one is an error now, not at the first model
