"""Memory of plans: nothing is allocated after the first step, and no more of it is held when input sizes vary."""

import gc
import re
import tracemalloc

import numpy as np
import pytest

from fastconv import layers, models
from fastconv.testing.interpreter import has_global_lock
from fastconv.testing.memory import heap_bytes
from fastconv.testing.networks import build, inputs_for, targets_for

pytestmark = pytest.mark.thread_unsafe(reason="counts the memory of the whole process")


@pytest.fixture
def heap():
    """heap_bytes, where the C library can tell."""
    if heap_bytes() is None:
        pytest.skip("needs glibc 2.33")
    return heap_bytes


def growth(plan, heap):
    """Bytes that 50 runs have kept."""
    before = heap()
    for _ in range(50):
        plan.run()
    return heap() - before


@pytest.mark.parametrize("name", ["cnn", "residual", "mlp"])
def test_a_program_allocates_nothing_after_its_first_run(name, heap):
    model = build(name)
    model.compile("adam", "mse")
    plan = model._plan("train", 16)
    model._load(plan, inputs_for(model, 16), targets_for(model, 16), None)
    model._optimizer_state.prepare_step()
    for _ in range(3):
        assert plan.run()
    heap()
    gc.disable()
    try:
        least = min(growth(plan, heap) for _ in range(5))  # other threads of the process allocate now and then
        assert least < 1024  # Python's own integers and frames; one array of 50 would be more
    finally:
        gc.enable()


@pytest.mark.skipif(not has_global_lock(), reason="a free-threaded Python frees later; some kilobytes come and go")
def test_a_training_step_keeps_nothing():
    model = build("cnn")
    model.compile("adam", "mse", metrics=["mae"])
    x, (y,) = inputs_for(model, 16)[0], targets_for(model, 16)
    for _ in range(5):
        model.train_on_batch(x, y)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(5):
            model.train_on_batch(x, y)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            model.train_on_batch(x, y)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 2048
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_when_batch_sizes_vary():
    model = models.Sequential(
        [layers.Input((16, 16, 3)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(4)]
    )
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)

    def train(batches):
        for batch in batches:
            model.train_on_batch(rng.random((batch, 16, 16, 3)), np.zeros((batch, 4)))
            model.predict(rng.random((batch, 16, 16, 3)), batch_size=batch, verbose=0)

    train([64] * 2 + list(range(40, 64)))
    held = [sum(p.plan.arena_bytes for p in cache._plans.values()) for cache in model._plans.values()]
    assert [len(cache._plans) for cache in model._plans.values()] == [8, 0, 8]
    train(range(16, 63))
    for before, cache in zip(held, model._plans.values(), strict=True):
        assert len(cache._plans) <= 8
        assert sum(p.plan.arena_bytes for p in cache._plans.values()) <= before


def test_summary_reports_what_a_batch_needs(capsys):
    model = models.Sequential(
        [layers.Input((28, 28, 1)), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
    )
    model.summary(batch_size=64)
    inference = model._predict_plan(64).plan.arena_bytes / 2**20
    assert f"Memory for a batch of 64: inference {inference:.2f} MiB\n" in capsys.readouterr().out
    model.compile("adam", "mse")
    model.summary(batch_size=64)
    training = model._plan("train", 64).plan.arena_bytes / 2**20
    assert f"inference {inference:.2f} MiB, training step {training:.2f} MiB" in capsys.readouterr().out


def test_summary_of_a_model_without_memory():
    lines = []
    with layers.sizes_only():
        model = models.Sequential([layers.Input((480_000,)), layers.Dense(480_000), layers.Dense(1)])
        model.summary(print_fn=lines.append)
    (needed,) = re.findall(r"Memory for a batch of 32: inference (\S+) MiB", lines[0])
    assert (
        117.19 <= float(needed) < 130
    )  # the input, its product, and a kernel's workspace, whose size the machine decides
