"""Where a plan runs: its memory, its program, and how data get there and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import _cpu, _gpu, _memory, config
from fastconv._mirror import Mirror
from fastconv.graph import Value
from fastconv.plan.transfers import Block, Slot, streams
from fastconv.variables import Variable

__all__ = ["Gpu", "Host", "current", "missing_kernels", "workspace_bytes"]

# Up to this many bytes a feed goes with one copy before the kernels: it takes the time of a kernel's launch. More of
# them take a stream of their own, during the kernels of the run before.
_SMALL = 1 << 16


def current() -> Host | Gpu:
    """The target for plans made now: ``config.device()``."""
    name = config.device()
    return (
        Host() if name == "cpu" else Gpu(*_gpu.load("[compile] the device cannot be used"), config.device_number(name))
    )


def workspace_bytes(kernel: str, spec: Any) -> int:
    """What a kernel wants of a plan's arena for itself. A GPU's kernels share a block that the first run allocates."""
    return _cpu.workspace_bytes(kernel, spec) if config.device() == "cpu" else 0


def missing_kernels() -> list[str]:
    """Kernels that the device of plans made now does not have."""
    if config.device() == "cpu":
        return _cpu.missing_kernels()
    return _gpu.load("[compile] the device cannot be used")[1].missing_kernels("float32")


class Host:
    """The CPU: kernels work on the very arrays that callers and variables hold.

    Attributes:
        slots: runs that can be under way at once.
        updates: runs that have passed their guards.
    """

    slots = 1

    def __init__(self) -> None:
        self.program = _cpu.Program()
        self.updates = 0
        self._mirrors: dict[Mirror, None] = {}
        self._arrays: dict[Value, np.ndarray] = {}
        self._verdict = True

    def feed(self, inputs: Sequence[Value], settings: Sequence[np.ndarray]) -> dict[Value, Any]:
        """Memory that is not the arena's for what a run gets: none."""
        return {}

    def arena(self, size: int) -> np.ndarray:
        """Bytes that live as long as the plan."""
        return _memory.lasting("compile", "the plan's arena", (size,), np.uint8)

    def variable(self, variable: Variable) -> np.ndarray:
        """A variable's memory."""
        self._mirrors[variable.mirror] = None
        return variable.array

    def setting(self, array: np.ndarray) -> np.ndarray:
        """Memory with the contents that a caller's array has at the time of a run."""
        return array

    def show(self, arrays: dict[Value, Any]) -> None:
        """Says what callers fill and read; once, when everything has its place."""
        self._arrays = arrays

    def array(self, value: Value, slot: int) -> np.ndarray:
        """Where the caller fills an input or finds an output."""
        return self._arrays[value]

    def queue(self, slot: int) -> None:
        """Runs the program."""
        for mirror in self._mirrors:
            mirror.host()
        self._verdict = self.program.run()
        self.updates += self._verdict

    def finish(self, slot: int) -> bool:
        """Whether the run passed its guards."""
        return self._verdict

    def settle(self) -> None:
        """Nothing is ever under way."""


class Gpu:
    """A GPU: a run takes its feed there, replays one CUDA graph, and sends its results back. Nobody waits for it.

    Inputs and settings (seeds, the optimizer's numbers) lie side by side on either side, so that one copy takes them.
    A guard that has refused a run refuses those after it too, until :meth:`finish` has told the host.

    Args:
        cupy, module: CuPy and the extension module with the kernels.
        device: its number.

    Attributes:
        slots: runs that can be under way at once, each with its arrays on the host.
        updates: runs that had passed their guards when :meth:`finish` or :meth:`settle` last looked.
    """

    slots = 2

    def __init__(self, cupy: Any, module: Any, device: int) -> None:
        self.program = module.Program()
        self.updates = 0
        self._cupy = cupy
        self._number = device
        self._device = cupy.cuda.Device(device)
        self._stream, self._copies = streams(cupy, device)
        with self._device:
            begun = np.array([1, 0], np.int32)  # whether to go on, and the updates so far
            self._state = _gpu.copied(cupy, "[compile] the plan's state", begun)
            self._arrived, self._taken = (cupy.cuda.Event(disable_timing=True) for _ in range(2))
        self._mirrors: dict[Mirror, None] = {}
        self._workspace: Any = None
        self._runs = 0
        self._slots: list[Slot] = []

    def feed(self, inputs: Sequence[Value], settings: Sequence[np.ndarray]) -> dict[Value, Any]:
        """Memory that is not the arena's for what a run gets: inputs, and settings, which :meth:`setting` finds."""
        extents: list[tuple[tuple[int, ...], Any]] = [(a.shape, a.dtype) for a in settings]
        self._block = Block([*extents, *((v.shape, v.dtype) for v in inputs)])
        self._feed = self._empty(self._block.size)
        self._staging = self._empty(self._block.size) if self._block.size > _SMALL else None
        places = self._block.views(self._feed)
        self._settings = list(zip(settings, places, strict=False))
        self._inputs = list(inputs)
        return dict(zip(inputs, places[len(settings) :], strict=True))

    def arena(self, size: int) -> Any:
        """Bytes that live as long as the plan."""
        memory = self._empty(size)
        with self._device:
            memory.fill(0)
        return memory

    def _empty(self, size: int) -> Any:
        with self._device:
            return _gpu.empty(self._cupy, "[compile] the plan's arena", (size,), np.uint8)

    def variable(self, variable: Variable) -> Any:
        """A variable's memory."""
        if variable.renewed:
            return self.setting(variable.array)
        self._mirrors[variable.mirror] = None
        with self._device:
            return variable.on(self._cupy, self._number)

    def setting(self, array: np.ndarray) -> Any:
        """Memory with the contents that a caller's array has when a run is queued."""
        return next(place for known, place in self._settings if known is array)

    def gather(self, address: np.ndarray, dtype: str, rows: Any, place: Any) -> None:
        """Adds a step that takes rows out of a data set whose address is a setting."""
        count = rows.size
        places = (array.data.ptr for array in (self.setting(address), rows, place))
        self.program.add_gather(*places, dtype, place.dtype.name, count, place.size // count)

    def copy(self, source: Any, target: Any) -> None:
        """Copies on the device, after what is queued."""
        target.data.copy_from_device_async(source.data, source.nbytes, self._stream)

    def show(self, arrays: dict[Value, Any]) -> None:
        """Says what callers fill and read; once, when everything has its place."""
        outputs = {value: array for value, array in arrays.items() if value not in self._inputs}
        self._outputs = list(outputs)
        results = [*outputs.values(), self._state]
        self._results = [(array.data, array.nbytes) for array in results]
        self._result_block = Block([(array.shape, array.dtype) for array in results])

    def array(self, value: Value, slot: int) -> np.ndarray:
        """Where the caller fills an input before a run is queued, or finds an output after it has finished."""
        here = self._slot(slot)
        if value in self._inputs:
            return here.fed[len(self._settings) + self._inputs.index(value)]
        return here.results[self._outputs.index(value)]

    def _slot(self, slot: int) -> Slot:
        while len(self._slots) <= slot:
            with self._device:
                self._slots.append(Slot(self._cupy, self._block, self._result_block))
        return self._slots[slot]

    def queue(self, slot: int) -> None:
        """Begins a run with what the slot's arrays and the settings hold; they are the run's until it has finished."""
        here = self._slot(slot)
        _gpu.load("[run] the model is on a GPU")
        with self._device, self._stream:
            if self._runs == 0:
                self._device.synchronize()  # memory was cleared and filled on other streams
            for mirror in self._mirrors:
                mirror.upload(self._number, self._stream)
                mirror.written(self._number, self._stream)  # from here on, wherever an interrupt may come
            for (setting, _), copy in zip(self._settings, here.fed, strict=False):
                copy[...] = setting
            self._send(here)
            self._replay()
            for (pointer, size), address in zip(self._results, here.result_addresses, strict=True):
                pointer.copy_to_host_async(address, size, self._stream)
            here.done.record(self._stream)

    def _send(self, here: Slot) -> None:
        size = self._block.size
        if self._staging is None:
            self._feed.data.copy_from_host_async(here.feed_address, size, self._stream)
            return
        self._copies.wait_event(self._taken)
        self._staging.data.copy_from_host_async(here.feed_address, size, self._copies)
        self._arrived.record(self._copies)
        self._stream.wait_event(self._arrived)
        self._feed.data.copy_from_device_async(self._staging.data, size, self._stream)
        self._taken.record(self._stream)

    def _replay(self) -> None:
        """The first run queues kernel by kernel, which loads them; later ones replay the graph of the second."""
        if self._runs == 0:
            size = self.program.workspace_bytes
            self._workspace = self._empty(size) if size else None
            self.program.run(*self._addresses(), self._stream.ptr)
        else:
            if self._runs == 1:
                recording = self._cupy.cuda.Stream(non_blocking=True)  # others may queue on the shared one meanwhile
                self.program.capture(*self._addresses(), recording.ptr)
            self.program.replay(self._stream.ptr)
        self._runs += 1  # of those that were queued: after an error it is done again

    def _addresses(self) -> tuple[int, int]:
        return 0 if self._workspace is None else self._workspace.data.ptr, self._state.data.ptr

    def finish(self, slot: int) -> bool:
        """Waits for a run; False when a guard stopped it: then those queued after it are over too, and did nothing."""
        here = self._slot(slot)
        here.done.synchronize()
        proceed, self.updates = (int(number) for number in here.results[-1])
        if not proceed:
            self.settle()
        return bool(proceed)

    def settle(self) -> None:
        """Waits for everything, and lets runs proceed again."""
        if self._runs == 0:  # the state itself may not have arrived
            return
        self._stream.synchronize()
        proceed, self.updates = (int(number) for number in self._state.get())
        if not proceed:
            self._state.set(np.array([1, self.updates], np.int32), stream=self._stream)
