"""Calls to make many times, each of which has to leave the process as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, ops
from ..datasets import Dataset
from .case import Case
from .cases import cases
from .compare import Inputs, backward, cotangent, forward, random_inputs
from .networks import build, inputs_for, targets_for

__all__ = ["good_calls", "life", "refused_calls"]

Named = tuple[str, list[Any], Callable[[], Any]]  # what it is, its arrays, the call


def smallest_cases() -> list[Case]:
    """One case per op of the registry: of those without an empty array, the one with the least to compute."""
    smallest: dict[str, tuple[float, Case]] = {}
    for case in (case.small() for case in cases()):
        sizes = [a.size for a in arrays_of(random_inputs(case, np.random.default_rng(0), np.float32))]
        if min(sizes) > 0 and sum(sizes) < smallest.get(case.op, (np.inf, case))[0]:
            smallest[case.op] = sum(sizes), case
    return [case for _, case in smallest.values()]


def arrays_of(inputs: Inputs) -> list[Any]:
    """The arrays among the arguments, those of lists too."""
    return [a for value in inputs.values() for a in (value if isinstance(value, list) else [value])]


def good_calls() -> Iterator[Named]:
    """``(what, its arrays, call)``: forward and backward of every op."""
    rng = np.random.default_rng(20261122)
    for case in smallest_cases():
        inputs = random_inputs(case, rng, np.float32)
        dy = cotangent(forward(ops, case, inputs), rng)
        yield case.op, arrays_of(inputs), partial(forward, ops, case, inputs)
        yield (
            f"{case.op}_backward",
            [dy, *arrays_of(inputs)],
            partial(backward, ops, case, dy, inputs),
        )


def refused_calls() -> Iterator[Named]:
    """The same calls, each time with one argument that is wrong: its dtype, its layout of axes, its kind."""
    rng = np.random.default_rng(20261123)
    for case in smallest_cases():
        inputs = random_inputs(case, rng, np.float32)
        for name, value in inputs.items():
            if isinstance(value, list):
                continue
            for wrong in (value.astype(complex), value[None, None, None], None):
                spoilt = {**inputs, name: wrong}

                def call(case: Case = case, spoilt: Inputs = spoilt) -> bool:
                    try:
                        forward(ops, case, spoilt)
                    except (TypeError, ValueError):
                        return True
                    return False

                if call():  # an op of any rank takes more axes, an optional argument takes None
                    yield f"{case.op} {name}", [a for a in arrays_of(spoilt) if a is not None], call


def life(folder: Path, network: str = "mlp") -> None:
    """A model is built, trained, fed by a thread too, saved, loaded and forgotten."""
    model = build(network)
    model.compile("adam", "mse", metrics=["mae"])
    x, y = inputs_for(model, 8)[0], targets_for(model, 8)[0]
    model.fit(x, y, verbose=0)
    model.fit(Dataset(x, y).batch(4).prefetch(2), validation_data=(x[:3], y[:3]), verbose=0)
    model.save(folder / "m.safetensors")
    models.load_model(folder / "m.safetensors").predict(x, verbose=0)
