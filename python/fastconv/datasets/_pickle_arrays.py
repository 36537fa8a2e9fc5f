"""Reads the pickled batches of CIFAR without unpickling: nothing in the file can name code to run.

Python's ``pickle`` is a small stack machine that can import and call anything. This is another machine for
the same byte code. It knows the opcodes of plain data (dict, list, tuple, bytes, text, int, bool, None) and
five global names, and each of these names stands for a function below that builds a uint8 array. Everything
else is a DatasetError. ``pickletools.genops`` of the standard library splits the bytes into opcodes; it
executes nothing.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DatasetError

__all__ = ["read_pickled_dict"]


class _Refused(Exception):
    """The file asks for something that plain data of arrays do not need."""


@dataclass
class _Dtype:
    """A dtype under construction; only uint8 exists here."""

    def set_state(self, state: Any) -> None:
        pass  # byte order and alignment mean nothing for one byte


@dataclass
class _Array:
    """An array under construction: NumPy pickles an empty one and fills in shape and bytes afterwards."""

    value: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("array state")
        _, shape, dtype, fortran, data = state
        self.value = _uint8_array(data, dtype, shape, "F" if fortran is True else "C")


def _uint8_array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    whole = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**31 for n in shape)
    if not whole or not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)):
        raise _Refused("an array that is not of type uint8")
    if order not in ("C", "F") or len(shape) > 8 or math.prod(shape) != len(data):
        raise _Refused(f"an array of shape {shape[:8]} with {len(data)} bytes")
    return np.frombuffer(data, np.uint8).reshape(shape, order=order)


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _ndarray:
        raise _Refused("an array of another class than ndarray")
    return _Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    return _Array(_uint8_array(data, dtype, shape, order))


def _dtype(name: Any, *_: Any) -> _Dtype:
    if name not in ("u1", b"u1", "|u1"):
        raise _Refused(f"dtype {str(name)[:20]!r}")
    return _Dtype()


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise _Refused("an encoding other than latin1")
    return text.encode("latin-1")


def _ndarray(*_: Any) -> Any:
    raise _Refused("a call of ndarray")


_GLOBALS: dict[str, Callable[..., Any]] = {
    "_codecs encode": _encode,
    "numpy ndarray": _ndarray,
    "numpy dtype": _dtype,
    **{f"numpy.{core}.multiarray _reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.numeric _frombuffer": _frombuffer for core in ("core", "_core")},
}

_IGNORED = {"PROTO", "FRAME"}
_PUSH_ARGUMENT = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_PUSH_LATIN1 = {"BINSTRING", "SHORT_BINSTRING"}  # the str of Python 2: bytes
_PUSH_VALUE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT, _GET = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}


class _Machine:
    """The stack, the marks on it, and the memo of values that later opcodes refer to."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack, memo = self.stack, self.memo
        if name in _PUSH_ARGUMENT:
            stack.append(argument)
        elif name in _PUSH_LATIN1:
            stack.append(argument.encode("latin-1"))
        elif name in _PUSH_VALUE:
            stack.append(_PUSH_VALUE[name]())
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in _PUT:
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in _GET:
            stack.append(memo[argument])
        elif name in _SHORT_TUPLES:
            stack.append(tuple(self.pop(_SHORT_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self.pop_to_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = self.pop(1) if name == "APPEND" else self.pop_to_mark()
            _expect(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self.pop(2) if name == "SETITEM" else self.pop_to_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                _expect(stack[-1], dict)[_key(key)] = value
        elif name == "GLOBAL":
            stack.append(_global(argument))
        elif name == "STACK_GLOBAL":
            module, attribute = self.pop(2)
            stack.append(_global(f"{_expect(module, str)} {_expect(attribute, str)}"))
        elif name == "REDUCE":
            function, arguments = self.pop(2)
            if not any(function is known for known in _GLOBALS.values()):
                raise _Refused("a call of something that is no function")
            stack.append(function(*_expect(arguments, tuple)))
        elif name == "BUILD":
            (state,) = self.pop(1)
            _expect(stack[-1], (_Array, _Dtype)).set_state(state)
        elif name not in _IGNORED:
            raise _Refused(f"opcode {name}")

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count + (self.marks[-1] if self.marks else 0):
            raise _Refused("more values than it holds")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


def read_pickled_dict(data: bytes | bytearray, source: Any) -> dict[str, Any]:
    """The dict in ``data``: text keys, and lists, numbers, bytes or uint8 arrays as values.

    Raises:
        DatasetError: not a pickle of such a dict, damaged, or asking for anything but data.
    """
    machine, end = _Machine(), None
    try:
        for opcode, argument, position in pickletools.genops(bytes(data)):
            if opcode.name == "STOP":
                end = position
                break
            machine.step(opcode.name, argument)
        (result,) = machine.stack
        items = _expect(result, dict).items()
    except _Refused as error:
        raise DatasetError(
            f"[datasets] {source} must be a pickled dict of plain data and uint8 arrays: it asks for "
            f"{error}. Nothing was executed; get the file from where it is published."
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"[datasets] {source} is damaged: not a readable pickle ({type(error).__name__}). Get the file again."
        ) from None
    if end != len(data) - 1:
        raise DatasetError(f"[datasets] {source} must end with its pickle: got bytes after it.")
    return {key: value.value if isinstance(value, _Array) else value for key, value in items}


def _expect(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise _Refused(f"an operation on a {type(value).__name__.strip('_')}")
    return value


def _key(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else _expect(value, str)


def _global(name: str) -> Any:
    if name not in _GLOBALS:
        raise _Refused(f"{name[:60]!r}")
    return _GLOBALS[name]
