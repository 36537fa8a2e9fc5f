"""Checks of single arguments, so that the same mistake gets the same message everywhere.

Every check returns the value as a plain Python object (so a config that holds it is JSON) or raises with the
message template of the project: ``[op] rule: expected relation, got name=value. How to fix.``
"""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["array", "boolean", "choice", "function", "integer", "items", "path", "real", "text", "unknown_keywords"]


def real(
    op: str,
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """``value`` as a float: finite, ``> above``, ``>= least``, ``< below`` and ``<= most``, where given."""
    relation = _relation(name, above, least, below, most)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"[{op}] {name} must be a number: expected {relation}, got {name}={value!r} "
            f"({type(value).__name__}). Pass an int or a float."
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not _within(number, above, least, below, most):
        raise ValueError(
            f"[{op}] {name} must be finite and in its range: expected {relation}, got {name}={value!r}. "
            f"Pass a number in that range."
        )
    return number


def integer(op: str, name: str, value: Any, *, least: int | None = None, most: int | None = None) -> int:
    """``value`` as an int in ``least <= value <= most``; bool and float are refused."""
    relation = _relation(name, None, least, None, most)
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(
            f"[{op}] {name} must be an int: expected {relation}, got {name}={value!r} "
            f"({type(value).__name__}). Pass a whole number."
        )
    try:
        number = operator.index(value)
    except TypeError:  # an array of several
        raise TypeError(
            f"[{op}] {name} must be one int: expected {relation}, got {type(value).__name__} {name}={value!r}. Pass one "
            "whole number."
        ) from None
    if not _within(number, None, least, None, most):
        raise ValueError(
            f"[{op}] {name} is out of range: expected {relation}, got {name}={number}. "
            f"Pass a whole number in that range."
        )
    return number


def array(op: str, name: str, value: Any) -> np.ndarray:
    """``value`` as an array of numbers or bools: anything of which NumPy makes one."""
    try:
        found = np.asarray(value)
    except Exception as error:  # of the caller's __array__, or NumPy's at ragged lists
        raise TypeError(
            f"[{op}] {name} must be numbers: expected an array or rectangular lists, got {type(value).__name__} ({error}). "
            "Convert it with np.array."
        ) from error
    if found.dtype.kind not in "fiub":
        raise TypeError(
            f"[{op}] {name} must be numbers: expected a float, int or bool array, got {type(value).__name__} of dtype "
            f"{found.dtype}. Encode text and categories first (utils.to_categorical)."
        )
    return found


def items(op: str, name: str, value: Any) -> list[Any]:
    """``value``, a list, a tuple or anything else with an end, as a list; a str is no list."""
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        raise TypeError(
            f"[{op}] {name} must be a list: expected several values, got {name}={value!r} ({type(value).__name__}). "
            "Pass a list or a tuple."
        )
    try:
        return list(value)
    except (TypeError, NotImplementedError) as error:  # an array without axes, a memoryview with several
        raise TypeError(
            f"[{op}] {name} must be a list: expected several values, got {name}={value!r} ({error}). Pass a list or a tuple."
        ) from error


def function(op: str, name: str, value: Any, expected: str) -> Callable[..., Any]:
    """``value``, which can be called; a class is no function."""
    if not callable(value) or isinstance(value, type):
        raise TypeError(
            f"[{op}] {name} must be a function: expected {expected}, got {name}={value!r} ({type(value).__name__}). Pass a function."
        )
    return value


def boolean(op: str, name: str, value: Any) -> bool:
    """``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"[{op}] {name} must be a bool: expected True or False, got {name}={value!r} "
            f"({type(value).__name__}). Pass True or False."
        )
    return bool(value)


def choice(op: str, name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """``value`` if it is one of ``allowed``."""
    options = tuple(allowed)
    listed = ", ".join(map(repr, options))
    if not any(type(value) is type(option) for option in options):
        raise TypeError(
            f"[{op}] {name} has the wrong type: expected one of {listed}, got {name}={value!r} "
            f"({type(value).__name__}). Pick one of them."
        )
    if value not in options:
        raise ValueError(f"[{op}] {name} is unknown: expected one of {listed}, got {name}={value!r}. Pick one of them.")
    return value


def text(op: str, name: str, value: Any) -> str:
    """``value`` as a non-empty str."""
    if not isinstance(value, str):
        raise TypeError(
            f"[{op}] {name} must be a string: expected str, got {name}={value!r} ({type(value).__name__}). "
            f"Pass a string."
        )
    if not value:
        raise ValueError(f"[{op}] {name} must not be empty: expected a string, got {name}=''. Pass a name.")
    return value


def path(op: str, name: str, value: Any) -> str:
    """``value`` (str or ``os.PathLike``) as a non-empty str."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"[{op}] {name} must be a path: expected str or os.PathLike, got {name}={value!r} "
            f"({type(value).__name__}). Pass the name of a file."
        )
    return text(op, name, os.fspath(value))


def _within(number: float, above: float | None, least: float | None, below: float | None, most: float | None) -> bool:
    return (
        (above is None or number > above)
        and (least is None or number >= least)
        and (below is None or number < below)
        and (most is None or number <= most)
    )


def _relation(name: str, above: float | None, least: float | None, below: float | None, most: float | None) -> str:
    """For example ``0 <= momentum <= 1`` or ``learning_rate > 0``."""
    lower = ("<", above) if above is not None else ("<=", least)
    upper = ("<", below) if below is not None else ("<=", most)
    if lower[1] is not None and upper[1] is not None:
        return f"{lower[1]:g} {lower[0]} {name} {upper[0]} {upper[1]:g}"
    if lower[1] is not None:
        return f"{name} {lower[0].replace('<', '>')} {lower[1]:g}"
    if upper[1] is not None:
        return f"{name} {upper[0]} {upper[1]:g}"
    return f"a finite {name}"


def unknown_keywords(where: str, unknown: dict[str, Any], known: Sequence[str]) -> None:
    """TypeError for keywords nobody knows, with the nearest known one."""
    if not unknown:
        return
    from difflib import get_close_matches

    name = next(iter(unknown))
    near = get_close_matches(str(name), known, n=1)
    hint = f", did you mean `{near[0]}`" if near else ""
    raise TypeError(
        f"[{where}] unexpected keyword `{name}`{hint}: expected {'one of ' * bool(known)}{', '.join(known) or 'none'}, got {name}={unknown[name]!r}. "
        "Check its spelling."
    )
