"""Random small trainings by seed: what the runs that kill, and the one that never ends, train.

    python bench/nightly/_trainings.py train SEED FOLDER THREADS    one, with a backup in FOLDER; goes on where one was killed
    python bench/nightly/_trainings.py live SECONDS FOLDER          one after another in one process

Both print lines of JSON, signs of life among them.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import callbacks, layers, models, optimizers, random, set_num_threads, set_precision
from fastconv.datasets import Dataset
from fastconv.testing.memory import fill_numpy_cache, heap_bytes, resident_bytes, return_large_blocks

OPTIMIZERS: tuple[Callable[[], Any], ...] = (
    lambda: optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    lambda: optimizers.SGD(0.02, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=None),
    lambda: optimizers.Adam(0.003),
    lambda: optimizers.Adam(0.003, gradient_accumulation_steps=3),
    lambda: optimizers.AdamW(0.003, weight_decay=0.01, global_clipnorm=1.0),
    lambda: optimizers.RMSprop(0.002, momentum=0.5, centered=True),
    lambda: optimizers.Adagrad(0.02),
    lambda: optimizers.Adafactor(0.003),
    lambda: optimizers.Lion(0.0005),
    lambda: optimizers.ScheduleFreeAdamW(0.003),
    lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.003), dynamic_growth_steps=20),
    lambda: optimizers.Adam(optimizers.schedules.CosineDecay(0.005, 200)),
)
_CLASSES = 4
_SIGN_OF_LIFE = 0.5  # seconds


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


class SignsOfLife(callbacks.Callback):
    """Says now and then how many steps were taken."""

    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.steps, self._last = 0, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        if time.monotonic() - self._last > _SIGN_OF_LIFE:
            self._last = time.monotonic()
            say(steps=self.steps)


class Training:
    """A model, its data and how it is trained: everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 6])
        random.seed(seed)
        set_precision(str(self.rng.choice(["fast", "strict"])))
        self.samples = int(self.rng.integers(60, 260))
        self.batch_size = int(self.rng.integers(3, 40))
        family = FAMILIES[int(self.rng.integers(len(FAMILIES)))]
        shape, stack = family(self.rng)
        self.shape = shape
        self.model = models.Sequential([layers.Input(shape), *stack, layers.Dense(_CLASSES, activation="softmax")])
        optimizer = OPTIMIZERS[int(self.rng.integers(len(OPTIMIZERS)))]()
        self.model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        self.x = self.rng.normal(size=(self.samples, *shape)).astype(np.float32)
        self.y = np.argmax(self.x.reshape(self.samples, -1)[:, :_CLASSES], axis=1)

    def arguments(self, batches: int) -> dict[str, Any]:
        """Arguments of ``fit`` for about so many steps: arrays or a pipeline, with or without callbacks."""
        per_epoch = -(-self.samples // self.batch_size)
        chosen: dict[str, Any] = {"epochs": max(2, batches // per_epoch), "verbose": 0}
        kind = int(self.rng.integers(4))
        if kind == 0:
            chosen |= {"x": self._pipeline()}
        elif kind == 1:
            chosen |= {"x": self._pipeline().repeat(2), "steps_per_epoch": per_epoch + 1}
        else:
            chosen |= {"x": self.x, "y": self.y, "batch_size": self.batch_size}
            if kind == 2:
                chosen |= {"validation_split": 0.2, "class_weight": dict(enumerate([1.0, 2.0, 0.5, 1.5]))}
        watched = "val_loss" if kind == 2 else "loss"
        chosen["callbacks"] = [SignsOfLife()]
        if not isinstance(self.model.optimizer.get_config().get("learning_rate"), dict) and kind:
            chosen["callbacks"] += [callbacks.ReduceLROnPlateau(watched, factor=0.5, patience=1)]
        if kind > 1:
            chosen["callbacks"] += [callbacks.EarlyStopping(watched, patience=3, restore_best_weights=kind == 2)]
        return chosen

    def _pipeline(self) -> Any:
        def noisy(x: Any, rng: Any) -> Any:
            return x + rng.normal(scale=0.01, size=x.shape).astype(np.float32)

        return Dataset(self.x, self.y).shuffle(seed=3).batch(self.batch_size).augment(noisy, seed=4).prefetch(2)

    def digest(self) -> str:
        """Of the weights, of what the optimizer keeps, and of the history."""
        state = self.model._optimizer_state
        names = {variable: path for path, variable in self.model.weights_by_path().items()}
        slots = {f"{names[v]}/{n}": a.array for v, of in state.slots.items() for n, a in of.items()}
        sums = hashlib.sha256()
        for array in (*self.model.get_weights(), *(slots[name] for name in sorted(slots))):
            sums.update(np.ascontiguousarray(array).tobytes())
        history = self.model.history
        sums.update(json.dumps([self.model.optimizer.state(), history.history, history.epoch]).encode())
        return sums.hexdigest()


def _dense(rng: Any) -> tuple[tuple[int, ...], list[Any]]:
    width = int(rng.integers(4, 90))
    hidden = [layers.Dense(int(rng.integers(4, 80)), activation=str(rng.choice(["relu", "tanh", "gelu"])))]
    return (width,), [*hidden, layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(16, activation="relu")]


def _convolutional(rng: Any) -> tuple[tuple[int, ...], list[Any]]:
    side, channels = int(rng.integers(7, 20)), int(rng.integers(1, 5))
    stack = [
        layers.Conv2D(int(rng.integers(3, 20)), int(rng.integers(1, 4)), padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.8),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(int(rng.integers(3, 20)), 3, padding="same", activation="relu"),
        layers.SpatialDropout2D(0.2),
        layers.GlobalAveragePooling2D() if rng.random() < 0.5 else layers.Flatten(),
    ]
    return (side, side + int(rng.integers(3)), channels), stack


def _depthwise(rng: Any) -> tuple[tuple[int, ...], list[Any]]:
    stack = [
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=int(rng.integers(1, 3))),
        layers.GroupNormalization(4),
        layers.Activation("silu"),
        layers.SeparableConv2D(int(rng.integers(4, 17)), 3, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.2),
    ]
    return (int(rng.integers(10, 20)), int(rng.integers(10, 20)), 3), stack


def _recurrent(rng: Any) -> tuple[tuple[int, ...], list[Any]]:
    cell = (layers.LSTM, layers.GRU, layers.SimpleRNN)[int(rng.integers(3))]
    stack = [cell(int(rng.integers(3, 24)), return_sequences=True), layers.LayerNormalization()]
    last = layers.GRU(int(rng.integers(3, 16)))
    return (int(rng.integers(2, 12)), int(rng.integers(2, 10))), [
        *stack,
        layers.Bidirectional(last) if rng.random() < 0.5 else last,
        layers.Dropout(0.1),
    ]


FAMILIES = (_dense, _convolutional, _depthwise, _recurrent)


class Announcing(callbacks.BackupAndRestore):
    """Says the SHA-256 of each backup, once it is in place."""

    _last = ""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._announce()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self._announce()

    def _announce(self) -> None:
        file = Path(self.backup_dir, "latest.safetensors")
        sums = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
        if sums != self._last:
            self._last = sums
            say(saved=sums)


def train(seed: int, folder: str, threads: int) -> None:
    """A training from its beginning, or from its backup, to its end."""
    set_num_threads(threads)
    training = Training(seed)
    frequency = (4, 9, 23, "epoch")[seed % 4]
    arguments = training.arguments(batches=250)
    backup = Announcing(folder, frequency, delete_checkpoint=False)  # a kill may come after the end
    say(ready=True)
    training.model.fit(**{**arguments, "callbacks": [*arguments["callbacks"], backup]})
    say(digest=training.digest())


def live(seconds: float, folder: str) -> None:
    """Models come and go in one process: trained, evaluated, saved, loaded, with batches of many sizes."""
    return_large_blocks()
    fill_numpy_cache()
    end = time.monotonic() + seconds
    for seed in count(1_000_000):
        say(model=seed, **_life(seed, Path(folder, "live.safetensors")))
        gc.collect()
        say(resident=resident_bytes(), heap=heap_bytes())
        if time.monotonic() > end:
            return


def _life(seed: int, path: Path) -> dict[str, int]:
    """What was done with one model; RuntimeError where a loaded model is another one."""
    training = Training(seed)
    set_num_threads(1 + seed % 3)
    model, rng = training.model, training.rng
    arguments = training.arguments(batches=int(rng.integers(10, 60)))
    model.fit(**arguments)
    steps = arguments["callbacks"][0].steps
    for size in _sizes(rng, training.samples):
        model.train_on_batch(training.x[:size], training.y[:size])
        model.predict(training.x[:size], batch_size=int(rng.integers(1, 64)), verbose=0)
        model.test_on_batch(training.x[:size], training.y[:size])
        steps += 1
    model.save(path)
    loaded = models.load_model(path)
    if _outcome(model, training) != _outcome(loaded, training):
        raise RuntimeError(f"model {seed} and the same one loaded differ")
    return {"steps": steps, "saves": 1}


def _sizes(rng: Any, most: int) -> Iterator[int]:
    return (int(size) for size in rng.integers(1, most, size=4))


def _outcome(model: Any, training: Training) -> bytes:
    """Bits that a training step more, and a prediction after it, give."""
    random.seed(5)
    loss = model.train_on_batch(training.x[:20], training.y[:20])
    return np.asarray(loss).tobytes() + model.predict(training.x, verbose=0).tobytes()


if __name__ == "__main__":
    command, first, *rest = sys.argv[1:]
    if command == "train":
        train(int(first), rest[0], int(rest[1]))
    else:
        live(float(first), rest[0])
