"""Going on after an interruption, looking at averaged weights, and looking for a rate: what comes back to the last bit."""

import subprocess
import sys

import numpy as np
import pytest

from fastconv import callbacks, layers, models, optimizers, random, schedules
from fastconv.datasets import Dataset
from fastconv.errors import CheckpointError
from fastconv.tuning import find_learning_rate

X = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
Y = (X @ np.linspace(-1, 1, 6, dtype=np.float32))[:, None]


def make(optimizer=None):
    random.seed(3)
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer or optimizers.Adam(0.01), "mse")
    return model


class Killed(Exception):
    pass


def kill_after(steps):
    """As the step after so many begins."""
    left = [steps]

    def count(batch, logs):
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    return callbacks.LambdaCallback(on_train_batch_begin=count)


def fit(model, *given, epochs=4):
    return model.fit(X, Y, batch_size=16, epochs=epochs, callbacks=list(given), verbose=0)  # 4 batches an epoch


def same_course(a, b):
    """Also of what was seen on the way."""
    for kept in ("history", "epoch", "steps"):
        assert getattr(a.history, kept) == getattr(b.history, kept)
    same(a, b)


def same(a, b):
    assert a.optimizer.iterations == b.optimizer.iterations
    for first, second in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01),
    "schedule": lambda: optimizers.SGD(schedules.OneCycle(0.1, 16), momentum=0.9),
    "averages": lambda: optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8),
    "factors": lambda: optimizers.Adafactor(0.01),
    "matrices": lambda: optimizers.Muon(0.01),
    "accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "schedule-free": lambda: optimizers.ScheduleFreeAdamW(0.01),
    "parts": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.1), {".*/bias": optimizers.Adam(0.01)})
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("save_freq", "killed"), [("epoch", 10), (1, 8), (3, 11), ("epoch", 2)])
def test_a_killed_training_goes_on_to_the_last_bit(optimizer, save_freq, killed, tmp_path):
    folder, rate = tmp_path / "backup", OPTIMIZERS[optimizer]
    whole = make(rate())
    fit(whole)
    interrupted = make(rate())
    with pytest.raises(Killed):
        fit(interrupted, callbacks.BackupAndRestore(folder, save_freq), kill_after(killed))
    resumed = make(rate())
    if folder.exists():
        random.seed(99)  # whatever happens in between
    seen = []
    fit(
        resumed,
        callbacks.BackupAndRestore(folder, save_freq),
        callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch)),
    )
    same_course(whole, resumed)
    if save_freq == "epoch":
        assert len(seen) == 16 - killed // 4 * 4
    else:
        assert len(seen) == 16 - killed // save_freq * save_freq and seen[-1] == 3
    assert not folder.exists()


def test_a_rate_that_a_callback_has_set_comes_back(tmp_path):
    model = make()
    with pytest.raises(Killed):
        halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
        fit(model, halve, callbacks.BackupAndRestore(tmp_path), kill_after(10))
    again = make()
    fit(
        again, callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2
    )  # two were done: nothing is left
    assert again.optimizer.learning_rate == 0.01 / 4 and again.optimizer.iterations == 8


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("on_epoch", [None, False, True])
def test_averages_survive_a_kill_between_epochs(epoch, on_epoch, tmp_path):
    """Also one after the last step, and with the averages in the model while the backup is written."""

    def kill(at, logs):
        if at == epoch:
            raise Killed

    def swapping():
        return [] if on_epoch is None else [callbacks.SwapEMAWeights(on_epoch)]

    whole, interrupted, resumed = (make(OPTIMIZERS["averages"]()) for _ in range(3))
    random.seed(8)
    fit(whole, *swapping())
    random.seed(8)
    killer = callbacks.LambdaCallback(on_epoch_end=kill)
    killer.runs_last = True  # when the backup has been written
    with pytest.raises(Killed):
        fit(interrupted, *swapping(), callbacks.BackupAndRestore(tmp_path), killer)
    random.seed(9)
    fit(resumed, *swapping(), callbacks.BackupAndRestore(tmp_path))
    same_course(whole, resumed)


def test_it_deletes_only_what_it_has_written(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(make(), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_last_backup_but_one_serves_when_the_last_is_damaged(tmp_path, capsys):
    with pytest.raises(Killed):
        fit(make(), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), kill_after(10))
    latest = tmp_path / "latest.safetensors"
    latest.write_bytes(latest.read_bytes()[:-20])
    with pytest.raises(Killed):  # before there is a new one, which must not cost the good one
        fit(make(), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), kill_after(1))
    assert "damaged" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["latest.safetensors.bkp"]
    resumed = make()
    fit(resumed, callbacks.BackupAndRestore(tmp_path))
    whole = make()
    fit(whole)
    same_course(whole, resumed)


def test_a_backup_of_something_else_is_refused(tmp_path):
    def interrupted(model):
        fit(model, callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=1)

    interrupted(make())
    with pytest.raises(CheckpointError, match="expected the state of SGD"):
        interrupted(make(optimizers.SGD(0.1)))
    other = models.Sequential([layers.Input((6,)), layers.Dense(1)])
    other.compile(optimizers.Adam(0.01), "mse")
    before = other.get_weights()
    with pytest.raises(CheckpointError, match="same architecture"):
        interrupted(other)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
    (tmp_path / "latest.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError):
        interrupted(make())


def test_a_process_that_is_killed(tmp_path):
    """SIGKILL in the middle of an epoch, whatever is being written at that time."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from test_callbacks_backup import *
hook = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: left.pop() or os.kill(os.getpid(), signal.SIGKILL))
left = [None] + [1] * 9
fit(make(), callbacks.BackupAndRestore({str(tmp_path / "b")!r}, 2), hook)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -9
    resumed = make()
    fit(resumed, callbacks.BackupAndRestore(tmp_path / "b", 2))
    whole = make()
    fit(whole)
    same_course(whole, resumed)


@pytest.mark.parametrize("on_epoch", [False, True])
def test_evaluations_see_the_averages(on_epoch):
    model = make(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    during, after = [], []
    model.fit(
        X,
        Y,
        epochs=3,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[
            callbacks.SwapEMAWeights(on_epoch),
            callbacks.LambdaCallback(
                on_test_end=lambda logs: during.append(logs["loss"]),
                on_epoch_end=lambda epoch, logs: after.append(model.get_weights()),
            ),
        ],
    )
    plain = make(optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    plain.fit(X, Y, epochs=3, verbose=0)
    same(model, plain)  # swapping has changed nothing
    assert during[-1] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-6)
    ended_with_averages = all(np.array_equal(a, b) for a, b in zip(after[-1], model.get_weights(), strict=True))
    assert ended_with_averages == on_epoch


def test_averages_need_an_optimizer_that_keeps_some():
    with pytest.raises(ValueError, match="use_ema=True"):
        fit(make(), callbacks.SwapEMAWeights())


def test_a_search_for_a_rate_changes_nothing(tmp_path):
    model, other = make(), make()
    for m in (model, other):
        random.seed(5)
        fit(m, epochs=1)
    state = random.get_state()
    sweep = find_learning_rate(model, X, Y, batch_size=16, steps=60)
    assert random.get_state() == state and model.optimizer.learning_rate == 0.01
    assert (np.diff(sweep.rates) > 0).all() and len(sweep.rates) == len(sweep.losses) == len(sweep.smoothed) <= 60
    same(model, other)
    for m in (model, other):  # the optimizer's moments too
        random.set_state(state)
        fit(m, epochs=2)
    same(model, other)
    sweep.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 5000


def test_the_suggestion_trains_and_a_rate_far_above_does_not():
    """Least squares by gradient descent diverges from 2 / (largest curvature) on; the sweep must see it."""
    model = models.Sequential([layers.Input((6,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.1), "mse")
    limit = 2 / np.linalg.eigvalsh(2 * np.cov(X.T, bias=True)).max()
    sweep = find_learning_rate(model, Dataset(X, Y).batch(50), max_rate=1e4, steps=80)
    assert limit / 100 < sweep.suggestion < limit
    assert sweep.rates[-1] < 1e4  # it ended early
    model.optimizer.learning_rate = sweep.suggestion
    before = model.evaluate(X, Y, verbose=0)
    assert model.fit(X, Y, epochs=20, verbose=0).history["loss"][-1] < before / 4


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: find_learning_rate(make(), X, Y, min_rate=1, max_rate=0.1), ValueError, "max_rate > 1"),
        (lambda: find_learning_rate(make(optimizers.SGD(schedules.OneCycle(1, 9))), X, Y), TypeError, "one number"),
        (lambda: find_learning_rate(make(), zip([X], [Y], strict=True), Y), ValueError, "iterable"),
        (lambda: find_learning_rate(make(), X, Y * np.float32(1e30)), ValueError, "finite"),
        (lambda: callbacks.BackupAndRestore("x", save_freq=0), ValueError, "save_freq >= 1"),
        (lambda: callbacks.BackupAndRestore(""), ValueError, "backup_dir"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()
