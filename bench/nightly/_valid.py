"""Calls that are right, for a fuzzer to spoil: what is called, with what, and how its answer can be checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Rng = np.random.Generator
Check = Callable[[Any, "Call"], bool]


@dataclass
class Call:
    """``function(*arguments, **keywords)``.

    ``check`` looks at a result: True if it could be compared with something and agrees, False if there was nothing to
    compare it with, AssertionError if it differs. ``after`` runs whatever the outcome was. ``twin`` has to refuse what is refused.
    """

    name: str
    function: Callable[..., Any]
    arguments: list[Any] = field(default_factory=list)
    keywords: dict[str, Any] = field(default_factory=dict)
    check: Check | None = None
    after: Callable[[], None] | None = None
    twin: Callable[..., Any] | None = None  # the reference's
    huge: bool = False  # whether arrays that no machine holds may be tried
    spoilt: bool = False


def pick(rng: Rng, options: Any) -> Any:
    """One of a sequence."""
    return options[int(rng.integers(len(options)))]


def f32(rng: Rng, *shape: int) -> np.ndarray:
    """Random numbers in [-2, 2)."""
    return rng.uniform(-2, 2, shape).astype(np.float32)
