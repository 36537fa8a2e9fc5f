"""Right calls of whole models: built, compiled, trained, asked, with little data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _valid import Call, Rng, f32, pick

from fastconv import attribution, callbacks, layers, models, tuning
from fastconv.errors import NonFiniteLossError

_ROWS = 6


def _mlp() -> Any:
    return models.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax")]
    )


def _cnn() -> Any:
    x = layers.Input((6, 5, 2))
    y = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    y = layers.Flatten()(layers.MaxPooling2D(2)(layers.Add()([y, layers.Conv2D(3, 1)(x)])))
    return models.Model(x, layers.Dense(3, activation="softmax")(y))


def _compiled(make: Callable[[], Any]) -> Any:
    model = make()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _data(make: Callable[[], Any], rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    shape = (4,) if make is _mlp else (6, 5, 2)
    return f32(rng, _ROWS, *shape), np.eye(3, dtype=np.float32)[rng.integers(3, size=_ROWS)]


def call(rng: Rng) -> Call:
    """One method of one model."""
    make = pick(rng, (_mlp, _cnn))
    return pick(rng, _CALLS)(make, *_data(make, rng), rng)


def _method(name: str, **keywords: Any) -> Callable[..., Call]:
    """A method of a compiled model that takes inputs and targets; the model must work afterwards.

    Unless the data were beyond all bounds: where a loss is finite and a gradient of it is not (0 * infinity behind a relu that
    is shut), weights become NaN, and the next loss says so. Looking at every gradient would cost a step up to 15 % of its time.
    """

    def of(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
        model = _compiled(make)
        before = model.get_weights()

        def after() -> None:
            if name not in ("fit", "train_on_batch", "set_weights"):
                same = all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
                assert same, f"{name} has changed the weights"
            try:
                loss = model.train_on_batch(x, y)
            except NonFiniteLossError:
                assert _unbounded([*done.arguments, *done.keywords.values()]), f"{name} has made NaN of good data"
            else:
                assert np.size(loss) == 2, f"after {name}: train_on_batch gave {loss}"

        given = {key: value(x, y) if callable(value) else value for key, value in keywords.items()}
        done = Call(f"Model.{name}", getattr(model, name), [x, y], given, after=after)
        return done

    return of


def _unbounded(given: list[Any]) -> bool:
    """Whether there are numbers whose squares are not finite in float32."""
    for value in given:
        try:
            within = np.abs(np.asarray(value, np.float64)) < 1e18
        except Exception:  # no numbers, or none that can be had
            continue
        if not within.all():
            return True
    return False


def _predict(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    model = make()

    def alike(result: Any, call: Call) -> bool:
        """Each layer called by itself gives the same."""
        x = call.arguments[0]
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not (np.abs(x) < 1e4).all() or make is not _mlp:
            return False
        wanted = np.asarray(x, np.float32)
        for inner in model.layers:
            wanted = inner(wanted)
        rows = len(result) if "steps" in call.keywords else len(wanted)
        assert np.allclose(result, wanted[:rows], rtol=1e-4, atol=1e-5), (
            "predict and the layers one by one: other numbers"
        )
        return True

    return Call("Model.predict", model.predict, [x], {"batch_size": 4, "verbose": 0}, alike)


def _compile(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    model = make()

    def run(**keywords: Any) -> Any:
        model.compile(**keywords)
        return model.evaluate(x, y, verbose=0)

    keywords = {
        "optimizer": "adam",
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy"],
        "loss_weights": None,
        "weighted_metrics": None,
        "run_eagerly": False,
        "steps_per_execution": 1,
        "jit_compile": "auto",
    }
    return Call("Model.compile", run, [], keywords)


def _build(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    def run(*stack: Any) -> Any:
        model = models.Sequential(list(stack))
        model.summary(print_fn=lambda *_: None)
        return model.predict(x, verbose=0)

    shape = x.shape[1:]
    stack: list[Any] = [
        layers.Input(shape),
        layers.Flatten(),
        layers.Dense(4),
        layers.Activation("relu"),
        layers.Dense(2),
    ]
    return Call("Sequential", run, stack)


def _functional(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    first = layers.Input(x.shape[1:])
    last = layers.Dense(2)(layers.Flatten()(first))

    def run(inputs: Any, outputs: Any, **keywords: Any) -> Any:
        return models.Model(inputs, outputs, **keywords).predict(x, verbose=0)

    return Call("Model", run, [first, last], {"name": "m"})


def _with_callback(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    kind, keywords = pick(rng, _CALLBACKS)
    model = _compiled(make)

    def run(**keywords: Any) -> Any:
        made = kind(**keywords)
        return model.fit(x, y, epochs=2, batch_size=4, verbose=0, validation_data=(x, y), callbacks=[made]).history

    return Call(f"callbacks.{kind.__name__}", run, [], dict(keywords))


def _of_model(function: Callable[..., Any], name: str, **keywords: Any) -> Callable[..., Call]:
    def of(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
        arguments = [_compiled(make), x, *([y] if name == "tuning.find_learning_rate" else [])]
        return Call(name, function, arguments, dict(keywords))

    return of


def _weights(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
    model = make()
    return Call(
        "Model.set_weights", model.set_weights, [model.get_weights()], after=lambda: model.predict(x, verbose=0)
    )


def _alone(name: str, *arguments: Any, **keywords: Any) -> Callable[..., Call]:
    """A method that takes no data."""

    def of(make: Callable[[], Any], x: np.ndarray, y: np.ndarray, rng: Rng) -> Call:
        model = _compiled(make)
        given = [x if a is _X else a for a in arguments]
        return Call(
            f"Model.{name}", getattr(model, name), given, dict(keywords), after=lambda: model.predict(x, verbose=0)
        )

    return of


_X = object()
_WATCH = {"monitor": "val_loss", "mode": "auto"}
_CALLBACKS: list[tuple[Any, dict[str, Any]]] = [
    (
        callbacks.EarlyStopping,
        {**_WATCH, "min_delta": 0.0, "patience": 1, "baseline": None, "restore_best_weights": True},
    ),
    (callbacks.ModelCheckpoint, {**_WATCH, "filepath": "m.safetensors", "save_best_only": True, "save_freq": "epoch"}),
    (
        callbacks.ReduceLROnPlateau,
        {**_WATCH, "factor": 0.1, "patience": 1, "min_delta": 1e-4, "cooldown": 0, "min_lr": 0.0},
    ),
    (callbacks.BackupAndRestore, {"backup_dir": "backup", "save_freq": "epoch", "delete_checkpoint": True}),
    (callbacks.CSVLogger, {"filename": "log.csv", "separator": ",", "append": False}),
    (callbacks.LearningRateScheduler, {"schedule": lambda epoch, rate: rate, "verbose": 0}),
    (callbacks.TensorBoard, {"log_dir": "logs", "histogram_freq": 1, "write_graph": True, "update_freq": "epoch"}),
    (callbacks.LambdaCallback, {"on_epoch_end": lambda epoch, logs: None}),
    (callbacks.TerminateOnNaN, {"raise_error": False}),
    (callbacks.MaxSteps, {"steps": 2}),
    (callbacks.Freeze, {"layers": "dense*", "epoch": 1}),
    (callbacks.ProgressCallback, {"verbose": 2}),
]
_FIT = {
    "batch_size": 4,
    "epochs": 1,
    "verbose": 0,
    "validation_data": lambda x, y: (x, y),
    "sample_weight": lambda x, y: np.ones(len(x), np.float32),
    "class_weight": {0: 1.0, 1: 2.0, 2: 0.5},
    "steps_per_epoch": 1,
    "initial_epoch": 0,
    "shuffle": True,
    "callbacks": None,
    "validation_freq": 1,
}
_CALLS: list[Callable[..., Call]] = [
    *(_method("fit", **_FIT), _method("fit", verbose=0), _method("fit", verbose=0, validation_split=0.2)),
    *(_method("evaluate", verbose=0, batch_size=4, sample_weight=None, steps=None), _method("evaluate", verbose=0)),
    *(_method("train_on_batch", sample_weight=None, class_weight=None, return_dict=False), _method("test_on_batch")),
    *(_method("gradients", sample_weight=None, training=False), _method("gradient_norms"), _predict, _predict),
    *(_compile, _compile, _build, _functional, _with_callback, _with_callback, _weights),
    *(_alone("get_layer", index=0), _alone("summary", line_length=80, print_fn=lambda *_: None, batch_size=4)),
    *(_alone("save", "m.safetensors", include_optimizer=True), _alone("save_weights", "w.safetensors")),
    *(
        _alone("plot", "m.svg", rankdir="TB"),
        _alone("load_weights", "none.safetensors"),
        _alone("predict_on_batch", _X),
    ),
    *(_alone("activations", _X), _alone("sparsity", _X), _alone("predict_classes", _X, batch_size=4)),
    *(_alone("input_gradients", _X, layer=None, logits=False), _alone("count_params"), _alone("get_config")),
    _of_model(attribution.saliency, "attribution.saliency", classes=[0, 1, 2, 0, 1, 2]),
    _of_model(attribution.grad_cam, "attribution.grad_cam", classes=1, layer=None),
    _of_model(
        tuning.find_learning_rate, "tuning.find_learning_rate", steps=5, min_rate=1e-5, max_rate=1.0, batch_size=3
    ),
]
