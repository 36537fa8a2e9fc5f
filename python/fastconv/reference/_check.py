"""The reference's own checks: every argument is judged here before any arithmetic meets it.

Order within a call: kind, rank, dtype, extents of arrays; then numbers; then rules across arrays; then size.
    So a
message is about the first real mistake. All messages follow
``[op] rule in words: expected relation, got name=value. How to fix.``
"""

from __future__ import annotations

import functools
import math
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

MAX_INT = 2**31 - 1

# Why a number that does not fit is refused, in the words of the argument it was given for.
_OVERFLOWS = {"dilation": "the effective kernel would overflow"}


def fail(error: type[Exception], op: str, rule: str, expected: str, got: str, fix: str) -> NoReturn:
    """Raise ``error`` with the message template of the project."""
    raise error(f"[{op}] {rule}: expected {expected}, got {got}. {fix}")


def quiet(function: F) -> F:
    """Run ``function`` without floating-point warnings: NaN and infinity are answers here, not accidents."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]  # it has the signature of `function`


def cast(value: Any, dtype: np.dtype) -> np.ndarray:
    """``value`` as a fresh, C-contiguous array of ``dtype``; it never shares memory with an input."""
    return np.array(value, dtype=dtype, order="C")


# --- arrays -------------------------------------------------------------------------------------------------


def ndarray(op: str, name: str, x: Any) -> None:
    """Refuse everything that is not a plain NumPy array of simple elements."""
    if not isinstance(x, np.ndarray) or isinstance(x, (np.matrix, np.ma.MaskedArray)):
        kind = type(x).__name__
        fail(
            TypeError,
            op,
            f"{name} must be a NumPy array",
            "np.ndarray",
            f"{name} of type {kind}",
            "Pass np.asarray(...).",
        )


def arrays(op: str, /, **named: tuple[Any, Sequence[str] | None]) -> np.dtype:
    """Check floating-point arrays together; return the dtype (float32 or float64, native) that they share.

    Each keyword is ``name=(array, axes)``: ``axes`` names the axes and so fixes the rank, or is None for any
    rank. An axis called "batch", or the first of an array of any rank, may have extent 0; every other extent
    is at least 1.
    """
    dtype = maybe_empty(op, **named)
    for name, (x, axes) in named.items():
        for i, extent in enumerate(x.shape):
            axis = axes[i] if axes is not None else ("batch" if i == 0 else f"axis {i}")
            if extent == 0 and axis != "batch":
                got = f"0, {name}.shape={x.shape}"
                fail(
                    ValueError,
                    op,
                    f"{name} has no {axis}",
                    f"{name} {axis} >= 1",
                    got,
                    "Only the batch may be empty.",
                )
    return dtype


def maybe_empty(op: str, /, **named: tuple[Any, Sequence[str] | None]) -> np.dtype:
    """As :func:`arrays`, but every axis may be empty."""
    for name, (x, _) in named.items():
        ndarray(op, name, x)
        if x.dtype.kind not in "biufc":
            _bad_dtype(op, name, x)
    for name, (x, axes) in named.items():
        if axes is not None and x.ndim != len(axes):
            rule = f"{name} must have {len(axes)} dims ({', '.join(axes)})"
            got = f"{x.ndim} dims, {name}.shape={x.shape}"
            fail(ValueError, op, rule, f"{len(axes)} dims", got, f"Reshape {name}.")
    for name, (x, _) in named.items():
        if x.dtype.type not in (np.float32, np.float64):
            _bad_dtype(op, name, x)
    first, (x0, _) = next(iter(named.items()))
    for name, (x, _) in named.items():
        if x.dtype.type is not x0.dtype.type:
            got = f"{first}.dtype={x0.dtype}, {name}.dtype={x.dtype}"
            fail(
                TypeError,
                op,
                "arrays must share one dtype",
                f"{name} dtype {x0.dtype}",
                got,
                "Convert one with .astype().",
            )
    return np.dtype(x0.dtype.type)


def _bad_dtype(op: str, name: str, x: np.ndarray) -> NoReturn:
    rule = f"{name} dtype {x.dtype} is not supported"
    fail(
        TypeError,
        op,
        rule,
        "float32 or float64",
        f"{name}.dtype={x.dtype}",
        f"Use {name}.astype(np.float32).",
    )


def shape(op: str, name: str, x: np.ndarray, expected: tuple[int, ...], why: str) -> None:
    """``x`` must have exactly this shape; nothing broadcasts by accident."""
    if x.shape != expected:
        got = f"{x.shape} ({name}.shape)"
        fail(
            ValueError,
            op,
            f"{name} must match {why}",
            f"{name} shape {expected}",
            got,
            f"Reshape or recompute {name}.",
        )


def channels(op: str, x: np.ndarray, **vectors: np.ndarray) -> None:
    """Every vector holds one number per channel (last axis) of ``x``."""
    for name, vector in vectors.items():
        shape(op, name, vector, (x.shape[-1],), f"the last axis of x, x.shape={x.shape}")


# --- numbers ------------------------------------------------------------------------------------------------


def integer(op: str, name: str, value: Any, low: int | None = 0, given: Any = None, high: int = MAX_INT) -> int:
    """An int, or anything with ``__index__``, in ``[low, high]``; bool and float are refused."""
    given = value if given is None else given
    number = None
    if not isinstance(value, (bool, np.bool_)):
        try:
            number = operator.index(value)
        except TypeError:  # arrays of several elements have __index__ but refuse it
            number = None
    if number is None:
        kind = type(value).__name__
        fail(
            TypeError,
            op,
            f"{name} must be an int",
            "int",
            f"{kind} in {name}={given!r}",
            "Pass a whole number.",
        )
    if low is not None and number < low:
        rule = f"{name} must be at least {low}"
        fail(ValueError, op, rule, f"{name} >= {low}", f"{name}={given}", f"Use {low} or more.")
    if number > high:
        why = _OVERFLOWS.get(name, "sizes would overflow")
        fail(
            ValueError,
            op,
            f"{name} is too large, {why}",
            f"{name} <= {high}",
            f"{name}={given}",
            "Use a smaller one.",
        )
    return number


def sequence(op: str, name: str, value: Any, length: int, of: str = "ints") -> tuple:
    """A tuple, list or 1-d array of ``length`` items."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (tuple, list)):
        kind = type(value).__name__
        fail(
            TypeError,
            op,
            f"{name} must be a sequence of {of}",
            f"{length} {of}",
            f"{kind} {name}={value!r}",
            "Pass a tuple.",
        )
    if len(value) != length:
        got = f"{len(value)}, {name}={value!r}"
        fail(ValueError, op, f"{name} must have {length} {of}", f"{length} {of}", got, f"Pass {length}.")
    return tuple(value)


def pair(op: str, name: str, value: Any, low: int) -> tuple[int, int]:
    """``(rows, columns)`` from one int for both or from a sequence of two."""
    if not isinstance(value, (tuple, list)) and np.ndim(value) == 0:
        number = integer(op, name, value, low)
        return number, number
    rows, cols = (integer(op, name, item, low, given=value) for item in sequence(op, name, value, 2))
    return rows, cols


def real(op: str, name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in ``[low, high]``; bool, strings and arrays are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        kind = type(value).__name__
        fail(TypeError, op, f"{name} must be a number", "float", f"{kind} {name}={value!r}", "Pass a float.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high:
        rule = f"{name} must be finite and in its range"
        fail(
            ValueError,
            op,
            rule,
            f"{low} <= {name} <= {high}",
            f"{name}={value}",
            "Use a number in that range.",
        )
    return number


def positive(op: str, name: str, value: Any) -> float:
    """A finite number above zero."""
    number = real(op, name, value)
    if number <= 0:
        fail(
            ValueError,
            op,
            f"{name} must be positive",
            f"{name} > 0",
            f"{name}={value}",
            "Use a small positive number.",
        )
    return number


def flag(op: str, name: str, value: Any) -> bool:
    """A bool and nothing that merely looks true."""
    if not isinstance(value, (bool, np.bool_)):
        kind = type(value).__name__
        fail(
            TypeError,
            op,
            f"{name} must be a bool",
            "True or False",
            f"{kind} {name}={value!r}",
            "Pass True or False.",
        )
    return bool(value)


def choice(op: str, name: str, value: Any, options: Sequence[str]) -> str:
    """One of a fixed set of lower-case names."""
    listed = ", ".join(repr(option) for option in options)
    if not isinstance(value, str):
        kind = type(value).__name__
        fail(
            TypeError,
            op,
            f"{name} must be a name",
            f"one of {listed}",
            f"{kind} {name}={value!r}",
            "Pass a str.",
        )
    if value not in options:
        fail(
            ValueError,
            op,
            f"{name} is unknown",
            f"one of {listed}",
            f"{name}={value!r}",
            "Names are lower-case.",
        )
    return value


def needs(op: str, wanted: Any, can: Sequence[bool]) -> tuple[bool, ...]:
    """Which gradients to compute: those asked for (default: all) among those that exist."""
    if wanted is None:
        return tuple(can)
    asked = sequence(op, "needs", wanted, len(can), "bools")
    return tuple(flag(op, "needs", ask) and able for ask, able in zip(asked, can, strict=True))
