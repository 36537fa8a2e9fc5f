"""One optimizer for some weights, another for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NoReturn

from fastconv.optimizers.arguments import pattern
from fastconv.optimizers.base import SCALES, Optimizer
from fastconv.optimizers.wrapper import Wrapper, optimizer_from, serialized

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(MutableMapping[str, Optimizer]):
    """Says by a weight's path, e.g. "conv2d/kernel", which optimizer changes it. Keras's class of this name.

    Args:
        default_optimizer: for weights that no key fits.
        optimizer_map: by path, or by a regular expression that fits a whole path: ``".*/beta"``.

    Raises:
        ValueError: if a path is looked up that two expressions fit, or a key is set twice.
        TypeError: for other kinds of keys, and for optimizers made of others.

    Example:
        >>> from fastconv import optimizers
        >>> rates = OptimizerMap(optimizers.SGD(0.1), {".*/bias": optimizers.SGD(0.2)})
        >>> rates["dense/bias"].learning_rate, rates["dense/kernel"].learning_rate
        (0.2, 0.1)
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Mapping[str, Any] | None = None):
        self.default_optimizer = _part("default_optimizer", default_optimizer)
        self._map: dict[str, Optimizer] = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    def __getitem__(self, path: str) -> Optimizer:
        if path in self._map:
            return self._map[path]
        fitting = [key for key in self._map if re.fullmatch(key, path)]
        if len(fitting) > 1:
            raise ValueError(
                f"[OptimizerMap] a weight must have one optimizer: expected one key that fits {path!r}, got {fitting}. "
                "Make the expressions exclude each other."
            )
        return self._map[fitting[0]] if fitting else self.default_optimizer

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(
                f"[OptimizerMap] a key must be a path or an expression: expected str, got {key!r} ({type(key).__name__}). "
                "For example '.*/bias'."
            )
        pattern("OptimizerMap", "a key", key)
        if key in self._map:
            raise ValueError(
                f"[OptimizerMap] a key can be set once: expected a new one, got {key!r} again. Delete the old one first."
            )
        self._map[key] = _part(f"optimizer_map[{key!r}]", optimizer)

    def __delitem__(self, key: str) -> None:
        del self._map[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._map)

    def __len__(self) -> int:
        return len(self._map)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON types."""
        return {
            "default_optimizer": serialized(self.default_optimizer),
            "optimizer_map": {key: serialized(optimizer) for key, optimizer in self._map.items()},
        }


class MultiOptimizer(Wrapper):
    """Changes each weight by the optimizer that a map gives: learning rates, weight decay or rules of their own for parts
    of a model. Keras's class of this name.

    A step is one kernel call per optimizer, not per weight, if the model is compiled before its first use: weights that
    one optimizer changes then lie side by side.

    Args:
        optimizer_map: an :class:`OptimizerMap`.
        loss_scale_factor: as of every :class:`Optimizer`; the optimizers inside have none.
        name: of the optimizer.

    Example:
        >>> from fastconv import optimizers
        >>> rates = OptimizerMap(optimizers.SGD(0.1), {".*/beta": optimizers.SGD(6.4)})
        >>> MultiOptimizer(rates).part_for("batch_normalization/beta").learning_rate
        6.4
    """

    default_name = "multi_optimizer"

    def __init__(
        self,
        optimizer_map: OptimizerMap | Mapping[str, Any],
        loss_scale_factor: float | None = None,
        name: str | None = None,
        **other: Any,
    ):
        super().__init__(name)
        self.loss_scale_factor = self._optional("loss_scale_factor", loss_scale_factor, **SCALES)
        self.optimizer_map = _as_map(optimizer_map)
        self._refuse(other)

    @property
    def optimizers(self) -> list[Optimizer]:
        return list(dict.fromkeys([self.optimizer_map.default_optimizer, *self.optimizer_map.values()]))

    @property
    def learning_rate(self) -> NoReturn:  # type: ignore[override]  # other optimizers have one
        """Of the optimizers inside; there is none for all.

        Raises:
            AttributeError: always.
        """
        raise self._no_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise self._no_rate()

    def part_for(self, path: str) -> Optimizer:
        return self.optimizer_map[path]

    def get_config(self) -> dict[str, Any]:
        return {
            "optimizer_map": {"class_name": "OptimizerMap", "config": self.optimizer_map.get_config()},
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    def _no_rate(self) -> AttributeError:
        return AttributeError(
            "[MultiOptimizer] there is no learning rate for all weights: expected that of one of the optimizers inside, got "
            "learning_rate. Use .optimizers[i].learning_rate."
        )


def _as_map(value: Any) -> OptimizerMap:
    if isinstance(value, OptimizerMap):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):  # what get_config gives
        return OptimizerMap(**value["config"])
    raise TypeError(
        f"[MultiOptimizer] optimizer_map must say which optimizer changes a weight: expected an OptimizerMap, got "
        f"{type(value).__name__}. Use OptimizerMap(default_optimizer, {{'.*/bias': other}})."
    )


def _part(name: str, value: Any) -> Optimizer:
    optimizer = optimizer_from(value)
    if isinstance(optimizer, Wrapper):
        raise TypeError(
            f"[OptimizerMap] {name} must have a rule of its own: expected e.g. SGD, got {type(optimizer).__name__}. "
            "Put it around the MultiOptimizer instead."
        )
    return optimizer
