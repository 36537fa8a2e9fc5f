"""Results never depend on the number of threads, on the batch size of predict, or on what other threads do."""

import hashlib
import itertools
import os
import sys
import threading
import time

import numpy as np
import pytest

import networks as measured
from fastconv import _cpu, layers, models, ops, random
from fastconv.ops import _devices
from fastconv.testing.cases import cases
from fastconv.testing.compare import backward, forward, random_inputs
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for


def digest(model):
    """SHA-256 of all weights."""
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


def wide():
    """Large enough that every kernel has work for several threads."""
    random.seed(5)
    return models.Sequential(
        [
            layers.Input((20, 20, 8)),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, activation="silu"),
            layers.Conv2DTranspose(16, 3, strides=2),
            layers.LeakyReLU(),
            layers.AveragePooling2D(2),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(64, activation="gelu"),
            layers.LayerNormalization(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, steps, optimizer="adam"):
    """Trains on data of its own; returns the digest of the weights."""
    x, y = inputs_for(model, 16 * steps), targets_for(model, 16 * steps)
    model.compile(optimizer, ["mse"] * len(y))
    random.seed(9)
    model.fit(x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], batch_size=16, epochs=1, verbose=0)
    return digest(model)


def test_training_gives_the_same_bits_for_any_number_of_threads(threads):
    found = {}
    for n in (1, 2, 3, 8):
        threads(n)
        found[n] = train(wide(), 3)
    assert len(set(found.values())) == 1, found


def test_an_epoch_of_the_cifar_cnn_gives_the_same_bits_for_any_number_of_threads(threads):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (300, 32, 32, 3)).astype(np.float32) / 255
    y = generator.integers(0, 10, 300)
    found = {}
    for n in (1, 2, 3, 5):
        threads(n)
        random.seed(6)
        model = measured.build(measured.NETWORKS["cifar-cnn"])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=64, epochs=1, verbose=0)
        found[n] = digest(model)
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks_too(name, threads):
    found = set()
    for n in (1, 2, 3):
        threads(n)
        found.add(train(build(name), 4, "rmsprop"))
    assert len(found) == 1


def test_a_workspace_for_more_threads_suffices_for_fewer(threads, monkeypatch):
    """A program finds its memory once, for all threads, and may then run on fewer: core/thread_choice.h."""
    calls = []
    monkeypatch.setattr(_devices.HOST, "run", lambda kernel, spec, tensors: calls.append((kernel, spec)))
    for case in cases():
        inputs = random_inputs(case, np.random.default_rng(0), np.float32)
        y = forward(ops, case, inputs)
        backward(ops, case, np.zeros_like(y[0] if isinstance(y, tuple) else y), inputs)
    sizes = {}
    for n in (1, 2, 3, 8, 64):
        threads(n)
        sizes[n] = [_cpu.workspace_bytes(*call) for call in calls]
    assert max(sizes[8]) > 0
    for few, more in itertools.pairwise(sizes):
        worse = [call[0] for call, a, b in zip(calls, sizes[few], sizes[more], strict=True) if a > b]
        assert not worse, (few, more, set(worse))


def test_training_twice_gives_the_same_bits():
    assert train(wide(), 2) == train(wide(), 2)


@pytest.mark.parametrize("name", [*NETWORKS, "wide"])
def test_predict_does_not_depend_on_the_batch_size(name, strict):
    """In strict precision; in fast precision a small batch may take another algorithm."""
    model = wide() if name == "wide" else build(name)
    x = inputs_for(model, 19)
    x = x if len(x) > 1 else x[0]
    expected = model.predict(x, batch_size=19)
    for size in (1, 5, 16, 32):
        got = model.predict(x, batch_size=size)
        for a, b in zip(*(v if isinstance(v, list) else [v] for v in (got, expected)), strict=True):
            np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8), err_msg=f"batch_size={size}")


def test_predict_of_all_samples_is_the_stack_of_single_predictions():
    model = build("cnn")
    (x,) = inputs_for(model, 6)
    singles = np.concatenate([model.predict(x[i : i + 1]) for i in range(6)])
    np.testing.assert_array_equal(model.predict(x), singles)


def in_threads(*functions):
    """Runs functions at the same time; returns their results, or raises what one of them raised."""
    results, errors = [None] * len(functions), []
    start = threading.Barrier(len(functions))

    def work(i):
        start.wait()
        try:
            results[i] = functions[i]()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(functions))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)
    if errors:
        raise errors[0]
    return results


def deterministic_training(seed):
    """A run that draws nothing from the process's random stream while it trains."""
    random.seed(seed)
    model = models.Sequential(
        [layers.Input((28, 28, 8)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(4)]
    )
    (x,), (y,) = inputs_for(model, 96, seed), targets_for(model, 96, seed)
    model.compile("adam", "mse")
    return lambda: (model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0), digest(model))[1]


def test_two_threads_train_two_models():
    alone = [deterministic_training(seed)() for seed in (1, 2)]
    assert alone == in_threads(deterministic_training(1), deterministic_training(2))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_threads_that_ended_leave_their_teams_to_others(threads):
    """A program that starts and ends threads for ever does not gather workers."""
    threads(3)
    model = wide()
    (x,) = inputs_for(model, 4)
    in_threads(lambda: model.predict(x))
    before = len(os.listdir("/proc/self/task"))
    for _ in range(10):
        in_threads(lambda: model.predict(x))
    # join() returns a moment before a thread has put its team back: the next may have to start one more.
    assert len(os.listdir("/proc/self/task")) <= before + 2 * 2


def test_waiting_threads_sleep(threads):
    threads(4)
    model = wide()
    (x,) = inputs_for(model, 4)
    model.predict(x)
    time.sleep(0.01)
    before = time.process_time()
    time.sleep(0.1)
    assert time.process_time() - before < 0.01


def test_many_threads_predict_with_one_model():
    model = wide()
    x = [inputs_for(model, 9, seed)[0] for seed in range(4)]
    expected = [model.predict(a) for a in x]
    for actual, wanted in zip(in_threads(*(lambda a=a: model.predict(a, 4) for a in x)), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_second_fit_of_one_model_waits_or_is_refused():
    """From another thread fits run one after the other; from within (a callback) it is an error."""
    from fastconv.callbacks import Callback

    model = build("mlp")
    model.compile("sgd", "mse")
    (x,), (y,) = inputs_for(model, 32), targets_for(model, 32)

    class Again(Callback):
        def on_epoch_end(self, epoch, logs=None):
            model.fit(x, y, verbose=0)

    with pytest.raises(RuntimeError, match="already training"):
        model.fit(x, y, verbose=0, callbacks=[Again()])
    model.fit(x, y, verbose=0)
