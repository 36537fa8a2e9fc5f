"""Initial values of weights: Keras's names, arguments and formulas.

A seed of None draws from ``fastconv.random``, so every call gives other values; an int seed gives the same
values at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _lookup
from fastconv.initializers.base import FunctionInitializer, Initializer
from fastconv.initializers.constants import Constant, Identity, Ones, Zeros
from fastconv.initializers.dirac import Dirac
from fastconv.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from fastconv.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    compute_fans,
)

__all__ = [
    "Constant",
    "Dirac",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "deserialize",
    "get",
    "serialize",
]

# Keras's other names of the same classes.
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling

_ALIASES = {
    "zero": Zeros,
    "one": Ones,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}
_KNOWN = _lookup.table(
    [
        Zeros,
        Ones,
        Constant,
        Dirac,
        Identity,
        RandomNormal,
        TruncatedNormal,
        RandomUniform,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
        Orthogonal,
    ],
    _ALIASES,
)


def get(identifier: Any) -> Any:
    """The initializer that ``identifier`` means.

    Args:
        identifier: a name ("he_normal", "HeNormal"), a config dict, an initializer or its class, a function
            ``f(shape, dtype)``, or None, which stays None.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if the identifier is of another kind.

    Example:
        >>> get("he_normal").get_config()
        {'seed': None}
    """
    if identifier is None or isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, str):
        return _lookup.by_name("initializer", identifier, _KNOWN)()
    if isinstance(identifier, Mapping):
        return _lookup.by_config("initializer", identifier, _KNOWN)
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier) and not isinstance(identifier, type):
        return FunctionInitializer(identifier)
    raise TypeError(
        f"[initializer] cannot make an initializer: expected a name, config, Initializer or function, "
        f"got {identifier!r} ({type(identifier).__name__}). For example: 'glorot_uniform'."
    )


def serialize(initializer: Initializer | None) -> dict[str, Any] | None:
    """``{"class_name": …, "config": …}``, or None of None, which :func:`get` takes back."""
    return None if initializer is None else _lookup.to_config("initializer", initializer, _KNOWN)


deserialize = get
