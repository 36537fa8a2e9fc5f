"""Right calls of layers, losses, metrics, optimizers and their kin: constructors with all of their arguments, then used."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from _valid import Call, Rng, f32, pick

from fastconv import constraints, initializers, layers, losses, metrics, models, optimizers, regularizers, schedules
from fastconv.testing.single_layers import LAYERS

_MOST_CELLS = 1 << 22  # of results that are compared
_DATA = {  # what a metric or a loss looks at, by the kind of its targets
    "one hot": lambda rng: (np.eye(3, dtype=np.float32)[rng.integers(3, size=8)], _shares(rng)),
    "labels": lambda rng: (rng.integers(3, size=8), _shares(rng)),
    "signs": lambda rng: (
        rng.integers(2, size=(8, 1)).astype(np.float32),
        rng.uniform(0.1, 0.9, (8, 1)).astype(np.float32),
    ),
    "numbers": lambda rng: (f32(rng, 8, 2), f32(rng, 8, 2)),
    "classes": lambda rng: (rng.integers(3, size=8), rng.integers(3, size=8)),
}
_LOSSES = {
    "BinaryCrossentropy": "signs",
    "BinaryFocalCrossentropy": "signs",
    "Hinge": "signs",
    "SquaredHinge": "signs",
    "CategoricalCrossentropy": "one hot",
    "CategoricalHinge": "one hot",
    "KLDivergence": "one hot",
    "Poisson": "one hot",
    "SparseCategoricalCrossentropy": "labels",
}
_METRICS = {
    **_LOSSES,
    **dict.fromkeys(("IoU", "MeanIoU"), "classes"),
    **dict.fromkeys(("OneHotIoU", "OneHotMeanIoU", "CategoricalAccuracy", "TopKCategoricalAccuracy"), "one hot"),
    **dict.fromkeys(("F1Score", "FBetaScore"), "one hot"),
    **dict.fromkeys(("SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"), "labels"),
    **dict.fromkeys(("AUC", "Precision", "Recall", "BinaryAccuracy", "BinaryIoU", "PrecisionAtRecall"), "signs"),
    **dict.fromkeys(("RecallAtPrecision", "SensitivityAtSpecificity", "SpecificityAtSensitivity"), "signs"),
    **dict.fromkeys(("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives"), "signs"),
}
_REQUIRED = {  # arguments without a default
    "IoU": {"num_classes": 3, "target_class_ids": (0, 2)},
    "OneHotIoU": {"num_classes": 3, "target_class_ids": [1]},
    "MeanIoU": {"num_classes": 3},
    "OneHotMeanIoU": {"num_classes": 3},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "OneCycle": {"max_learning_rate": 0.1, "total_steps": 10},
    "PiecewiseConstantDecay": {"boundaries": [2, 5], "values": [1.0, 0.5, 0.1]},
    "PiecewiseLinear": {"steps": [0, 5], "values": [1.0, 0.5]},
    "WarmUp": {"schedule": schedules.ExponentialDecay(0.1, 10, 0.5), "warmup_steps": 3},
    "Lookahead": {"optimizer": "adam"},
    "LossScaleOptimizer": {"inner_optimizer": "sgd"},
    "MultiOptimizer": {"optimizer_map": {"default": "sgd"}},
}
_SKIPPED = {"Metric", "MeanMetricWrapper", "Loss", "FunctionLoss", "Optimizer", "LearningRateSchedule", "Initializer"}
_SKIPPED |= {"Regularizer", "Constraint", "OptimizerMap", "LossScaleOptimizer", "MultiOptimizer"}


def _shares(rng: Rng) -> np.ndarray:
    return rng.dirichlet(np.ones(3), 8).astype(np.float32)


def _classes(module: Any) -> list[type]:
    found = (getattr(module, name) for name in module.__all__)
    return [c for c in found if inspect.isclass(c) and c.__name__ not in _SKIPPED]


def _settings(kind: type) -> dict[str, Any]:
    """Every argument of a constructor, with its default or with what stands above."""
    given = _REQUIRED.get(kind.__name__, {})
    parameters = inspect.signature(kind).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty}
    return {**defaults, **given}


@functools.cache
def _layer_settings(name: str) -> tuple[type, tuple[tuple[str, Any], ...]] | None:
    """The class of a layer and what its constructor takes of its config; None for a whole model."""
    layer = LAYERS[name][1]()
    if isinstance(layer, models.Model):
        return None
    known = inspect.signature(type(layer)).parameters
    keywords = {key: value for key, value in layer.get_config().items() if key in known}
    return type(layer), tuple(keywords.items())


def layer(rng: Rng) -> Call:
    """A layer is made and called on an array; the same in a compiled program."""
    name = pick(rng, list(LAYERS))
    shape = LAYERS[name][0]
    settings = _layer_settings(name)
    if settings is None:
        return layer(rng)
    kind, keywords = settings
    x = f32(rng, int(rng.integers(1, 4)), *shape)

    def run(x: Any, **keywords: Any) -> Any:
        made = kind(**keywords)
        return made, made(x)

    return Call(
        f"layers.{kind.__name__}", run, [x], dict(keywords), functools.partial(_planned_alike, shape), huge=True
    )


def _planned_alike(shape: tuple[int, ...], result: Any, call: Call) -> bool:
    """A program of that layer alone gives what calling it gave, each of its outputs."""
    made, called = result
    x = call.arguments[0]
    if type(x) is not np.ndarray or x.dtype != np.float32 or x.shape[1:] != shape or not np.isfinite(x).all():
        return False
    if sum(y.size for y in _list(called)) > _MOST_CELLS:
        return False
    start = layers.Input(shape)
    planned = models.Model(start, made(start)).predict(x, verbose=0)
    for y, z in zip(_list(called), _list(planned), strict=True):
        assert z.shape == y.shape, f"called: {y.shape}, in a program: {z.shape}"
        largest = np.abs(y).max(initial=1e-3)
        assert np.allclose(z, y, rtol=0, atol=1e-4 * largest, equal_nan=True), "called and in a program: other numbers"
    return True


def _list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def loss(rng: Rng) -> Call:
    """A loss is made and called; its mean is that of its parts."""
    kind = pick(rng, _classes(losses))
    y_true, y_pred = _DATA[_LOSSES.get(kind.__name__, "numbers")](rng)
    arguments = [y_true, y_pred, *([np.ones(8, np.float32)] if rng.random() < 0.3 else [])]
    return Call(
        f"losses.{kind.__name__}",
        lambda *arrays, **keywords: kind(**keywords)(*arrays),
        arguments,
        _settings(kind),
        _finite,
    )


def metric(rng: Rng) -> Call:
    """A metric is made, updated, and asked."""
    kind = pick(rng, _classes(metrics))
    arguments: list[Any] = list(_DATA[_METRICS.get(kind.__name__, "numbers")](rng))
    if kind.__name__ in ("Mean", "Sum"):
        arguments = [f32(rng, 5)]
    if rng.random() < 0.3:
        arguments.append(np.ones(len(arguments[0]), np.float32))

    def run(*arrays: Any, **keywords: Any) -> Any:
        made = kind(**keywords)
        made.update_state(*arrays)
        return made.result()

    return Call(f"metrics.{kind.__name__}", run, arguments, _settings(kind), _finite)


def _finite(result: Any, call: Call) -> bool:
    """A number or numbers come out, and of right arguments finite ones."""
    values = np.asarray(result, np.float64)
    assert call.spoilt or np.isfinite(values).all(), f"{call.name}: not finite: {values}"
    return False


def part(rng: Rng) -> Call:
    """An optimizer, a schedule, an initializer, a regularizer or a constraint is made and used."""
    module, use, arguments = pick(rng, _PARTS)
    kind = pick(rng, _classes(module))
    name = module.__name__.rpartition(".")[2]
    return Call(
        f"{name}.{kind.__name__}",
        lambda *arrays, **keywords: use(kind(**keywords), *arrays),
        arguments(rng),
        _settings(kind),
    )


def _train(optimizer: Any, x: Any) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(3)])
    model.compile(optimizer, "mse")
    return model.train_on_batch(x, x)


_Part = tuple[Any, Callable[..., Any], Callable[[Rng], list[Any]]]
_PARTS: list[_Part] = [
    (optimizers, _train, lambda rng: [f32(rng, 4, 3)]),
    (schedules, lambda schedule, step: schedule(step), lambda rng: [int(rng.integers(100))]),
    (
        initializers,
        lambda initializer, shape: initializer(shape),
        lambda rng: [pick(rng, [(3, 4), (5, 5), (3, 3, 2, 4)])],
    ),
    (regularizers, lambda regularizer, w: regularizer(w), lambda rng: [f32(rng, 3, 4)]),
    (constraints, lambda constraint, w: constraint(w), lambda rng: [f32(rng, 3, 4)]),
]
