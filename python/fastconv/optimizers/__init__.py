"""Optimizers: Keras's names, arguments, defaults and update rules.

An optimizer only declares its rule: the name of a kernel, the arrays kept per variable, eight numbers per
step. The arithmetic is the kernel's, called from a compiled plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import _lookup
from fastconv.optimizers import schedules
from fastconv.optimizers.adadelta import Adadelta
from fastconv.optimizers.adafactor import Adafactor
from fastconv.optimizers.adagrad import Adagrad
from fastconv.optimizers.adam import Adam, AdamW
from fastconv.optimizers.adamax import Adamax
from fastconv.optimizers.base import Optimizer
from fastconv.optimizers.ftrl import Ftrl
from fastconv.optimizers.lamb import Lamb
from fastconv.optimizers.lion import Lion
from fastconv.optimizers.lookahead import Lookahead
from fastconv.optimizers.loss_scale import LossScaleOptimizer
from fastconv.optimizers.multi import MultiOptimizer, OptimizerMap
from fastconv.optimizers.muon import Muon
from fastconv.optimizers.nadam import Nadam
from fastconv.optimizers.rmsprop import RMSprop
from fastconv.optimizers.schedule_free import ScheduleFreeAdamW
from fastconv.optimizers.sgd import SGD, TorchSGD
from fastconv.optimizers.wrapper import Wrapper

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Lookahead",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "TorchSGD",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_RULES = (
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RMSprop,
    SGD,
    ScheduleFreeAdamW,
    TorchSGD,
)
_KNOWN = _lookup.table([*_RULES, MultiOptimizer, Lookahead, LossScaleOptimizer])


def get(identifier: Any) -> Optimizer:
    """The optimizer that ``identifier`` means.

    Args:
        identifier: a name ("adam", "RMSprop"), a config dict, an optimizer or its class.

    Raises:
        ValueError: if the name is unknown.
        TypeError: if the identifier is of another kind.

    Example:
        >>> get("sgd").learning_rate
        0.01
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        identifier = _lookup.by_name("optimizer", identifier, _KNOWN)
    if isinstance(identifier, Mapping):
        return _lookup.by_config("optimizer", identifier, _KNOWN)
    if isinstance(identifier, type) and issubclass(identifier, Wrapper):
        raise TypeError(
            f"[optimizer] {identifier.__name__} is made of other optimizers: expected an object, got its name or class. Make "
            f"it with them: {identifier.__name__}(...)."
        )
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]  # all but the abstract class have defaults
    raise TypeError(
        f"[optimizer] cannot make an optimizer: expected a name, config or Optimizer, "
        f"got {identifier!r} ({type(identifier).__name__}). For example: 'adam' or Adam(0.001)."
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """``{"class_name": …, "config": …}``, which :func:`get` takes back."""
    return _lookup.to_config("optimizer", optimizer, _KNOWN)


deserialize = get
