"""Values that callers pass by mistake, or to see what happens: what a fuzzer puts where something right stood."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Rng = np.random.Generator


class OwnError(Exception):
    """Raised by the objects below: what a caller's own code raises may come out as it is."""


class _Raises:
    """Whatever one asks of it is refused."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise OwnError("no")

    __array__ = __len__ = __iter__ = __getitem__ = __index__ = __float__ = __bool__ = __call__ = _refuse


class _Liar:
    """Claims a length and an index that it has not."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        raise IndexError("nothing here")

    def __index__(self) -> int:
        return -(2**70)


class _OddArray:
    """``__array__`` gives whatever it was made with."""

    def __init__(self, gives: Any) -> None:
        self.gives = gives

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.gives


class _OddInterface:
    """``__array_interface__`` is nonsense."""

    def __init__(self, **says: Any) -> None:
        self.__array_interface__ = {"shape": (2, 2), "typestr": "<f4", "data": (0, True), "version": 3, **says}


class _OnGpu:
    """What a CuPy array looks like."""

    __cuda_array_interface__: ClassVar = {"shape": (2,), "typestr": "<f4", "data": (16, False), "version": 3}


class _Sub(np.ndarray):
    """A subclass with nothing of its own."""


class _Int(int):
    """A subclass of int."""


def _generator() -> Iterator[Any]:
    yield np.ones((2, 3), np.float32)
    yield None


def _own_list() -> list[Any]:
    inside: list[Any] = [1]
    inside.append(inside)
    return inside


_SCALARS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 63, -5, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63, -(2**63), 2**200),
    *(0.0, -0.0, 0.5, 1.0, -1.0, 1.5, 1e-45, 1e-320, 1e30, 1e300, float("nan"), float("inf"), -float("inf"), 1j),
    *(
        "",
        "x",
        "same",
        "SAME",
        "relu",
        "adam",
        "mse",
        "0",
        "1.5",
        "nan",
        "\0",
        "é\u2028",
        "x" * 5000,
        "/",
        "a/b",
        "..",
        b"2",
    ),
    *(np.int8(3), np.uint64(2**64 - 1), np.float16(1), np.float32("nan"), np.float64(2), np.bool_(True), np.str_("x")),
    *(np.datetime64("2020-01-01"), np.longdouble(1), Fraction(1, 3), _Int(2), Path("nowhere"), ..., NotImplemented),
    *(int, np.float32, np.ndarray, object, "float32", np.dtype("float32"), np.dtype("i4,f4"), slice(None), range(3)),
)
_MADE: tuple[Callable[[], Any], ...] = (
    *(
        lambda: object(),
        dict,
        lambda: {"a": 1},
        lambda: {0: 1.0, 1: None},
        lambda: {1, 2},
        list,
        lambda: (),
    ),
    *(
        lambda: [None],
        lambda: [[1, 2], [3]],
        lambda: (1, 2),
        lambda: (1, 2, 3),
        lambda: [0.5, "x"],
        lambda: [[[]]],
        _own_list,
    ),
    *(_Raises, _Liar, _OnGpu, _generator, io.BytesIO, io.StringIO, lambda: memoryview(b"abcd"), lambda: bytearray(8)),
    *(lambda: _OddArray(None), lambda: _OddArray(np.ones(3, np.float32)), lambda: _OddArray("x")),
    *(lambda: _OddInterface(), lambda: _OddInterface(shape="many"), lambda: _OddInterface(typestr="<q9")),
    *(lambda: _OddInterface(shape=(-1,)), lambda: _OddInterface(data=None), lambda: _OddInterface(version=99)),
    *(lambda: lambda *a, **k: None, lambda: print, lambda: iter([1, 2]), lambda: map(str, [1]), lambda: Exception("x")),
    *(lambda: np.ones((2, 3), np.float32), lambda: np.ones((), np.float32), lambda: np.zeros((0,), np.float32)),
    *(
        lambda: np.arange(6),
        lambda: np.array(["a", "b"]),
        lambda: np.array([None, 1]),
        lambda: np.array([{}, []], object),
    ),
)
_DTYPES = (
    "f2",
    "f4",
    "f8",
    "g",
    "i1",
    "u1",
    "i4",
    "i8",
    "u8",
    "?",
    "c8",
    "O",
    "S3",
    "U3",
    "M8[s]",
    "m8[s]",
    ">f4",
    "V4",
    "i4,f4",
)
_VALUES = (float("nan"), float("inf"), -float("inf"), -0.0, 1e30, -1e30, 1e38, 1e-45, -1.0, 0.0, 1.0, 2.0, 300.0)


def anything(rng: Rng) -> Any:
    """Any of these values."""
    if rng.random() < 0.6:
        return _SCALARS[rng.integers(len(_SCALARS))]
    return _MADE[rng.integers(len(_MADE))]()


def spoilt(rng: Rng, value: Any, huge: bool) -> Any:
    """Something for the place of ``value``: near it, or anything at all. ``huge`` allows arrays that no machine holds."""
    draw = rng.random()
    if isinstance(value, np.ndarray) and draw < 0.8:
        return _array(rng, value, huge)
    if isinstance(value, (list, tuple)) and draw < 0.6:
        return _sequence(rng, value, huge)
    if isinstance(value, dict) and value and draw < 0.7:
        name = list(value)[rng.integers(len(value))]
        return {**value, name: spoilt(rng, value[name], huge)}
    if isinstance(value, (int, float)) and not isinstance(value, bool) and draw < 0.4:
        near = (
            value + 1,
            value - 1,
            -value,
            value * 50,
            float(value),
            value / 3,
            str(value),
            [value],
            (value, value),
        )
        return near[rng.integers(len(near))]
    return anything(rng)


def _sequence(rng: Rng, value: Any, huge: bool) -> Any:
    items = list(value)
    draw = rng.integers(5)
    if draw == 0:
        items = items[:-1]
    elif draw == 1:
        items += items[-1:] or [1]
    elif draw == 2:
        items = items[::-1]
    elif items:
        at = rng.integers(len(items))
        items[at] = spoilt(rng, items[at], huge)
    return type(value)(items) if type(value) in (list, tuple) else items


def _array(rng: Rng, a: np.ndarray, huge: bool) -> Any:
    if a.size > 1 << 20:  # made huge already: nothing that would copy it
        return a
    kinds = (_other_layout, _other_layout, _other_shape, _other_dtype, _other_values, _other_kind)
    return kinds[rng.integers(len(kinds))](rng, a) if not huge or rng.random() < 0.95 else _huge(rng, a)


def _other_layout(rng: Rng, a: np.ndarray) -> np.ndarray:
    """The same numbers, elsewhere in memory: a right answer is due."""
    draw = rng.integers(7)
    if draw == 0:
        return np.asfortranarray(a)
    if draw == 1:
        return np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a
    if draw == 2:
        return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a
    if draw == 3:
        raw = np.zeros(a.nbytes + 1, np.uint8)
        moved = raw[1:].view(a.dtype).reshape(a.shape) if a.dtype.kind in "fiu" else a.copy()
        moved[...] = a
        return moved
    if draw == 4:
        frozen = a.copy()
        frozen.flags.writeable = False
        return frozen
    if draw == 5:
        return a.view(_Sub)
    return np.lib.stride_tricks.as_strided(
        a, strides=[s if n != 1 else 12345 for s, n in zip(a.strides, a.shape, strict=True)]
    )


def _other_shape(rng: Rng, a: np.ndarray) -> np.ndarray:
    draw = rng.integers(7)
    if draw == 0:
        return a[None]
    if draw == 1:
        return a[..., None]
    if draw == 2 or a.ndim == 0:
        return a.reshape(-1)
    axis = int(rng.integers(a.ndim))
    if draw == 3:
        return np.take(a, range(0), axis=axis)
    if draw == 4:
        return np.take(a, range(max(0, a.shape[axis] - 1)), axis=axis)
    if draw == 5:
        return np.concatenate([a, a], axis=axis)
    return a.swapaxes(axis, 0)


def _other_dtype(rng: Rng, a: np.ndarray) -> Any:
    dtype = np.dtype(_DTYPES[rng.integers(len(_DTYPES))])
    try:
        return a.astype(dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return np.zeros(a.shape, dtype)


def _other_values(rng: Rng, a: np.ndarray) -> np.ndarray:
    changed = a.copy()
    if a.size and a.dtype.kind in "fiu":
        for _ in range(rng.integers(1, 4)):
            value = _VALUES[rng.integers(len(_VALUES))]
            changed.flat[rng.integers(a.size)] = value if a.dtype.kind == "f" else rng.integers(0, 127)
    return changed


def _other_kind(rng: Rng, a: np.ndarray) -> Any:
    draw = rng.integers(7)
    if draw == 0:
        return a.tolist()
    if draw == 1:
        return np.ma.masked_array(a)
    if draw == 2:
        return a.flat[0] if a.size else None
    if draw == 3:
        return _OddArray(a)
    if draw == 4:
        return memoryview(np.ascontiguousarray(a)) if a.dtype.kind in "fiu" else a
    if draw == 5:
        return iter(a) if a.ndim else a
    return [a, a]


def _huge(rng: Rng, a: np.ndarray) -> np.ndarray:
    """More elements than any machine holds, in four bytes."""
    sizes = [int(n) for n in rng.choice([1, 3, 2**20, 2**31, 2**40], size=max(1, a.ndim))]
    while (count := np.prod(np.asarray(sizes, float))) > 2**60 or count * a.itemsize >= 2**63:
        sizes[int(np.argmax(sizes))] = 3
    if count < 2**36:
        sizes[int(np.argmax(sizes))] = 2**40
    return np.broadcast_to(np.asarray(a.flat[0] if a.size else 0, a.dtype), sizes)
