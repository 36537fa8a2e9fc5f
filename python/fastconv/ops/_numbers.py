"""Turns what a caller may write for a number (3, (1, 2), "same") into what a spec takes. Kinds only: the rules on the
numbers themselves are the C++ spec's business."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

_INT64 = 2**63


def as_int(op: str, name: str, value: Any) -> int:
    """An int, from anything with ``__index__`` but bool."""
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


def as_padding(op: str, value: Any) -> str | tuple[tuple[int, int], tuple[int, int]]:
    """A mode by name, or ``((top, bottom), (left, right))`` from an int, two ints or two pairs."""
    if isinstance(value, str):
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2 and any(isinstance(v, (tuple, list)) for v in value):
        top_bottom, left_right = value
        return as_pair(op, "padding", top_bottom), as_pair(op, "padding", left_right)
    height, width = as_pair(op, "padding", value)
    return (height, height), (width, width)


def as_bool(op: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"[{op}] {name} must be True or False: expected bool, got {name}={value!r} ({type(value).__name__})."
        )
    return bool(value)


def as_float(op: str, name: str, value: Any) -> float:
    """A finite float from a real number (bool, str and arrays are refused)."""
    if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) != 0 or not hasattr(value, "__float__"):
        raise TypeError(
            f"[{op}] {name} must be a number: expected float, got {name}={value!r} ({type(value).__name__})."
        )
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"[{op}] {name} must be finite: expected a finite number, got {name}={number}.")
    return number
