"""What the numbers of a rule may be: an optimizer lists its own in ``own``, and is checked, configured and saved by that."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from fastconv import _arguments

__all__ = [
    "Check",
    "boolean",
    "count",
    "decay",
    "finite",
    "negative",
    "not_negative",
    "not_positive",
    "optional",
    "pattern",
    "patterns",
    "positive",
    "positive_share",
    "proper_share",
    "share",
]

Check = Callable[[str, str, Any], Any]  # (optimizer, argument, value): the value as a plain Python object, or an error

boolean: Check = _arguments.boolean
finite: Check = _arguments.real
count: Check = partial(_arguments.integer, least=0)
decay: Check = partial(_arguments.real, least=0, below=1)  # of a running mean: 1 would never take anything in
share: Check = partial(_arguments.real, least=0, most=1)
proper_share: Check = partial(_arguments.real, above=0, below=1)
positive_share: Check = partial(_arguments.real, above=0, most=1)
positive: Check = partial(_arguments.real, above=0)
not_negative: Check = partial(_arguments.real, least=0)
negative: Check = partial(_arguments.real, below=0)
not_positive: Check = partial(_arguments.real, most=0)


def optional(check: Check) -> Check:
    """The same, or None."""
    return lambda op, name, value: None if value is None else check(op, name, value)


def patterns(op: str, name: str, value: Any) -> list[str]:
    """A list of regular expressions; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise TypeError(
            f"[{op}] {name} must be a list of regular expressions: expected e.g. ['output'], got {name}={value!r}. Pass strings."
        )
    for one in value:
        pattern(op, name, one)
    return list(value)


def pattern(op: str, name: str, value: str) -> str:
    """A regular expression."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(
            f"[{op}] {name} must be a regular expression: expected e.g. '.*/bias', got {value!r} ({error}). "
            "Escape special characters with a backslash."
        ) from None
    return value
