"""Turns what a caller may write for a number (3, (1, 2), "same") into what a spec takes. Kinds only: the rules on the
numbers themselves are the C++ spec's business."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

_INT64 = 2**63
_MAX_WINDOW_NUMBER = 2**31 - 1  # as csrc/core/window.h has it
_MODES = ("valid", "same", "same_lower")


def as_int(op: str, name: str, value: Any) -> int:
    """An int, from anything with ``__index__`` but bool."""
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(
            f"[{op}] {name} must be an int: expected int, got {name}={value!r} ({type(value).__name__}). "
            "Pass a whole number."
        )
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"[{op}] {name} must be an int: expected int, got an array ({type(value).__name__}). Pass one whole number."
        ) from None
    if not -_INT64 <= number < _INT64:
        raise ValueError(
            f"[{op}] {name} is too large and its sizes would overflow: expected {name} < 2**31, got {name}={number}. "
            "Use a smaller number."
        )
    return number


def as_pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """``(height, width)`` from an int or two ints."""
    if not isinstance(value, (tuple, list)):
        number = as_int(op, name, value)
        return number, number
    if len(value) != 2:
        raise ValueError(
            f"[{op}] {name} must be an int or 2 ints (height, width): expected 2 ints, got {len(value)} ({name}={value!r}). "
            "Give one number per axis."
        )
    return as_int(op, name, value[0]), as_int(op, name, value[1])


def as_triple(op: str, name: str, value: Any) -> tuple[int, int, int]:
    """``(depth, height, width)`` from an int or three ints."""
    if not isinstance(value, (tuple, list)):
        return (as_int(op, name, value),) * 3
    if len(value) != 3:
        raise ValueError(
            f"[{op}] {name} must be an int or 3 ints (depth, height, width): expected 3 ints, got {len(value)} "
            f"({name}={value!r}). Give one number per axis."
        )
    depth, height, width = (as_int(op, name, v) for v in value)
    return depth, height, width


def as_triple_pads(op: str, value: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(before, after) along depth, height and width from an int, three ints or three pairs."""
    sides = value if isinstance(value, (tuple, list)) else (value,) * 3
    if len(sides) != 3:
        raise ValueError(
            f"[{op}] padding must be an int, 3 ints or 3 pairs (depth, height, width): expected 3, got {len(sides)} "
            f"(padding={value!r}). Give one per axis."
        )
    depth, height, width = (as_pair(op, "padding", side) for side in sides)
    return depth, height, width


def as_padding(op: str, value: Any) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """A mode by name, or ``((top, bottom), (left, right))`` from an int, two ints or two pairs."""
    if isinstance(value, str):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2 and any(isinstance(v, (tuple, list)) for v in value):
        top_bottom, left_right = value
        return as_pair(op, "padding", top_bottom), as_pair(op, "padding", left_right)
    height, width = as_pair(op, "padding", value)
    return (height, height), (width, width)


def as_count(op: str, name: str, value: Any) -> int:
    """An int >= 1, for a layer that has no spec yet to judge it."""
    number = as_int(op, name, value)
    _check_bounds(op, name, (number,), 1, value)
    return number


def as_counts(op: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """``(height, width)``, both >= ``least``, for a layer that has no spec yet to judge them."""
    pair = as_pair(op, name, value)
    _check_bounds(op, name, pair, least, value)
    return pair


def as_layer_padding(op: str, value: Any) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """:func:`as_padding` with a known mode or numbers >= 0, for a layer that has no spec yet to judge them."""
    padding = as_padding(op, value)
    if not isinstance(padding, str):
        _check_bounds(op, "padding", (*padding[0], *padding[1]), 0, value)
    elif padding not in _MODES:
        raise ValueError(
            f"[{op}] padding is not known: expected numbers or one of {', '.join(_MODES)} (lower case), got "
            f"padding={value!r}. Use one of these."
        )
    return padding


def _check_bounds(op: str, name: str, bounded: tuple[int, ...], least: int, given: Any) -> None:
    if min(bounded) < least:
        raise ValueError(
            f"[{op}] {name} must be at least {least}: expected {name} >= {least}, got {name}={given}. Use {least} or more."
        )
    if max(bounded) > _MAX_WINDOW_NUMBER:
        raise ValueError(
            f"[{op}] {name} is too large: expected {name} <= {_MAX_WINDOW_NUMBER}, got {name}={given}. Use a smaller number."
        )


def as_bool(op: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"[{op}] {name} must be True or False: expected bool, got {name}={value!r} ({type(value).__name__}). "
            "Pass one of them."
        )
    return bool(value)


def as_float(op: str, name: str, value: Any) -> float:
    """A finite float from a real number (bool, str and arrays are refused)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"[{op}] {name} must be a number: expected float, got {name}={value!r} ({type(value).__name__}). "
            "Pass an int or a float."
        )
    try:
        number = float(value)
    except OverflowError:  # an int beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(
            f"[{op}] {name} must be finite: expected a finite number, got {name}={number}. Use another one."
        )
    return number


def as_float_in(op: str, name: str, value: Any, least: float, most: float) -> float:
    """A float in [least, most]."""
    number = as_float(op, name, value)
    if not least <= number <= most:
        raise ValueError(
            f"[{op}] {name} is out of range: expected {least:g} <= {name} <= {most:g}, got {name}={number}. "
            "Use a number in that range."
        )
    return number


def as_positive(op: str, name: str, value: Any) -> float:
    """A float > 0."""
    number = as_float(op, name, value)
    if number <= 0:
        raise ValueError(
            f"[{op}] {name} must be positive: expected {name} > 0, got {name}={number}. Use a larger number."
        )
    return number


def as_one_of(op: str, name: str, value: Any, known: tuple[str, ...]) -> str:
    """``value``, one of a few words."""
    if not isinstance(value, str) or value not in known:
        raise (ValueError if isinstance(value, str) else TypeError)(
            f"[{op}] {name} is not known: expected one of {', '.join(known)}, got {name}={value!r}. Use one of these."
        )
    return value


def as_range(op: str, name: str, value: Any) -> tuple[float, float]:
    """Two numbers."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(
            f"[{op}] {name} must be a pair of numbers: expected (first, last), got {name}={value!r}. Pass both."
        )
    first, last = (as_float(op, name, v) for v in value)
    return first, last
