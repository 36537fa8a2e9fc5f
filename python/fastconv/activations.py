"""Activation functions by Keras's names: of arrays, of a plan's values, and for ``activation=`` of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastconv.layers import activations as _known
from fastconv.layers.functions import (
    celu,
    glu,
    hard_shrink,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    soft_shrink,
    softmax,
    sparse_sigmoid,
    sparsemax,
    tanh_shrink,
    threshold,
)
from fastconv.ops import (
    elu,
    exponential,
    gelu,
    hard_sigmoid,
    leaky_relu,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    sparse_plus,
    squareplus,
    tanh,
)
from fastconv.ops import hard_swish as hard_silu

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

hard_swish, swish = hard_silu, silu


def linear(x: Any) -> Any:
    """``x``."""
    return x


def get(identifier: Any) -> Callable[[Any], Any]:
    """The function of a name; None is "linear", and a function itself.

    Raises:
        ValueError: for an unknown name. TypeError: for what is neither.
    """
    return _known.get("activations", identifier) or linear


def serialize(activation: Any) -> str:
    """The name of one of these functions; ValueError for others."""
    return "linear" if activation is linear else _known.config_of("activations", activation) or "linear"


deserialize = get
