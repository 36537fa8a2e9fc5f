"""From a name or a config to an object: the part that initializers, metrics, optimizers and schedules share.

A class is found only in the table of known classes that the caller passes, never by importing what a file
names (the hole behind CVE-2025-1550).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from inspect import Parameter, signature
from typing import Any

from fastconv._arguments import unknown_keywords

__all__ = ["by_config", "by_name", "snake_case", "table", "to_config"]


def _normal(name: str) -> str:
    """One spelling for ``GlorotUniform``, ``glorot_uniform`` and ``glorotuniform``."""
    return name.replace("_", "").lower()


def snake_case(kind: str) -> str:
    """Keras's rule for names: Conv2DTranspose -> conv2d_transpose, MaxPooling1D -> max_pooling1d, PReLU -> p_re_lu."""
    return re.sub(r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", kind).lower()


def table(classes: Iterable[type], aliases: Mapping[str, type] | None = None) -> dict[str, type]:
    """Known classes by normalised name."""
    known = {cls.__name__: cls for cls in classes} | dict(aliases or {})
    return {_normal(name): cls for name, cls in known.items()}


def by_name(kind: str, name: str, known: Mapping[str, type]) -> type:
    """The class called ``name`` (CamelCase or snake_case).

    Raises:
        ValueError: if no known class has that name; the message lists the names.
    """
    found = known.get(_normal(name))
    if found is not None:
        return found
    names = sorted({cls.__name__ for cls in known.values()})
    near = difflib.get_close_matches(_normal(name), list(known), n=1)
    hint = f"Did you mean {known[near[0]].__name__!r}?" if near else "Pick one of them."
    raise ValueError(f"[{kind}] unknown {kind}: expected one of {', '.join(names)}, got {kind}={name!r}. {hint}")


def by_config(kind: str, config: Mapping[str, Any], known: Mapping[str, type]) -> Any:
    """The object that ``{"class_name": …, "config": {…}}`` describes; keys that Keras adds are ignored.

    Raises:
        ValueError: if the class is unknown, or a value breaks the class's rules.
        TypeError: if the parts have the wrong types, or the class has no such argument.
    """
    if not isinstance(config, Mapping):
        raise TypeError(
            f"[{kind}] a config must be a dict: expected {{'class_name': str, 'config': dict}}, got {type(config).__name__}. "
            "Use the dict that serialize() returns."
        )
    name, arguments = config.get("class_name"), config.get("config", {})
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise TypeError(
            f"[{kind}] a config must name its class: expected {{'class_name': str, 'config': dict}}, "
            f"got {dict(config)!r}. Use the dict that serialize() returns."
        )
    cls = by_name(kind, name, known)
    _check_names(cls, arguments)
    return cls.from_config(dict(arguments))  # type: ignore[attr-defined]  # all in `known` have it


def _check_names(cls: type, arguments: Mapping[Any, Any]) -> None:
    """TypeError for arguments that a class does not have."""
    # Of a class without __init__ of its own, `inspect` would compile text to tell the signature of object's.
    known = signature(cls).parameters if any("__init__" in vars(base) for base in cls.__mro__[:-1]) else {}
    others = any(p.kind is Parameter.VAR_KEYWORD for p in known.values())  # which the class itself looks at
    unknown = {n: v for n, v in arguments.items() if not isinstance(n, str) or not (others or n in known)}
    unknown_keywords(cls.__name__, unknown, [n for n, p in known.items() if p.kind is not Parameter.VAR_KEYWORD])


def to_config(kind: str, instance: Any, known: Mapping[str, type]) -> dict[str, Any]:
    """``{"class_name": …, "config": …}`` of ``instance``, the inverse of :func:`by_config`.

    Raises:
        TypeError: if ``instance`` is not of a known class: functions and custom classes are never saved.
    """
    if type(instance) not in known.values():
        raise TypeError(
            f"[{kind}] only built-in objects can be saved: expected an instance of a fastconv {kind}, "
            f"got {instance!r}. Pass your own object again when you load the model."
        )
    return {"class_name": type(instance).__name__, "config": instance.get_config()}
