"""gradient_accumulation_steps and global_clipnorm in whole models: what a step does, what wraps it, and going on from a file."""

import numpy as np
import pytest

from fastconv import layers, losses, models, optimizers, random

WRAPPED = {
    "adam": lambda **o: optimizers.Adam(0.01, **o),
    "adafactor": lambda **o: optimizers.Adafactor(0.01, weight_decay=0.01, **o),
    "lamb": lambda **o: optimizers.Lamb(0.01, weight_decay=0.01, **o),
    "muon": lambda **o: optimizers.Muon(0.01, weight_decay=0.1, **o),
    "nadam, averages": lambda **o: optimizers.Nadam(0.01, use_ema=True, ema_overwrite_frequency=2, **o),
    "schedule free": lambda **o: optimizers.ScheduleFreeAdamW(0.01, **o),
    "ftrl, one norm": lambda **o: optimizers.Ftrl(0.05, global_clipnorm=0.1, **o),
    "lookahead": lambda **o: optimizers.Lookahead(optimizers.Lion(0.01, **o), sync_period=2),
    "loss scale": lambda **o: optimizers.LossScaleOptimizer(optimizers.Adadelta(1.0, **o)),
    "several": lambda **o: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.Adamax(0.01, **o), {".*/bias": optimizers.SGD(0.1, momentum=0.9, clipnorm=0.1, **o)}
        )
    ),
}


def built(optimizer):
    random.seed(5)
    model = models.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(9, activation="tanh", kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.BatchNormalization(),
            layers.Dense(4),
        ]
    )
    model.compile(optimizer, "mse")
    return model


def batch(seed, samples=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(samples, 6)).astype(np.float32), rng.normal(size=(samples, 4)).astype(np.float32)


def plain(optimizer):
    """Without batch normalization: the mean gradient of two halves is that of the whole."""
    random.seed(5)
    model = models.Sequential([layers.Input((6,)), layers.Dense(9, activation="tanh"), layers.Dense(4)])
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", [name for name in WRAPPED if name != "nadam, averages"])  # these follow every step
def test_halves_of_a_batch_make_the_step_of_the_whole(name, device):
    whole, halves = plain(WRAPPED[name]()), plain(WRAPPED[name](gradient_accumulation_steps=2))
    for number in range(4):
        x, y = batch(number)
        whole.train_on_batch(x, y)
        halves.train_on_batch(x[:4], y[:4])
        between = halves.get_weights()
        if number == 0:
            assert all(np.array_equal(a, b) for a, b in zip(between, plain("sgd").get_weights(), strict=True))
        halves.train_on_batch(x[4:], y[4:])
        assert (halves.optimizer.steps, halves.optimizer.iterations) == (2 * number + 2, number + 1)
    for a, b in zip(whole.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize("name", WRAPPED)
def test_training_goes_on_within_an_accumulation_to_the_last_bit(name, tmp_path):
    x, y = batch(0, 40)
    how = {"batch_size": 8, "verbose": 0}

    def made():
        return built(WRAPPED[name](gradient_accumulation_steps=3))

    first, straight = made(), made()
    random.seed(1)
    first.fit(x, y, epochs=1, **how)  # 5 steps: two gradients are waiting
    first.save(tmp_path / "m.safetensors")
    random.seed(1)
    if first.optimizer.averaging is None:
        straight.fit(x, y, epochs=2, **how)
    else:  # fit ends with the averages
        straight.fit(x, y, epochs=1, **how)
        straight.fit(x, y, epochs=2, initial_epoch=1, **how)
    resumed = models.load_model(tmp_path / "m.safetensors")
    resumed.fit(x, y, epochs=2, initial_epoch=1, **how)
    assert resumed.optimizer.steps == straight.optimizer.steps == 10
    for a, b in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_norm_of_all_gradients():
    x, y = batch(3)
    model = plain(optimizers.SGD(1.0, global_clipnorm=0.5))
    _, gradients = model.gradients(x, y, training=True)
    before = {path: w.numpy() for path, w in model.weights_by_path().items()}
    norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    assert norm > 0.5
    model.train_on_batch(x, y)
    for path, w in model.weights_by_path().items():
        np.testing.assert_allclose(w.numpy(), before[path] - gradients[path] * (0.5 / norm), atol=1e-6)


def test_a_step_that_is_refused_gathers_nothing():
    model = plain(optimizers.SGD(0.1, gradient_accumulation_steps=2))
    model.train_on_batch(*batch(0))
    (slots,) = {tuple(s) for s in map(dict.keys, model._optimizer_state.slots.values())}
    assert slots == ("gradient_accumulator",)
    gathered = [s["gradient_accumulator"].numpy() for s in model._optimizer_state.slots.values()]
    x, y = batch(1)
    with pytest.raises(ArithmeticError):
        model.train_on_batch(x, np.full_like(y, 3e38))
    after = [s["gradient_accumulator"].numpy() for s in model._optimizer_state.slots.values()]
    assert all(np.array_equal(a, b) for a, b in zip(gathered, after, strict=True)) and np.any(gathered[0])
    assert model.optimizer.steps == 1


def test_schedules_count_steps_and_rules_count_updates():
    rate = optimizers.schedules.PiecewiseConstantDecay([3], [0.1, 0.01])
    optimizer = optimizers.Adam(rate, gradient_accumulation_steps=3)
    assert [optimizer.hyper(s)[[0, 5, 7]].tolist() for s in (1, 3, 4, 5, 6)] == [
        [0.1, 1, 1],
        [0.1, 1, 0],
        [0.1, 2, 1],
        [0.01, 2, 1],
        [0.01, 2, 0],
    ]
    optimizer.iterations = 2
    assert optimizer.steps == 6 and optimizer.learning_rate == 0.01


def test_lookahead_takes_optimizers_that_update_together():
    several = optimizers.MultiOptimizer(
        optimizers.OptimizerMap("sgd", {".*/bias": optimizers.SGD(gradient_accumulation_steps=2)})
    )
    with pytest.raises(ValueError, match="update together"):
        optimizers.Lookahead(several)


def test_weights_of_two_types_have_no_common_norm():
    model = models.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dense(2, dtype="float64", name="wide")])
    model.compile(optimizers.SGD(global_clipnorm=1.0), losses.MeanSquaredError())
    with pytest.raises((ValueError, TypeError), match="dtype"):
        model.train_on_batch(np.ones((2, 4), np.float32), np.ones((2, 2), np.float32))
