"""Everything that a training changes, to come back to it: weights, the optimizer's state, its rate, random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastconv import random
from fastconv.errors import CheckpointError
from fastconv.models import plans
from fastconv.saving.archive import Archive
from fastconv.saving.model_file import BAD_CONFIG, assign_weights, own_names, slot_arrays
from fastconv.schedules import LearningRateSchedule

__all__ = ["restore", "snapshot"]


def snapshot(model: Any, **progress: Any) -> Archive:
    """A copy of what training changes in a built and compiled model. The model itself is not described.

    Args:
        model: built and compiled.
        progress: whatever else is to be remembered, of JSON types.
    """
    optimizer = model.optimizer
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
            progress={**progress, "random": list(random.get_state())},
        )


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
        raise CheckpointError(
            f"[restore] the training state does not fit the model: expected what it had been, got {error!r}. Delete the backup."
        ) from error


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
