"""What a layer is told about its weights: regularizers and constraints, arguments that all layers declare alike.

A layer class names, in ``ruled_weights``, the weights that have such arguments; where these begin otherwise, with it:

    class SimpleRNN(Layer):
        ruled_weights = ("kernel", ("recurrent", "recurrent_kernel"), "bias")

gives it ``kernel_regularizer``, ``recurrent_constraint`` and so on: as keywords, as attributes, in ``get_config()``, and in
``add_weight(…, name="recurrent_kernel")``, which finds them by the weight's name. Nothing else is to be written.
"""

from __future__ import annotations

from typing import Any

from fastconv import constraints, regularizers

__all__ = ["Ruled", "WeightRules", "rule_keywords"]

Ruled = tuple[str | tuple[str, str], ...]

_KINDS: dict[str, Any] = {"regularizer": regularizers, "constraint": constraints}


def _pairs(ruled_weights: Ruled) -> list[tuple[str, str]]:
    """``(prefix of the arguments, name of the weight)``."""
    return [(entry, entry) if isinstance(entry, str) else entry for entry in ruled_weights]


def rule_keywords(ruled_weights: Ruled) -> list[str]:
    """The arguments that a layer class has for its weights, in Keras's order: regularizers first."""
    return [f"{prefix}_{kind}" for kind in _KINDS for prefix, _ in _pairs(ruled_weights)]


class WeightRules:
    """The rules of one layer.

    Args:
        ruled_weights: see above.
        keywords: the layer's; those that belong here are taken out.

    Attributes:
        given: objects or None by argument.
    """

    def __init__(self, ruled_weights: Ruled, keywords: dict[str, Any]) -> None:
        self.given = {
            name: _KINDS[name.rpartition("_")[2]].get(keywords.pop(name, None)) for name in rule_keywords(ruled_weights)
        }
        self._prefixes = {weight: prefix for prefix, weight in _pairs(ruled_weights)}

    def of(self, weight: str, kind: str) -> Any:
        """The regularizer or constraint of the weight of this name, or None."""
        return self.given.get(f"{self._prefixes.get(weight)}_{kind}")

    def config(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            name: None if rule is None else _KINDS[name.rpartition("_")[2]].serialize(rule)
            for name, rule in self.given.items()
        }
