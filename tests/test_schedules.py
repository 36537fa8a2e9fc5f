"""Schedules that rise: restarts, one cycle, warm-up; numbers that Keras and PyTorch gave, and the two themselves."""

import os

import numpy as np
import pytest

from fastconv import layers, models, optimizers, schedules

RESTARTS = [
    ({"first_decay_steps": 4}, 40),
    ({"first_decay_steps": 5, "t_mul": 1.0, "m_mul": 0.5}, 40),
    ({"first_decay_steps": 3, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.1}, 30),
]
CYCLES = [{}, {"pct_start": 0.55, "anneal_strategy": "linear"}, {"div_factor": 4.0, "final_div_factor": 10.0}]


@pytest.mark.parametrize(("arguments", "steps"), RESTARTS)
def test_restarts_equal_kerass(arguments, steps):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed; compared where it is")
    ours = schedules.CosineDecayRestarts(0.1, **arguments)
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.1, **arguments)
    length = arguments["first_decay_steps"]
    for step in range(steps):
        if step and step % length == 0:
            continue  # where float32 decides whether a period has ended, Keras may be on the other side
        assert ours(step) == pytest.approx(float(theirs(step)), rel=2e-5, abs=1e-6)
    again = schedules.deserialize({"class_name": "CosineDecayRestarts", "config": theirs.get_config()})
    assert again.get_config() == theirs.get_config()


@pytest.mark.parametrize("arguments", CYCLES)
def test_one_cycle_equals_pytorchs(arguments):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; compared where it is")
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], 0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.7, total_steps=50, cycle_momentum=False, **arguments
    )
    ours = schedules.OneCycle(0.7, 50, **arguments)
    for step in range(50):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        if step < 49:
            theirs.step()
    assert ours(60) == ours(49)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.CosineDecayRestarts(1.0, 4), {0: 1, 2: 0.5, 4: 1, 8: 0.5, 12: 1, 20: 0.5, 28: 1}),
        (schedules.CosineDecayRestarts(1.0, 4, 1.0, 0.5, alpha=0.2), {0: 1, 4: 0.6, 6: 0.4, 8: 0.4, 4000: 0.2}),
        (schedules.OneCycle(1.0, 10, 0.5, "linear"), {0: 0.04, 2: 0.52, 4: 1, 9: 4e-6, 99: 4e-6}),
        (schedules.OneCycle(1.0, 10, 0.5), {0: 0.04, 2: 0.52, 4: 1, 9: 4e-6}),
        (schedules.WarmUp(schedules.CosineDecay(1.0, 4), 2, 0.5), {0: 0.5, 1: 0.75, 2: 1, 4: 0.5, 6: 0}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_and_configs(schedule, expected):
    again = schedules.deserialize(schedules.serialize(schedule))
    for step, rate in expected.items():
        assert schedule(step) == again(step) == pytest.approx(rate, abs=1e-12)


def test_a_warm_up_travels_with_the_model(tmp_path):
    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(optimizers.Adam(schedules.WarmUp(schedules.OneCycle(0.1, 8), 3)), "mse")
    x = np.ones((12, 3), np.float32)
    model.fit(x, x[:, :1], batch_size=4, verbose=0)
    model.save(tmp_path / "m.safetensors")
    loaded = models.load_model(tmp_path / "m.safetensors")
    for m in (model, loaded):
        m.fit(x, x[:, :1], batch_size=4, shuffle=False, verbose=0)
    assert loaded.optimizer.learning_rate == model.optimizer.learning_rate
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: schedules.CosineDecayRestarts(0.1, 4, t_mul=0.5), ValueError, "t_mul >= 1"),
        (lambda: schedules.OneCycle(0.1, 10, pct_start=0.05), ValueError, "more than a step"),
        (lambda: schedules.OneCycle(0.1, 10, anneal_strategy="exp"), ValueError, "'linear'"),
        (lambda: schedules.WarmUp(0.1, 10), TypeError, "LearningRateSchedule"),
        (lambda: schedules.WarmUp(schedules.OneCycle(0.1, 10), 0), ValueError, "warmup_steps >= 1"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()
