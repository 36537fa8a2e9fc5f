"""Right calls of everything beside: data sets, utilities, filters, settings, lookups by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from _valid import Call, Rng, f32, pick

import fastconv
from fastconv import (
    constraints,
    datasets,
    filters,
    initializers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    schedules,
    utils,
)


def _chain(x: Any, y: Any, **steps: Any) -> Any:
    """A Dataset with every step, and what it yields."""
    data = datasets.Dataset(x, y)
    for step, value in steps.items():
        if not hasattr(data, step):
            raise TypeError(f"_chain() got an unexpected keyword argument {step!r}")
        data = getattr(data, step)(value)
    return [element for element, _ in zip(data, range(20), strict=False)]


def _encode(labels: Any, others: Any) -> Any:
    encoder = utils.LabelEncoder()
    encoder.fit(labels)
    return encoder.inverse_transform(encoder.transform(others))


def _plus(x: Any, y: Any) -> Any:
    return x + 1, y


def call(rng: Rng) -> Call:
    """One of them."""
    return pick(rng, _CALLS)(rng)


def _data(rng: Rng) -> list[Any]:
    return [f32(rng, 6, 4), rng.integers(3, size=6)]


def _setting(function: Any, value: Any) -> Any:
    def after() -> None:
        fastconv.set_num_threads(2)
        fastconv.set_precision("fast")
        fastconv.set_device("cpu")
        fastconv.set_dtype_policy("float32")

    return lambda rng: Call(function.__name__, function, [value], after=after)


def _lookup(module: Any, name: str) -> Any:
    return lambda rng: Call(f"{module.__name__.rpartition('.')[2]}.get", module.get, [name])


def _from_config(module: Any, name: str, config: dict[str, Any]) -> Any:
    given = {"class_name": name, "config": config}
    return lambda rng: Call(f"{module.__name__.rpartition('.')[2]}.deserialize", module.deserialize, [dict(given)])


def _named(function: Any, *arguments: Any, **keywords: Any) -> Any:
    def of(rng: Rng) -> Call:
        return Call(
            function.__name__,
            function,
            [a(rng) if any(a is d for d in _DRAWN) else a for a in arguments],
            dict(keywords),
        )

    return of


def _images(rng: Rng) -> np.ndarray:
    return f32(rng, 3, 5, 6, 3)


def _image(rng: Rng) -> np.ndarray:
    return rng.integers(0, 255, (7, 6, 3)).astype(np.uint8)


def _labels(rng: Rng) -> np.ndarray:
    return rng.integers(3, size=9)


def _shares(rng: Rng) -> np.ndarray:
    return rng.dirichlet(np.ones(3), 4).astype(np.float32)


def _names(rng: Rng) -> list[str]:
    return ["a", "b", "c"]


_DRAWN: tuple[Any, ...] = (_images, _image, _labels, _shares, _names)
_CALLS: list[Any] = [
    lambda rng: Call("Dataset", _chain, _data(rng), {"shuffle": 3, "batch": 2, "map": _plus, "take": 2, "prefetch": 2}),
    lambda rng: Call("Dataset", _chain, _data(rng), {"skip": 1, "repeat": 2, "batch": 4}),
    lambda rng: Call("Dataset", _chain, _data(rng), {"batch": 2, "augment": lambda x, rng: x}),
    lambda rng: Call("datasets.describe", datasets.describe, _data(rng), {"class_names": ["a", "b", "c"]}),
    lambda rng: Call(
        "train_val_test_split", utils.train_val_test_split, _data(rng), {"ratios": (0.5, 0.3, 0.2), "seed": 1}
    ),
    lambda rng: Call("LabelEncoder", _encode, [["a", "b", "a"], ["b", "a"]]),
    _named(utils.to_categorical, _labels, num_classes=3),
    _named(utils.normalize, _shares, axis=-1, order=2),
    _named(utils.add_channel, _images),
    _named(utils.split_channels, _image),
    _named(utils.merge_channels, _images),
    _named(utils.decode_predictions, _shares, top=2, class_names=["a", "b", "c"]),
    _named(utils.prediction_text, [0.2, 0.3, 0.5], top=2, class_names=["a", "b", "c"]),
    _named(utils.numeric_gradient, np.sum, _shares, epsilon=1e-6),
    _named(utils.load_img, "none.png", color_mode="rgb", target_size=(4, 4)),
    _named(filters.apply, _image, "sobel_x", border="reflect", flip=False),
    _named(filters.apply, _images, np.ones((3, 3)), border="zero"),
    _named(metrics.confusion_matrix, _labels, [0, 1, 2, 0, 1, 2, 0, 1, 2], num_classes=3),
    _named(datasets.load_npz, "none.npz", test_fraction=0.2, seed=0),
    _named(datasets.load_csv, "none.csv", target=-1),
    _named(datasets.read_idx, "none.idx", max_bytes=1000),
    _named(datasets.image_dataset_from_directory, "none", image_size=(4, 4), color_mode="rgb"),
    _named(datasets.from_loader, [{"image": [1], "label": 2}], x="image", y="label"),
    _named(datasets.digits.load_data, test_fraction=0.2, seed=0),
    _named(models.load_model, "none.safetensors"),
    _named(models.model_from_config, models.Sequential([fastconv.Input((3,)), fastconv.layers.Dense(2)]).get_config()),
    _named(initializers.compute_fans, (3, 3, 2, 4), input_axes=None, output_axes=None),
    _named(random.seed, 3),
    _named(random.generator, 3),
    _named(random.set_state, (1, 2)),
    _named(utils.set_random_seed, 3),
    _setting(fastconv.set_num_threads, 2),
    _setting(fastconv.set_precision, "strict"),
    _setting(fastconv.set_device, "cpu"),
    _setting(fastconv.set_dtype_policy, "mixed_bfloat16"),
    *(
        _lookup(module, name)
        for module, name in (
            (losses, "mse"),
            (metrics, "accuracy"),
            (optimizers, "adam"),
            (initializers, "he_normal"),
            (regularizers, "l2"),
            (constraints, "max_norm"),
        )
    ),
    _from_config(metrics, "AUC", {"num_thresholds": 10}),
    _from_config(optimizers, "SGD", {"learning_rate": 0.1}),
    _from_config(initializers, "Constant", {"value": 1.0}),
    _from_config(regularizers, "L1", {"l1": 0.1}),
    _from_config(constraints, "MaxNorm", {"max_value": 1.0}),
    _from_config(schedules, "ExponentialDecay", {"initial_learning_rate": 1.0, "decay_steps": 2, "decay_rate": 0.5}),
]
