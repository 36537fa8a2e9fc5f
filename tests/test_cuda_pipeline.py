"""fit on a GPU queues the next step before it looks at the last one, and nobody can tell but by the clock."""

from contextlib import suppress

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, callbacks, layers, losses, optimizers
from fastconv.errors import NonFiniteLossError
from fastconv.models import device_data
from fastconv.plan import targets
from fastconv.testing import fake_cupy, fake_streams
from fastconv.testing.emulation import emulated_gpu

RNG = np.random.default_rng(20261122)
X = RNG.normal(size=(22, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 22)
BATCH = 4  # five batches and one of two


@pytest.fixture
def on_gpu(streaming_gpu):
    fastconv.set_device("cuda")
    yield streaming_gpu
    fastconv.set_device("cpu")


@pytest.fixture(autouse=True)
def batch_by_batch(monkeypatch):
    """No data set is stored on the device: test_cuda_data.py is about those."""
    monkeypatch.setattr(device_data, "RESIDENT_SHARE", 0)


@pytest.fixture(params=["one copy", "a stream for copies", "stored"])
def any_size(request, monkeypatch):
    """Feeds count as small, or as large; or data are on the device."""
    if request.param == "a stream for copies":
        monkeypatch.setattr(targets, "_SMALL", 0)
    if request.param == "stored":
        monkeypatch.setattr(device_data, "RESIDENT_SHARE", 1)


@pytest.fixture
def calls(monkeypatch):
    """Which slots were queued and finished, in order."""
    log = []
    for name in ("queue", "finish"):
        original = getattr(targets.Gpu, name)

        def spy(self, slot, name=name, original=original):
            log.append(f"{name} {slot}")
            return original(self, slot)

        monkeypatch.setattr(targets.Gpu, name, spy)
    return log


class Looks(callbacks.Callback):
    """Keeps the weights after every batch, so fit has to wait."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([*self.model.get_weights(), self.model.optimizer.iterations])


def built(optimizer="adam"):
    fastconv.utils.set_random_seed(5)
    stack = [layers.Dense(5, activation="relu"), layers.Dropout(0.3), layers.BatchNormalization(), layers.Dense(3)]
    model = Sequential([layers.Input((6,)), *stack, layers.Softmax()])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fitted(x=X, y=Y, hooks=(), epochs=3, **how):
    model = built()
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=list(hooks), **how)
    return model, history.history


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_same_bits_and_logs_as_waiting_for_every_step(on_gpu, any_size):
    expected, expected_logs = fitted(hooks=[Looks()], validation_data=(X[:5], Y[:5]))
    actual, logs = fitted(validation_data=(X[:5], Y[:5]))
    assert logs == expected_logs
    assert_same(actual.get_weights(), expected.get_weights())
    assert actual.optimizer.iterations == expected.optimizer.iterations == 18


def test_a_step_is_queued_before_the_last_is_looked_at(on_gpu, calls):
    fitted(x=X[:16], y=Y[:16], epochs=1)
    assert calls == ["queue 0", "queue 1", "finish 0", "queue 0", "finish 1", "queue 1", "finish 0", "finish 1"]


@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_batch_end"])
def test_a_callback_that_looks_at_batches_is_waited_for(on_gpu, calls, hook):
    fitted(x=X[:12], y=Y[:12], epochs=1, hooks=[callbacks.LambdaCallback(**{hook: lambda batch, logs=None: None})])
    assert calls == ["queue 0", "finish 0"] * 3


def test_callbacks_that_look_at_nothing_but_logs_are_not(on_gpu, calls, tmp_path):
    hooks = [callbacks.TerminateOnNaN(), callbacks.ModelCheckpoint(tmp_path / "m.fastconv")]
    fitted(x=X[:8], y=Y[:8], epochs=1, hooks=hooks)
    assert calls == ["queue 0", "queue 1", "finish 0", "finish 1"]
    calls.clear()
    fitted(x=X[:8], y=Y[:8], epochs=1, hooks=[callbacks.ModelCheckpoint(tmp_path / "m{batch}.fastconv", save_freq=1)])
    assert calls == ["queue 0", "finish 0"] * 2


def test_an_optimizer_that_needs_every_verdict_is_waited_for(on_gpu, calls):
    optimizer = optimizers.SGD(0.1)
    optimizer.waits_for_verdict = True
    built(optimizer).fit(X[:8], Y[:8], batch_size=BATCH, verbose=0)
    assert calls == ["queue 0", "finish 0"] * 2


def test_a_callback_sees_the_state_after_its_batch(on_gpu):
    looks = Looks()
    fitted(hooks=[looks], epochs=1, shuffle=False)
    model = built()
    for batch, seen in enumerate(looks.seen):
        rows = slice(batch * BATCH, (batch + 1) * BATCH)
        model.train_on_batch(X[rows], Y[rows])
        assert_same(seen, [*model.get_weights(), model.optimizer.iterations])
    assert len(looks.seen) == 6


def test_an_iterable_that_reads_the_weights_sees_those_after_the_last_batch(on_gpu):
    looks, seen = Looks(), []
    fitted(hooks=[looks], epochs=1, shuffle=False)
    model = built()

    def batches():
        for start in range(0, len(X), BATCH):
            seen.append([*model.get_weights(), model.optimizer.iterations])
            yield X[start : start + BATCH], Y[start : start + BATCH]

    model.fit(batches(), verbose=0)
    for a, b in zip(seen[1:], looks.seen, strict=False):
        assert_same(a, b)


def spoilt(batch):
    x = X.copy()
    x[batch * BATCH] = np.nan
    return x


@pytest.mark.parametrize("batch", [0, 2, 4, 5])
def test_what_is_queued_after_a_bad_step_changes_nothing(on_gpu, batch):
    model, waiting = built(), built()
    for hooks, one in (([], model), ([Looks()], waiting)):
        fastconv.random.seed(1)
        with pytest.raises(NonFiniteLossError, match=f"epoch 1, batch {batch + 1}"):
            one.fit(spoilt(batch), Y, batch_size=BATCH, shuffle=False, verbose=0, callbacks=hooks)
        state = fastconv.random.get_state()
        assert one.optimizer.iterations == batch
        one.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0)  # goes on as if that fit had ended there
        assert one.optimizer.iterations == batch + 6
        hooks.append(state)
    assert_same(model.get_weights(), waiting.get_weights())
    assert fastconv.random.get_state()[1] == state[1] + 6  # a mask's seed for each step; none for a step that was lost


def test_terminate_on_nan_ends_with_the_bad_batch(on_gpu):
    model = built()
    history = model.fit(
        spoilt(2), Y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0, callbacks=callbacks.TerminateOnNaN()
    )
    assert len(history.history["loss"]) == 1 and np.isnan(history.history["loss"][0])
    assert model.optimizer.iterations == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_exception_between_steps_leaves_every_step_that_was_queued(on_gpu, error):
    model = built()

    def batches():
        for start in range(0, 3 * BATCH, BATCH):
            yield X[start : start + BATCH], Y[start : start + BATCH]
        raise error

    with pytest.raises(error):
        model.fit(batches(), verbose=0)
    expected = built()
    for start in range(0, 3 * BATCH, BATCH):
        expected.train_on_batch(X[start : start + BATCH], Y[start : start + BATCH])
    assert_same(model.get_weights(), expected.get_weights())
    assert model.optimizer.iterations == 3


def test_a_bad_step_comes_before_the_error_of_the_batch_after_it(on_gpu):
    model = built()

    def batches():
        yield X[:BATCH], Y[:BATCH]
        yield spoilt(0)[:BATCH], Y[:BATCH]
        yield X[:BATCH], Y[:BATCH] + 7

    with pytest.raises(NonFiniteLossError, match="batch 2"):
        model.fit(batches(), verbose=0)
    assert model.optimizer.iterations == 1


@pytest.mark.parametrize("place", ["upload", "_send", "_replay", "written"])
def test_an_interrupt_within_a_step_loses_that_step_at_most(on_gpu, monkeypatch, place):
    model, left = built(), [4]
    owner = targets.Mirror if place in ("upload", "written") else targets.Gpu
    original = getattr(owner, place)

    def interrupted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        original(*arguments)

    model.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0)
    monkeypatch.setattr(owner, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0)
    monkeypatch.setattr(owner, place, original)
    happened = model.optimizer.iterations - 6
    expected = built()
    expected.fit(X, Y, batch_size=BATCH, shuffle=False, verbose=0)
    for start in range(0, happened * BATCH, BATCH):
        expected.train_on_batch(X[start : start + BATCH], Y[start : start + BATCH])
    assert_same(model.get_weights(), expected.get_weights())


def test_evaluate_and_predict(on_gpu, any_size):
    model, _ = fitted()
    fastconv.set_device("cpu")
    there = built()
    there.set_weights(model.get_weights())
    scores, outputs = there.evaluate(X, Y, batch_size=BATCH, verbose=0), there.predict(X, batch_size=BATCH)
    fastconv.set_device("cuda")
    np.testing.assert_allclose(model.evaluate(X, Y, batch_size=BATCH, verbose=0), scores, rtol=1e-4)
    np.testing.assert_allclose(model.predict(X, batch_size=BATCH), outputs, rtol=1e-4, atol=1e-6)


# That these tests can fail: each wait, left out, shows.


def differs_from(expected):
    try:
        actual, _ = fitted()
    except NonFiniteLossError:  # poison
        return True
    return any((a != b).any() for a, b in zip(actual.get_weights(), expected.get_weights(), strict=True))


@pytest.mark.parametrize("lacking", ["compute waits for its copy", "a copy waits until the last one has been used"])
def test_a_wait_between_streams_that_is_left_out_shows(emulated_module, monkeypatch, lacking):
    monkeypatch.setattr(targets, "_SMALL", 0)
    original = fake_streams.Stream.wait_event

    def wait(self, event):
        _, copies = targets.streams(fake_cupy, 0)
        if (self is copies) != (lacking == "a copy waits until the last one has been used"):
            original(self, event)

    found = []
    for seed in range(3):
        with emulated_gpu(emulated_module), monkeypatch.context() as patch:
            fastconv.set_device("cuda")
            expected, _ = fitted()
            patch.setattr(fake_streams.Stream, "wait_event", wait)
            with fake_streams.progress("random", seed):
                found.append(differs_from(expected))
            fastconv.set_device("cpu")
    assert any(found)


def test_results_that_are_not_waited_for_show(emulated_module, monkeypatch):
    with emulated_gpu(emulated_module, progress="late"):
        fastconv.set_device("cuda")
        expected, _ = fitted()
        monkeypatch.setattr(fake_streams.Event, "synchronize", lambda self: None)
        assert differs_from(expected)
        fastconv.set_device("cpu")


def test_pageable_memory_is_refused(emulated_module):
    with emulated_gpu(emulated_module) as cupy, pytest.raises(RuntimeError, match="pinned"):
        there = cupy.empty((4,), np.float32)
        there.data.copy_from_host_async(X.ctypes.data, 16)


class Killed(Exception):
    pass


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_an_interrupted_training_goes_on_to_the_last_bit(on_gpu, save_freq, tmp_path):
    """In float16 with a loss scale, whose state is part of the backup, as are the sums behind the logs."""

    def fit(seed, *given):
        fastconv.random.seed(seed)
        stack = [layers.Dense(8, activation="relu", dtype="mixed_float16"), layers.Dropout(0.3), layers.Dense(3)]
        model = Sequential([layers.Input((6,)), *stack])
        optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=2.0**20, dynamic_growth_steps=3)
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        with suppress(Killed):
            model.fit(X, Y, batch_size=BATCH, epochs=3, verbose=0, callbacks=list(given))
        return model

    def kill(batch, logs):
        taken.append(batch)
        if len(taken) == 9:  # of 18
            raise Killed

    taken: list[int] = []
    whole = fit(1)
    fit(1, callbacks.BackupAndRestore(tmp_path, save_freq), callbacks.LambdaCallback(on_train_batch_begin=kill))
    resumed = fit(2, callbacks.BackupAndRestore(tmp_path, save_freq))
    assert resumed.history.history == whole.history.history
    assert resumed.optimizer.state() == whole.optimizer.state()
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
