"""Everything that a training changes, to come back to it: weights, the optimizer's state, its rate, random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv import random
from fastconv.errors import CheckpointError
from fastconv.models import plans
from fastconv.saving.archive import Archive
from fastconv.saving.model_file import BAD_CONFIG, assign_weights, own_names, slot_arrays
from fastconv.schedules import LearningRateSchedule

__all__ = ["going_on", "restore", "snapshot"]

_ARRAY = "array"  # {"array": NAME} stands for an array


def snapshot(model: Any, **progress: Any) -> Archive:
    """A copy of what training changes in a built and compiled model. The model itself is not described.

    Args:
        model: built and compiled.
        progress: whatever else is to be remembered, of JSON types and arrays.
    """
    optimizer = model.optimizer
    arrays: dict[str, np.ndarray] = {}
    described = _without_arrays(progress, "", arrays)
    with _in_their_places(model):
        return Archive(
            config={},
            weights={name: variable.numpy() for name, variable in model.weights_by_path().items()},
            optimizer={
                "class_name": type(optimizer).__name__,
                "rates": [_rate(part) for part in _parts(optimizer)],
                "state": optimizer.state(),
            },
            slots={name: array.copy() for name, array in slot_arrays(model).items()},
            progress={**described, "random": list(random.get_state())},
            arrays=arrays,
        )


@contextmanager
def going_on(archive: Archive) -> Iterator[dict[str, Any]]:
    """The ``progress`` that :func:`snapshot` was given, and ``"random"``, for a block that makes use of it.

    Raises:
        CheckpointError: if it is not what the block expects.
    """
    try:
        yield _with_arrays(archive.progress or {}, archive.arrays)
    except CheckpointError:
        raise
    except BAD_CONFIG as error:
        raise _misfit(error) from error


def _misfit(error: Exception) -> CheckpointError:
    return CheckpointError(
        f"[restore] the training state does not fit the model, its callbacks and data: expected what they had been, got {error!r}. "
        "Train as before, or delete the backup."
    )


def _without_arrays(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The value with a name instead of each array, which goes into ``arrays``."""
    if isinstance(value, Mapping):
        return {key: _without_arrays(item, f"{name}/{key}", arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_arrays(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        arrays[name] = value.copy()
        return {_ARRAY: name}
    return value


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _with_arrays(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    return value


@contextmanager
def _in_their_places(model: Any) -> Iterator[None]:
    """Weights in the model and averages in their slots, inside the block, where a callback has exchanged them."""
    swapped = model._optimizer_state.swapped
    if swapped:
        model.swap_averages()
    try:
        yield
    finally:
        if swapped:
            model.swap_averages()


def restore(model: Any, archive: Archive) -> None:
    """Puts a model back where :func:`snapshot` found it, or another one of the same code there, to the last bit.

    Raises:
        CheckpointError: if it is the state of another model or optimizer; the optimizer may then be changed in part.
    """
    saved, optimizer = archive.optimizer or {}, model.optimizer
    parts = list(_parts(optimizer))
    rates = saved.get("rates")
    same_kind = saved.get("class_name") == type(optimizer).__name__ and isinstance(rates, list)
    if not same_kind or [r is None for r in rates] != [_rate(part) is None for part in parts]:  # type: ignore[union-attr]  # a list
        raise CheckpointError(
            f"[restore] the training must have been the same: expected the state of {type(optimizer).__name__} with its learning "
            f"rates, got that of {str(saved.get('class_name'))[:80]}. Compile the model as before, or delete the backup."
        )
    if model._optimizer_state.swapped:
        model.swap_averages()
    plans.gather_weights(model)
    names = own_names(model, archive.weights)
    assign_weights(model, {names[saved]: array for saved, array in archive.weights.items()})
    try:
        optimizer.set_state(saved["state"])
        for part, rate in zip(parts, rates, strict=True):  # type: ignore[arg-type]  # a list
            if rate is not None:
                part.learning_rate = rate
        _restore_slots(model, archive.slots, names)
        random.set_state(tuple((archive.progress or {})["random"]))
    except BAD_CONFIG as error:
        raise _misfit(error) from error


def _restore_slots(model: Any, saved: dict[str, np.ndarray], names: dict[str, str]) -> None:
    """Saved slots get their contents, and others that exist those of a beginning."""
    state, variables = model._optimizer_state, model.weights_by_path()
    arrays = {}
    for key, array in saved.items():
        path, _, name = key.rpartition("/")
        arrays[f"{names[path]}/{name}"] = array
    for path, variable in variables.items():
        for name in state.slots.get(variable, {}):
            if f"{path}/{name}" not in arrays:
                state.restart(variable, name)
    for key, array in arrays.items():
        path, _, name = key.rpartition("/")
        if name not in state.slot_names(variables[path]):
            raise KeyError(key)
        state.slot(variables[path], name).assign(array)
        averaging = state.optimizer.averaging or state.part_for(variables[path]).averaging
        if averaging is not None and name == averaging.slot:
            state.averaged[variables[path]] = name  # what the weights become, even if no step is left


def _parts(optimizer: Any) -> Iterator[Any]:
    """The optimizers that have a learning rate, without those around them."""
    inside = getattr(optimizer, "optimizers", None)
    if inside is None:
        yield optimizer
    else:
        for part in inside:
            yield from _parts(part)


def _rate(optimizer: Any) -> float | None:
    """The learning rate; None where a schedule gives it from the step."""
    rate = optimizer._learning_rate
    return None if isinstance(rate, LearningRateSchedule) else rate
