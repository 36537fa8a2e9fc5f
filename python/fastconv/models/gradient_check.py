"""Whether the gradients that training uses are those of the loss: central differences, weight by weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import config, losses, optimizers, random
from fastconv.errors import CheckpointError
from fastconv.models import plans

__all__ = ["GradientReport", "WeightCheck", "check_gradients"]

_OWN_RTOL = 1e-2  # of the largest gradient of a weight, for a model of float32
_FLOAT32 = {"eps": 1e-2, "atol": 1e-3, "rtol": 5e-2}  # where there is no float64: differences are as coarse as that
_KINK = 0.1  # one-sided slopes that differ by more than this share: the loss has an edge there


@dataclass(frozen=True)
class WeightCheck:
    """One weight.

    Attributes:
        path: such as "dense/kernel".
        elements: of the weight; checked: those that were compared; kinks: those of them where the loss has no derivative.
        error: largest |gradient - difference quotient| of the rest, in the precision of the check.
        own_error: the same for the gradient that the model itself computes, in its own precision.
        size: largest difference quotient.
        passed: whether both are within the tolerances.
    """

    path: str
    elements: int
    checked: int
    kinks: int
    error: float
    own_error: float
    size: float
    passed: bool


@dataclass(frozen=True)
class GradientReport:
    """What :meth:`Model.gradcheck` has found; printed, a table.

    Attributes:
        dtype: of the check. weights: a :class:`WeightCheck` for each trainable weight that the loss depends on.
    """

    dtype: str
    weights: tuple[WeightCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every weight has."""
        return all(weight.passed for weight in self.weights)

    def __str__(self) -> str:
        width = max(len(weight.path) for weight in self.weights)
        lines = [
            f"Gradients against central differences in {self.dtype}",
            f"{'weight':<{width}}  {'checked':>13}  {'largest':>9}  {'error':>9}  {'own error':>9}",
        ]
        for weight in self.weights:
            kinks = f", {weight.kinks} at a kink" if weight.kinks else ""
            lines.append(
                f"{weight.path:<{width}}  {weight.checked:>5} of {weight.elements:<5}  {weight.size:>8.2e}  {weight.error:>8.2e}  "
                f"{weight.own_error:>8.2e}  {'ok' if weight.passed else 'WRONG'}{kinks}"
            )
        return "\n".join([*lines, "passed" if self.passed else "FAILED"])


def check_gradients(
    model: Any, data: Any, training: bool, samples: int, eps: float, atol: float, rtol: float, seed: int
) -> GradientReport:
    """See :meth:`Model.gradcheck`; ``data`` are its checked arrays."""
    before = random.get_state()
    twin = _in_float64(model)
    random.set_state(before)
    if twin is None:
        eps, atol, rtol = _FLOAT32["eps"], _FLOAT32["atol"], _FLOAT32["rtol"]
    checked = model if twin is None else twin
    own = _plan(model, data, training)
    own.run()
    plan = own if twin is None else _plan(twin, data, training)
    plan.run()
    found = {variable: gradient.astype(np.float64) for variable, gradient in plan.gradients.items()}
    mine = {
        path: own.gradients[v].astype(np.float64) for path, v in model.weights_by_path().items() if v in own.gradients
    }
    generator = np.random.default_rng(seed)
    rows = []
    for path, variable in checked.weights_by_path().items():
        if variable in found:
            places = _places(variable.size, samples, generator)
            quotients, kinks = _quotients(plan, variable, places, eps)
            gradient, other = found[variable].reshape(-1)[places], mine[path].reshape(-1)[places]
            rows.append(_judged(path, variable.size, quotients, kinks, gradient, other, atol, rtol))
    return GradientReport(model.dtype if twin is None else "float64", tuple(rows))


def _judged(
    path: str,
    elements: int,
    quotients: np.ndarray,
    kinks: np.ndarray,
    gradient: np.ndarray,
    own: np.ndarray,
    atol: float,
    rtol: float,
) -> WeightCheck:
    errors = np.abs(gradient - quotients)
    wrong = errors > atol + rtol * np.abs(quotients)
    at_kink = wrong & kinks
    counted = ~at_kink
    size = float(np.abs(quotients).max(initial=0))
    own_error = float(np.abs(own - quotients)[counted].max(initial=0))
    passed = not (wrong & counted).any() and own_error <= max(atol, _OWN_RTOL * size, rtol * size)
    error = float(errors[counted].max(initial=0))
    return WeightCheck(path, elements, len(quotients), int(at_kink.sum()), error, own_error, size, passed)


def _places(size: int, samples: int, generator: np.random.Generator) -> np.ndarray:
    return np.arange(size) if size <= samples else np.sort(generator.choice(size, samples, replace=False))


def _quotients(plan: Any, variable: Any, places: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """``(loss(w + eps) - loss(w - eps)) / 2 eps`` of single elements, and whether the two halves disagree."""
    flat, middle = variable.array.reshape(-1), _loss(plan)
    ahead, behind = np.empty(len(places)), np.empty(len(places))
    for i, place in enumerate(places):
        kept = flat[place]
        for side, slopes in ((eps, ahead), (-eps, behind)):
            variable.array.reshape(-1)[place] = kept + side
            slopes[i] = (_loss(plan) - middle) / side
        variable.array.reshape(-1)[place] = kept
    _loss(plan)
    kinks = np.abs(ahead - behind) > _KINK * np.maximum(np.abs(ahead), np.abs(behind))
    return (ahead + behind) / 2, kinks


def _loss(plan: Any) -> float:
    plan.run()
    return float(plan.total[0])


def _plan(model: Any, data: Any, training: bool) -> Any:
    plan = plans.gradient_plan(model, model._losses, model._sample_shapes(), data.samples, training)
    model._load(plan, data.x, data.y, data.weights)
    return plan


def _in_float64(model: Any) -> Any:
    """A copy of the model in float64; None where there is none: on a GPU, or for layers that have no config."""
    from fastconv.saving.model_file import layer_config, model_from_config  # not at the top: saving imports models

    if config.device() != "cpu":
        return None
    try:
        twin = model_from_config(_with_dtype(layer_config(model)))
    except (CheckpointError, TypeError, ValueError, NotImplementedError):  # a layer or model of the caller's own
        return None
    if not twin.built:
        twin.build((None, *model._sample_shapes()[0]))
    twin.compile(optimizers.SGD(), [None if loss is None else losses.get(loss) for loss in model._losses])
    twin._loss_weights = list(model._loss_weights)
    twin.set_weights([weight.astype(np.float64) for weight in model.get_weights()])
    return twin


def _with_dtype(entry: Any) -> Any:
    """A config whose layers compute in float64."""
    if isinstance(entry, dict):
        return {key: "float64" if key == "dtype" else _with_dtype(value) for key, value in entry.items()}
    return [_with_dtype(item) for item in entry] if isinstance(entry, list) else entry
