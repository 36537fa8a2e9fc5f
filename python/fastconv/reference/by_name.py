"""Activations by name, with their default parameters, for ``conv2d(…, activation="relu")`` and ``dense``."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _check, activation
from .softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

_FUNCTIONS = {
    name: getattr(activation, name)
    for name in activation.__all__
    if name not in ("prelu", "prelu_backward")  # has a weight of its own
}
_FUNCTIONS |= {f.__name__: f for f in (softmax, softmax_backward, log_softmax, log_softmax_backward)}
NAMES = tuple(name for name in _FUNCTIONS if not name.endswith("_backward"))


def check_name(op: str, name: Any) -> None:
    """Refuse what is neither None, "linear" nor the name of an activation."""
    if name is not None:
        _check.choice(op, "activation", name, ("linear", *NAMES))


def activate(z: np.ndarray, name: str | None) -> np.ndarray:
    """The named activation of a float64 array."""
    return z if name in (None, "linear") else _FUNCTIONS[name](z)


def activate_backward(dy: np.ndarray, z: np.ndarray, name: str | None) -> np.ndarray:
    """``dy`` times the derivative of the named activation at ``z``."""
    return dy if name in (None, "linear") else _FUNCTIONS[f"{name}_backward"](dy, z)[0]
