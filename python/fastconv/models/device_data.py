"""Data sets on a GPU: uploaded once, and every step gathers its samples there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastconv import _gpu, config
from fastconv.errors import DeviceError
from fastconv.models.batches import ArrayBatches, Batch, is_on_gpu
from fastconv.ops import _arrays, _devices
from fastconv.plan import transfers

__all__ = ["DeviceBatches", "Rows", "on_device", "plan_key"]

# What arrays of the host may take of the memory that is free on the device; those that need more are sent batch by batch.
RESIDENT_SHARE = 0.5


class Stored:
    """The arrays of a data set on a device: inputs, then targets.

    Attributes:
        dtypes: element type of each array.
        addresses: where each begins.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays  # kept alive
        self.dtypes = tuple(array.dtype.name for array in arrays)
        self.addresses = [array.data.ptr for array in arrays]


class Rows:
    """Samples of a data set on a device, by their numbers."""

    def __init__(self, data: Stored, numbers: np.ndarray) -> None:
        self.data = data
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)


def plan_key(x: Sequence[Any] | Rows) -> tuple[int, tuple[str, ...]]:
    """Samples of a batch, and the element types of the data sets that they are taken from."""
    return (len(x), x.data.dtypes) if isinstance(x, Rows) else (len(x[0]), ())


class DeviceBatches(ArrayBatches):
    """Batches of arrays on a device.

    Args:
        data: the same batches: the host's targets are those that metrics look at.
        stored: the arrays on the device.
    """

    def __init__(self, data: ArrayBatches, stored: Stored) -> None:
        super().__init__(data.x, data.y, data.weights, data.batch_size)
        self._steps = data._steps
        self._stored = stored

    def batches(self, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Every batch once, of the samples in ``order`` or as they stand."""
        order = np.arange(self.samples) if order is None else order
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            numbers = order[start : start + self.batch_size]
            y = None if self.y is None else [array[numbers] for array in self.y]
            yield Rows(self._stored, numbers), y, None if self.weights is None else self.weights[numbers]


def on_device(data: ArrayBatches, dtype: str, labels: Sequence[bool]) -> ArrayBatches:
    """The same batches with their arrays on the GPU that plans are made for, where they fit; else as they are.

    Arrays that are on the GPU stay where they are. The others keep their bytes if they are uint8 or of the model's dtype,
    and are converted once if not.

    Args:
        dtype: the model's.
        labels: whether each of the targets holds class numbers.
    """
    name = config.device()
    if name == "cpu" or data.samples == 0:
        return data
    cupy, number = _devices.cuda("[fit] the device cannot be used").cupy, config.device_number(name)
    there = [array for array in data.x if is_on_gpu(array)]
    _check_device(there, number)
    kinds = [(array, dtype) for array in data.x]
    kinds += [(array, "int64" if is_label else dtype) for array, is_label in zip(data.y or [], labels, strict=True)]
    with cupy.cuda.Device(number) as device:
        needed = sum(array.size * _itemsize(array, kind) for array, kind in kinds if not is_on_gpu(array))
        if not there and needed > RESIDENT_SHARE * device.mem_info[0]:
            return data
        try:
            arrays = [_uploaded(cupy, array, kind) for array, kind in kinds]
        except MemoryError:  # free, but in pieces; or the host has none for a converted copy
            if there:
                raise
            return data
        stream, _ = transfers.streams(cupy, number)
        stream.wait_event(cupy.cuda.get_current_stream().record())  # what is still being written there
    return DeviceBatches(data, Stored(arrays))


def _check_device(arrays: Sequence[Any], number: int) -> None:
    for array in arrays:
        if array.device.id != number:
            raise DeviceError(
                f"[fit] x must be on the GPU where the model runs: expected cuda:{number}, got an array on "
                f"cuda:{array.device.id}. Copy it, or use set_device('cuda:{array.device.id}')."
            )


def _itemsize(array: Any, dtype: str) -> int:
    return 1 if array.dtype == np.uint8 and dtype != "int64" else np.dtype(dtype).itemsize


def _uploaded(cupy: Any, array: Any, dtype: str) -> Any:
    if is_on_gpu(array):
        return array
    if array.dtype.name != dtype and (array.dtype != np.uint8 or dtype == "int64"):
        converted = np.empty(array.shape, dtype)
        _arrays.assign("fit", "x", converted, array)
        array = converted
    return _gpu.copied(cupy, "[fit] the data set", np.ascontiguousarray(array))
