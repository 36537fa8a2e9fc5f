"""How a model is trained, in Keras's words: the ``compile_config`` of ``config.json`` and the optimizer's state."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import losses, metrics, optimizers
from fastconv.optimizers import Nadam
from fastconv.saving.keras_write import described
from fastconv.saving.malformed import Malformed
from fastconv.schedules import LearningRateSchedule
from fastconv.variables import Variable

__all__ = ["check_optimizer", "read_compile", "read_state", "write_compile", "write_state"]

# Slots in the order in which Keras's optimizers keep them: those of one tuple take turns, variable by variable.
_SLOTS = {
    "SGD": (("velocity",),),
    "Adam": (("m", "v"), ("v_hat",)),
    "AdamW": (("m", "v"), ("v_hat",)),
    "RMSprop": (("velocity",), ("momentum",), ("average_gradient",)),
    "Adagrad": (("accumulator",),),
    "Adafactor": (("row", "column", "velocity"),),
    "Adadelta": (("accumulated_grad", "accumulated_delta_var"),),
    "Adamax": (("momentum", "norm"),),
    "Ftrl": (("accumulator", "linear"),),
    "Lamb": (("momentum", "velocity"),),
    "Lion": (("momentum",),),
    "Muon": (("momentum", "velocity"),),
    "Nadam": (("momentum", "velocity"),),
    "ScheduleFreeAdamW": (("momentum", "velocity"),),
}
_OFF = {"axis": -1, "multi_label": False}  # what changes nothing, and metrics here do not have
_MEANS = ("sum_over_batch_size", "mean", None)


def check_optimizer(op: str, optimizer: Any) -> None:
    """ValueError unless Keras has this optimizer, and its files a place for all that it keeps."""
    kind = type(optimizer).__name__
    if kind not in _SLOTS or not set(optimizer.slots()) <= {name for group in _SLOTS[kind] for name in group}:
        raise ValueError(
            f"[{op}] the optimizer's state must have a place in Keras's files: expected one of {', '.join(_SLOTS)}, got {kind}. "
            "Leave the training out: include_optimizer=False, compile=False."
        )


# Reading.


def read_compile(config: dict[str, Any], output_names: list[str]) -> dict[str, Any]:
    """The arguments of ``model.compile``.

    Raises:
        ValueError, TypeError: for what fastconv does not have.
    """
    loss = _per_output(config.get("loss"), output_names)
    if isinstance(loss, list):
        loss = [_loss(entry) for entry in loss]
    return {
        "optimizer": _optimizer(config.get("optimizer")),
        "loss": loss if isinstance(loss, list) else _loss(loss),
        "metrics": _metrics(config.get("metrics"), output_names),
        "weighted_metrics": _metrics(config.get("weighted_metrics"), output_names),
        "loss_weights": _per_output(config.get("loss_weights"), output_names),
    }


def _metrics(value: Any, output_names: list[str]) -> list[Any]:
    given = _per_output(value, output_names)
    groups = given if isinstance(given, list) else [given]
    if len(output_names) > 1:
        return [[_metric(m) for m in (g if isinstance(g, list) else [g]) if m is not None] for g in groups]
    return [_metric(m) for g in groups for m in (g if isinstance(g, list) else [g]) if m is not None]


def _per_output(value: Any, names: list[str]) -> Any:
    """What was given by the names of the outputs, as a list."""
    if isinstance(value, dict) and "class_name" not in value:
        unknown = sorted(set(value) - set(names))
        if unknown:
            raise ValueError(f"expected outputs {names}, got {str(unknown)[:200]}")
        return [value.get(name) for name in names]
    return value


def _arguments(entry: dict[str, Any], module: str) -> tuple[str, dict[str, Any]]:
    """Class name and arguments of one of Keras's objects; what is None stays out."""
    config, kind = entry.get("config"), entry.get("class_name")
    defined = f"keras.src.{module.removeprefix('keras.')}"
    source = str(entry.get("module"))
    by_backend = source.startswith("keras.src.backend.")  # the optimizers of the PyTorch backend
    if (
        not isinstance(config, dict)
        or not isinstance(kind, str)
        or not (source == module or source.startswith(defined) or by_backend)
    ):
        raise ValueError(f"expected an object of {module}, got {str(entry)[:200]}")
    return kind, {key: value for key, value in config.items() if value is not None}


def _loss(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return None if entry is None else losses.get(entry)
    kind, arguments = _arguments(entry, "keras.losses")
    if arguments.get("reduction") not in _MEANS:
        raise ValueError(f"expected the mean of losses over samples, got reduction={arguments['reduction']!r}")
    return losses.get({"class": kind, "config": arguments})


def _metric(entry: Any) -> Any:
    if not isinstance(entry, dict):
        metrics.get(entry)  # an unknown name is an error
        return entry
    kind, arguments = _arguments(entry, "keras.metrics")
    arguments = {key: value for key, value in arguments.items() if _OFF.get(key, ...) != value}
    return metrics.get({"class_name": kind, "config": arguments | _telling(entry, getattr(metrics, kind, None))})


def _telling(entry: dict[str, Any], known: Any) -> dict[str, None]:
    """Arguments that are None where that is not the default: they say something."""
    parameters = inspect.signature(known).parameters if inspect.isclass(known) else {}
    return {
        key: None
        for key, value in entry["config"].items()
        if value is None and key in parameters and parameters[key].default is not None
    }


def _optimizer(entry: Any) -> Any:
    if isinstance(entry, str):
        return optimizers.get(entry)
    if not isinstance(entry, dict):
        raise ValueError(f"expected an optimizer, got {str(entry)[:200]}")
    kind, arguments = _arguments(entry, "keras.optimizers")
    return optimizers.get({"class_name": kind, "config": arguments | _telling(entry, getattr(optimizers, kind, None))})


def read_state(model: Any, arrays: list[np.ndarray]) -> None:
    """Gives the optimizer of a compiled model the state that Keras saved: step, learning rate, slots.

    Raises:
        Malformed: unless there is exactly what this optimizer keeps for this model.
    """
    optimizer = model.optimizer
    head = 1 if _is_scheduled(optimizer) else 2
    slots = list(_slots(model))
    count = head + len(slots) + len(_tail(optimizer))
    if len(arrays) not in (head, count):  # without slots: compiled, and not yet trained
        raise Malformed(f"optimizer/vars must hold {count} arrays: got {len(arrays)}")
    if any(array.shape != () for array in arrays[:head]) or arrays[0].dtype.kind not in "iu" or arrays[0] < 0:
        raise Malformed("optimizer/vars must begin with the step and the learning rate, one number each")
    checked = []
    for i, (slot, array) in enumerate(zip(slots, arrays[head:], strict=False)):  # the tail follows from the step
        try:
            checked.append((slot, slot.checked(array)))
        except (TypeError, ValueError) as error:
            raise Malformed(f"optimizer/vars/{head + i}: {str(error).removeprefix('[assign] ')}") from None
    try:
        if head == 2:
            optimizer.learning_rate = float(arrays[1])
    except ValueError as error:
        raise Malformed(f"optimizer/vars/1: {error}") from None
    optimizer.steps = int(arrays[0])
    for array, wanted in zip(arrays[count - len(_tail(optimizer)) :], _tail(optimizer), strict=True):
        if array.shape != () or not np.isclose(array, wanted, rtol=1e-3, atol=1e-30):
            raise Malformed(
                f"optimizer/vars/{count - 1} must follow from the step: expected {wanted}, got {str(array)[:80]}"
            )
    for slot, array in checked:
        slot.array[...] = array


# Writing.


def write_compile(model: Any) -> dict[str, Any]:
    """Keras's ``compile_config`` of a compiled model.

    Raises:
        ValueError, TypeError: for a loss, metric or optimizer that Keras does not have.
    """
    entries = [_written_loss(loss) for loss in model._losses]
    plain, weighted = (
        [[_written_metric(m) for m in group] for group in part.config()]
        for part in (model._meters.plain, model._meters.weighted)
    )
    several, weights = len(entries) > 1, list(model._loss_weights)
    check_optimizer("save", model.optimizer)
    optimizer = optimizers.serialize(model.optimizer)
    config = dict(optimizer["config"])
    if isinstance(config["learning_rate"], dict):
        schedule = config["learning_rate"]
        config["learning_rate"] = described("keras.optimizers.schedules", schedule["class_name"], schedule["config"])
    if several:
        plain, weighted = ([*groups, *[[] for _ in entries[len(groups) :]]] for groups in (plain, weighted))
    elif weights != [1.0]:
        raise ValueError(
            f"[save] Keras weighs the losses of several outputs: expected loss_weights=None, got {weights}."
        )
    return {
        "optimizer": described("keras.optimizers", optimizer["class_name"], config),
        "loss": entries if several else entries[0],
        "loss_weights": weights if several else None,
        "metrics": plain if several else plain[0],
        "weighted_metrics": (weighted if several else weighted[0]) if any(weighted) else None,
    }


def _written_loss(loss: Any) -> dict[str, Any] | None:
    if loss is None:
        return None
    entry = losses.serialize(loss)
    config = dict(entry["config"])
    if entry["class"] == "RootMeanSquaredError":
        raise ValueError(
            "[save] Keras has no loss of root mean squares: expected mean_squared_error, got RootMeanSquaredError."
        )
    if config.pop("half", False):
        raise ValueError("[save] Keras has no halved squared error: expected half=False, got half=True.")
    config["reduction"] = "sum_over_batch_size"  # what training does here, whatever the object returns elsewhere
    return described("keras.losses", entry["class"], config)


def _written_metric(entry: Any) -> Any:
    if isinstance(entry, str):
        return entry
    if entry["class_name"] == "InferredAccuracy":
        return "accuracy"
    return described("keras.metrics", entry["class_name"], entry["config"])


def write_state(model: Any) -> list[np.ndarray]:
    """The optimizer's step, learning rate and slots, in the order in which Keras keeps them."""
    optimizer = model.optimizer
    head = [np.array(optimizer.steps, np.int32)]
    if not _is_scheduled(optimizer):
        head.append(np.array(optimizer.learning_rate, np.float32))
    return [*head, *(slot.array for slot in _slots(model)), *_tail(optimizer)]


def _tail(optimizer: Any) -> list[np.ndarray]:
    """What Keras keeps behind the slots, although it follows from the step."""
    return [np.array(optimizer.u_product(optimizer.iterations), np.float32)] if isinstance(optimizer, Nadam) else []


def _is_scheduled(optimizer: Any) -> bool:
    return isinstance(optimizer._learning_rate, LearningRateSchedule)


def _slots(model: Any) -> Iterator[Variable]:
    """The slots of the trainable weights, in Keras's order: moving averages and sums of gradients, then what the rule keeps."""
    optimizer, state = model.optimizer, model._optimizer_state
    kept = [(one.slot,) for one in (optimizer.averaging, optimizer.accumulation) if one is not None]
    for group in (*kept, *_SLOTS[type(optimizer).__name__]):
        for variable in model.trainable_weights:
            names = state.slot_names(variable)
            yield from (state.slot(variable, name) for name in group if name in names)
