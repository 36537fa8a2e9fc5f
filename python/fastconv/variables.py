"""Variables: named arrays that outlive a step (weights, moving statistics, optimizer slots)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from fastconv import _memory, random
from fastconv._locks import ProcessLock
from fastconv._mirror import Mirror
from fastconv.graph import Value
from fastconv.ops import _arrays

__all__ = ["Buffer", "EpochSeed", "Seed", "SizeOnly", "Variable", "are_sizes_only", "gather", "sizes_only"]


class Buffer:
    """Flat memory that several variables of one dtype share, without gaps."""

    def __init__(self, size: int, dtype: str, initial: float = 0.0) -> None:
        array = _memory.lasting("variables", "buffer", (size,), dtype)
        if initial:
            array.fill(initial)
        self.size, self.dtype = size, dtype
        self.mirror = Mirror(array)


class Variable(Value):
    """A value with memory of its own: compiled plans point into it. It moves once at most, see :func:`gather`.

    Args:
        array: initial contents.
        name: unique within its layer, e.g. "kernel".
        trainable: whether an optimizer may change it.

    Attributes:
        mirror: their memory, the buffer's after :func:`gather`.
        regularizer, constraint: of ``fastconv.regularizers`` and ``fastconv.constraints``, or None: its part in the loss, and what
            every step changes it to.
        renewed: whether a run takes what the host has written by then, and no kernel ever writes it: seeds, scales, constants.
        buffer, offset: the flat memory they are part of and the place in it; None before :func:`gather`.
    """

    autocast = True
    buffer: Buffer | None = None
    offset = 0
    renewed = False
    regularizer: Any = None
    constraint: Any = None

    def __init__(self, array: Any, name: str, trainable: bool = True) -> None:
        given = np.asarray(array)
        super().__init__(given.shape, given.dtype.name, None, name)
        self._own(_memory.lasting("variables", name, self.shape, self.dtype))
        self._view[...] = given
        self.trainable = trainable

    @classmethod
    def at(cls, buffer: Buffer, offset: int, shape: tuple[int, ...], name: str) -> Variable:
        """A variable, not trainable, that holds what is there in a buffer."""
        variable = cls.__new__(cls)
        Value.__init__(variable, shape, buffer.dtype, None, name)
        variable.trainable = False
        variable._settle(buffer, offset)
        return variable

    @property
    def array(self) -> np.ndarray:
        """The contents; a view that may be written. Where they are on a GPU they come back first."""
        self.mirror.host()
        return self._view

    def on(self, cupy: Any, device: int) -> Any:
        """The contents' place on a GPU."""
        return self.mirror.on(cupy, device)[self.offset : self.offset + self.size].reshape(self.shape)

    def move(self, buffer: Buffer, offset: int) -> None:
        """Takes the contents to a place in a buffer, for good."""
        contents = self.array
        self._settle(buffer, offset)
        self.array[...] = contents

    def _own(self, memory: np.ndarray) -> None:
        self.mirror, self._view = Mirror(memory.reshape(-1)), memory

    def _settle(self, buffer: Buffer, offset: int) -> None:
        self.mirror = buffer.mirror
        self._view = buffer.mirror.host()[offset : offset + self.size].reshape(self.shape)
        self.buffer, self.offset = buffer, offset

    def __getstate__(self) -> dict[str, Any]:
        """A copy's array is no longer part of a buffer."""
        kept = {key: value for key, value in vars(self).items() if key not in ("buffer", "offset", "mirror", "_view")}
        return {**kept, "array": self.array}

    def __setstate__(self, state: dict[str, Any]) -> None:
        array = state.pop("array")
        vars(self).update(state)
        self._own(np.array(array))

    def assign(self, value: Any) -> None:
        """Overwrites the contents in place.

        Raises:
            ValueError: if the shape differs, or a float is not finite or too large for the dtype. TypeError: unless
            ``value`` holds ints or floats.
        """
        self.array[...] = self.checked(value)

    def checked(self, value: Any) -> np.ndarray:
        """``value`` in this variable's dtype, or an error that says why it may not be assigned."""
        array = _arrays.as_numbers("assign", self.name, value.array if isinstance(value, Variable) else value)
        if array.dtype.kind == "b":
            raise TypeError(
                f"[assign] {self.name} takes numbers: expected {self.dtype}, got dtype {array.dtype}. Convert the array."
            )
        if array.shape != self.shape:
            raise ValueError(
                f"[assign] {self.name} has the wrong shape: expected {self.shape}, got {array.shape}. "
                "Use the weights of a model of the same architecture."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(
                f"[assign] {self.name} must be finite: expected no NaN or infinity, got "
                f"{int((~np.isfinite(array)).sum())} such values. Check where the weights come from."
            )
        converted = np.empty(self.shape, self.dtype)
        _arrays.assign("assign", self.name, converted, array)
        return converted

    def numpy(self) -> np.ndarray:
        """A copy of the contents."""
        return self.array.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name} {self.dtype}{list(self.shape)}>"


class Seed(Variable):
    """A number for a generator on the plan's device, another one for every training step.

    Args:
        own: of a sequence that depends on it and on the step alone; None takes the next seed of fastconv.random.
    """

    renewed = True

    def __init__(self, own: int | None = None) -> None:
        super().__init__(np.zeros(1, np.uint64), "seed", trainable=False)
        self._stream = own

    def renew(self, step: int, epoch: int) -> None:
        """Before training step ``step``, counted over all epochs, of ``epoch``."""
        self.array[0] = random.next_seed() if self._stream is None else random.seed_of(self._stream, step)


class EpochSeed(Seed):
    """The epoch's number."""

    def renew(self, step: int, epoch: int) -> None:
        self.array[0] = epoch


_gathering = ProcessLock()


def gather(variables: Iterable[Variable]) -> None:
    """Moves variables side by side, one buffer per dtype, so that one kernel call can work on all of them.

    To be called before the first plan points at them; those that have been gathered before stay where they are. Sizes
    that fill whole cache lines come first, so that most variables begin on one.
    """
    with _gathering.lock:
        by_dtype: dict[str, list[Variable]] = {}
        for variable in dict.fromkeys(variables):
            if variable.buffer is None and not isinstance(variable, SizeOnly):
                by_dtype.setdefault(variable.dtype, []).append(variable)
        for dtype, fresh in by_dtype.items():
            line = _memory.CACHE_LINE // np.dtype(dtype).itemsize
            buffer, offset = Buffer(sum(v.size for v in fresh), dtype), 0
            for variable in sorted(fresh, key=lambda v: v.size % line != 0):
                variable.move(buffer, offset)
                offset += variable.size


class SizeOnly(Variable):
    """A variable without memory: it can be counted, and nothing else."""

    def __init__(self, shape: Sequence[int], dtype: str, name: str, trainable: bool = True) -> None:
        Value.__init__(self, shape, dtype, None, name)
        self.trainable = trainable

    @property
    def array(self) -> np.ndarray:  # type: ignore[override]  # an attribute of other variables
        """Nothing to give.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            f"[{self.name}] this weight was made without memory: expected a model built outside of layers.sizes_only(), got "
            f"a description of shape {self.shape}. Build the model again."
        )

    @property
    def mirror(self) -> Mirror:  # type: ignore[override]  # an attribute of other variables
        """Nothing to give, as :attr:`array`."""
        return Mirror(self.array)


_sizes_only: ContextVar[bool] = ContextVar("fastconv_sizes_only", default=False)


@contextmanager
def sizes_only() -> Iterator[None]:
    """Inside the block layers make weights without memory: a model of any size can be described, counted and printed, but
    not run.

    Example:
        >>> from fastconv import layers, models
        >>> with layers.sizes_only():
        ...     model = models.Sequential([layers.Input((480_000,)), layers.Dense(480_000), layers.Dense(1)])
        >>> f"{model.count_params():,}"
        '230,400,960,001'
    """
    token = _sizes_only.set(True)
    try:
        yield
    finally:
        _sizes_only.reset(token)


def are_sizes_only() -> bool:
    """Whether weights are to be made without memory."""
    return _sizes_only.get()
