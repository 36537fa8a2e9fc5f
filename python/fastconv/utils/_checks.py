"""Argument checks shared by ``utils`` and ``datasets``: each raises one error in the project's template."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np

from .. import random

__all__ = ["as_array", "as_int", "as_real", "as_rng", "same_rows"]


def as_int(op: str, name: str, value: Any, low: int | None = None) -> int:
    """``value`` as an int that is at least ``low``; bool and float are refused."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(
            f"[{op}] {name} must be a whole number: expected int, got {name}={value!r} "
            f"({type(value).__name__}). Pass an int."
        )
    try:
        number = operator.index(value)
    except TypeError:  # an array has __index__ too, but only one that holds a single integer honours it
        raise TypeError(
            f"[{op}] {name} must be a whole number: expected int, got {type(value).__name__}. Pass an int."
        ) from None
    if low is not None and number < low:
        raise ValueError(f"[{op}] {name} is too small: expected {name} >= {low}, got {name}={number}. Raise it.")
    return number


def as_real(op: str, name: str, value: Any) -> float:
    """``value`` as a finite float; bool, str and arrays are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"[{op}] {name} must be a number: expected float, got {type(value).__name__}. Pass a float.")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"[{op}] {name} must be finite: got {name}={number}. Pass a finite number.")
    return number


def as_array(op: str, name: str, value: Any, kinds: str = "biuf", words: str = "numbers") -> np.ndarray:
    """``value`` (array, list or tuple) as an ndarray of a dtype kind in ``kinds``, which ``words`` names."""
    if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise TypeError(
            f"[{op}] {name} must be an array: expected ndarray or list, got {type(value).__name__}. "
            f"Convert it with np.asarray."
        )
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:  # a ragged list, or an int beyond every dtype
        raise ValueError(f"[{op}] {name} must form a regular array: {error}. Give every row one length.") from None
    except Exception as error:  # of the caller's own __array__
        raise TypeError(
            f"[{op}] {name} must be an array: expected ndarray or list, got {type(value).__name__} ({error}). Convert it with "
            "np.array."
        ) from error
    if array.dtype.kind not in kinds and array.size:  # what is empty holds nothing of a wrong kind
        raise TypeError(
            f"[{op}] {name} must hold {words}: got dtype={array.dtype}, shape={array.shape}. Convert it with astype."
        )
    return array


def as_rng(op: str, seed: Any) -> np.random.Generator:
    """The generator of ``seed``; None takes the next seed of fastconv.random's global stream."""
    return random.generator(None if seed is None else as_int(op, "seed", seed))


def same_rows(op: str, x: np.ndarray, y: np.ndarray, x_name: str = "x", y_name: str = "y") -> None:
    """Raise unless both arrays have rows, and equally many."""
    for name, array in ((x_name, x), (y_name, y)):
        if array.ndim == 0:
            raise ValueError(f"[{op}] {name} must have rows: expected at least 1 dimension, got {name}.shape=().")
    if len(x) != len(y):
        raise ValueError(
            f"[{op}] {x_name} and {y_name} must have equally many rows: got {len(x)} rows in {x_name} "
            f"(shape {x.shape}), {len(y)} in {y_name} (shape {y.shape}). Pair every sample with one label."
        )
