"""Backups hold everything that a training remembers: whatever interrupts it, it ends as if nothing had."""

import itertools
import multiprocessing
import os
import signal

import numpy as np
import pytest

from fastconv import callbacks, layers, metrics, models, optimizers, random
from fastconv.datasets import Dataset
from fastconv.errors import CheckpointError
from fastconv.saving import load_archive, save_archive
from fastconv.saving.lock import FolderLock
from fastconv.saving.training_state import going_on, snapshot

RNG = np.random.default_rng(1)
X = RNG.normal(size=(40, 6)).astype(np.float32)
Y = np.argmax(X[:, :3], axis=1)
ONE_HOT = np.eye(3, dtype=np.float32)[Y]
EPOCHS = 5


class Killed(Exception):
    pass


class KillAt(callbacks.Callback):
    """Ends a training before its step ``number``, counted from 0 over all epochs; None: after the last epoch's backup."""

    def __init__(self, number):
        super().__init__()
        self.number, self.steps = number, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.steps == self.number:
            raise Killed
        self.steps += 1

    def on_train_end(self, logs=None):
        raise Killed


def model_of(optimizer=None, **compiling):
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(5, activation="tanh"),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer or optimizers.Adam(0.05), **compiling)
    return model


def noisy(x, rng):
    return x + rng.normal(size=x.shape).astype(np.float32) / 10


def arrays(folder):
    model = model_of(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    watching = [
        callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True, start_from_epoch=1),
        callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=0.5),
        callbacks.ModelCheckpoint(folder / "best.safetensors", "val_accuracy", save_best_only=True),
        callbacks.ModelCheckpoint(folder / "{epoch}-{batch}.safetensors", save_freq=3),
        callbacks.CSVLogger(folder / "table.csv"),
    ]
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    return model, watching, {"x": X, "y": Y, "batch_size": 9, "validation_split": 0.3, "class_weight": weights}


def pipeline(folder):
    """Shuffled and augmented by seeds that nobody gave, in both data sets."""
    model = model_of(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    train = Dataset(X, Y).shuffle().batch(9).map(lambda x, y: (x * 2, y)).augment(noisy).prefetch(3)
    return model, [], {"x": train, "validation_data": Dataset(X, Y).shuffle().batch(16).augment(noisy)}


def steps_across_passes(folder):
    """An epoch ends in the middle of a pass; gradients of three batches are one step."""
    optimizer = optimizers.LossScaleOptimizer(
        optimizers.Adam(0.05, gradient_accumulation_steps=3, use_ema=True), dynamic_growth_steps=4
    )
    model = model_of(optimizer, loss="sparse_categorical_crossentropy")
    return model, [], {"x": Dataset(X, Y).shuffle().batch(9).augment(noisy).repeat(2), "steps_per_epoch": 4}


def endless(folder):
    model = model_of(loss="sparse_categorical_crossentropy")
    batches = ((X[i : i + 7], Y[i : i + 7]) for i in itertools.cycle(range(30)))
    return model, [], {"x": batches, "steps_per_epoch": 4}


def measured(folder):
    """Metrics that keep counts, by threshold, class or label, in the middle of an epoch."""
    measures = [
        metrics.AUC(multi_label=True, num_labels=3),
        metrics.F1Score(),
        metrics.Precision(),
        metrics.OneHotMeanIoU(3),
        metrics.R2Score(),
        "accuracy",
    ]
    model = model_of(loss="categorical_crossentropy", metrics=measures, weighted_metrics=["mae"])
    return model, [], {"x": X, "y": ONE_HOT, "batch_size": 9, "sample_weight": np.linspace(0.1, 2, 40)}


def run(setting, seed, folder, *given):
    folder.mkdir(exist_ok=True)
    random.seed(seed)
    model, watching, arguments = setting(folder)
    interrupted = False
    try:
        model.fit(**arguments, epochs=EPOCHS, verbose=0, callbacks=[*given, *watching])
    except Killed:
        interrupted = True
    return model, watching, interrupted


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize(
    "setting", [arrays, pipeline, steps_across_passes, endless, measured], ids=lambda f: f.__name__
)
def test_the_same_bits_after_any_interruption(setting, save_freq, tmp_path):
    """Also in code that is built from another seed: what it has drawn comes back with the rest."""
    whole, watched, _ = run(setting, 1, tmp_path / "whole")
    for number in [6, None] if save_freq == "epoch" else [3, 8]:
        folder, parts = tmp_path / f"backup-{number}", tmp_path / f"parts-{number}"
        assert run(setting, 1, parts, callbacks.BackupAndRestore(folder, save_freq), KillAt(number))[-1]
        resumed, watching, _ = run(setting, 2, parts, callbacks.BackupAndRestore(folder, save_freq))
        assert str(resumed.history.history) == str(whole.history.history)
        assert (resumed.history.epoch, resumed.history.steps) == (whole.history.epoch, whole.history.steps)
        assert resumed.optimizer.state() == whole.optimizer.state()
        for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(watched, watching, strict=True):
            assert str(a.get_state()) == str(b.get_state())
        for file in (tmp_path / "whole").glob("*.csv"):
            assert (parts / file.name).read_bytes() == file.read_bytes()
        assert not folder.exists()


def digest(model):
    return [model.history.history, [w.tobytes().hex() for w in model.get_weights()]]


def process(function):
    """One that begins here: what this one has, without importing it again."""
    child = multiprocessing.get_context("fork").Process(target=function)
    child.start()
    return child


@pytest.mark.parametrize("number", range(1, 8))
def test_killed_at_each_step_of_writing_a_backup(number, tmp_path, monkeypatch):
    """Calls 1 to 3 write the first backup (fsync, rename, fsync of the folder), 4 to 7 the second: the first is moved aside."""
    calls = []

    def dying(original):
        def call(*arguments):
            calls.append(original)
            if len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        return call

    def train():
        run(endless, 1, tmp_path, callbacks.BackupAndRestore(tmp_path / "backup", 2, double_checkpoint=True))

    with monkeypatch.context() as patched:
        for name in ("fsync", "replace"):
            patched.setattr(os, name, dying(getattr(os, name)))
        child = process(train)
        child.join(60)
    assert child.exitcode == -signal.SIGKILL
    resumed, _, _ = run(endless, 1 if number < 3 else 2, tmp_path, callbacks.BackupAndRestore(tmp_path / "backup", 2))
    assert digest(resumed) == digest(run(endless, 1, tmp_path)[0])


def test_a_folder_is_for_one_training_at_a_time(tmp_path):
    """The second is told so, and changes nothing; when the first is killed, its lock goes with it."""
    there, never = (multiprocessing.get_context("fork").Event() for _ in range(2))
    folder = tmp_path / "backup"

    def wait(batch, logs):
        if batch == 3:
            there.set()
            never.wait()

    hook = callbacks.LambdaCallback(on_train_batch_end=wait)
    first = process(lambda: run(endless, 1, tmp_path, callbacks.BackupAndRestore(folder, 2), hook))
    assert there.wait(60)
    kept = (folder / "latest.safetensors").read_bytes()
    with pytest.raises(RuntimeError, match="another one uses"):
        run(endless, 2, tmp_path, callbacks.BackupAndRestore(folder))
    assert (folder / "latest.safetensors").read_bytes() == kept
    with pytest.raises(RuntimeError, match="another one uses"):  # of this process
        FolderLock(tmp_path), FolderLock(f"{tmp_path}/backup/..")
    first.kill()
    first.join(60)
    resumed, _, _ = run(endless, 2, tmp_path, callbacks.BackupAndRestore(folder, 2))
    assert digest(resumed) == digest(run(endless, 1, tmp_path)[0])
    assert not folder.exists()


def test_a_full_disk_ends_the_training_and_leaves_the_backup(tmp_path, monkeypatch):
    """With room again, it goes on."""
    folder, left = tmp_path / "backup", [4]

    def fsync(descriptor):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match=r"No space left.*latest\.safetensors"):
        patched.setattr("fastconv.saving.atomic.os.fsync", fsync)
        run(pipeline, 1, tmp_path, callbacks.BackupAndRestore(folder, 1))
    assert [path.name for path in folder.iterdir()] == ["latest.safetensors"]
    resumed, _, _ = run(pipeline, 2, tmp_path, callbacks.BackupAndRestore(folder, 1))
    assert digest(resumed) == digest(run(pipeline, 1, tmp_path)[0])


def test_a_long_history_fits(tmp_path):
    """As arrays: what a JSON text may hold is limited."""
    history = callbacks.History()
    history.history = {name: RNG.random(150_000).tolist() for name in ("loss", "val_loss")}
    history.epoch = list(range(150_000))
    model = model_of(loss="mse")
    save_archive(tmp_path / "b", snapshot(model, history=history.get_state()))
    again = callbacks.History()
    with going_on(load_archive(tmp_path / "b")) as progress:
        again.set_state(progress["history"])
    assert (again.history, again.epoch) == (history.history, history.epoch)


@pytest.mark.parametrize("damage", [["at"], ["position"], ["position", "callbacks"], ["position", "data", "taken"]])
def test_a_backup_that_does_not_say_where_it_was_is_refused(damage, tmp_path):
    file = tmp_path / "backup" / "latest.safetensors"
    run(endless, 1, tmp_path, callbacks.BackupAndRestore(file.parent, 2), KillAt(5))
    archive = load_archive(file)
    *way, last = damage
    part = archive.progress
    for name in way:
        part = part[name]
    part[last] = {"array": "missing"}
    save_archive(file, archive)
    with pytest.raises(CheckpointError, match=r"does not fit|must say where"):
        run(endless, 1, tmp_path, callbacks.BackupAndRestore(file.parent, 2))


def test_other_metrics_or_data_than_before_are_refused(tmp_path):
    def other_metrics(folder):
        _, watching, arguments = pipeline(folder)
        return model_of(loss="sparse_categorical_crossentropy"), watching, arguments

    def other_data(folder):
        model, watching, arguments = pipeline(folder)
        return model, watching, {**arguments, "x": Dataset(X, Y).batch(9)}

    backup = callbacks.BackupAndRestore(tmp_path, 2)
    run(pipeline, 1, tmp_path, backup, KillAt(3))
    for setting, words in ((other_metrics, "got 1 and 1"), (other_data, "same calls")):
        with pytest.raises(CheckpointError, match=words):
            run(setting, 1, tmp_path, backup)
