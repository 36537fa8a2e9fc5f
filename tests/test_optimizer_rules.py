"""Adadelta, Adamax, Ftrl, Lamb, Lion and Nadam: their kernels beside the reference, and Keras's published trajectories."""

import numpy as np
import pytest

from fastconv import _cpu, layers, models, optimizers
from fastconv import reference as ref
from fastconv.saving import keras_training
from fastconv.saving.malformed import Malformed

RULES = {
    "adadelta": (optimizers.Adadelta, {"learning_rate": 0.5, "rho": 0.9, "epsilon": 1e-4, "weight_decay": 0.02}),
    "adamax": (optimizers.Adamax, {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.02}),
    "ftrl": (optimizers.Ftrl, {"learning_rate": 0.05, "l1_regularization_strength": 0.05, "beta": 0.1}),
    "ftrl power": (
        optimizers.Ftrl,
        {
            "learning_rate": 0.05,
            "learning_rate_power": -0.3,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.1,
            "weight_decay": 0.02,
        },
    ),
    "lamb": (optimizers.Lamb, {"learning_rate": 0.01, "weight_decay": 0.02}),
    "lion": (optimizers.Lion, {"learning_rate": 0.01, "beta_1": 0.8, "weight_decay": 0.02}),
    "schedule_free": (optimizers.ScheduleFreeAdamW, {"learning_rate": 0.01, "warmup_steps": 2, "weight_decay": 0.02}),
    "nadam": (optimizers.Nadam, {"learning_rate": 0.01, "beta_2": 0.99, "weight_decay": 0.02}),
}
COUNTS_STEPS = ("adamax", "lamb", "nadam", "schedule_free")


def step(optimizer, number, w, g, states):
    spec = _cpu.VectorSpec.make(w.dtype.name, optimizer.kernel, w.shape)
    _cpu.run(optimizer.kernel, spec, [g, optimizer.hyper(number), w, *states])


def states_of(optimizer, w):
    return [w.copy() if value is None else np.full_like(w, value) for value in optimizer.slots().values()]


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("n", (1, 20_011))
@pytest.mark.parametrize("name", RULES)
def test_steps_are_the_references(name, n, dtype, isa):
    kind, settings = RULES[name]
    optimizer, rng = kind(**settings), np.random.default_rng(n)
    rule = getattr(ref, f"{name.split()[0]}_step")
    w = rng.normal(size=n).astype(dtype)
    states = states_of(optimizer, w)
    for number in (1, 2, 3):
        g = rng.normal(size=n).astype(dtype)
        g[0] = 0
        counted = {"step": number} if name in COUNTS_STEPS else {}
        expected = rule(w, g, *states, **settings, **counted)
        step(optimizer, number, w, g, states)
        for actual, wanted in zip((w, *states), expected, strict=True):
            largest = max(1.0, np.abs(wanted).max())
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=32 * np.finfo(dtype).eps * largest)


@pytest.mark.parametrize("name", RULES)
def test_a_step_that_only_gathers_gradients_changes_nothing(name):
    kind, settings = RULES[name]
    optimizer = kind(**settings, gradient_accumulation_steps=3)
    w = np.linspace(-1, 1, 50)
    states = states_of(optimizer, w)
    before = [w.copy(), *(s.copy() for s in states)]
    for number in (1, 2):
        step(optimizer, number, w, np.ones_like(w), states)
        assert all(np.array_equal(a, b) for a, b in zip((w, *states), before, strict=True))
    step(optimizer, 3, w, np.ones_like(w), states)
    once = before[0].copy(), [s.copy() for s in before[1:]]
    step(kind(**settings), 1, once[0], np.ones_like(w), once[1])  # the first update, whatever came before
    np.testing.assert_array_equal(w, once[0])


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("shape", ((1,), (37,), (5, 130), (3, 3, 4, 7), (300, 65)))
def test_adafactor_is_the_references(shape, dtype, isa):
    settings = {"learning_rate": 0.3, "weight_decay": 0.02, "clip_threshold": 0.8}
    optimizer, rng = optimizers.Adafactor(**settings), np.random.default_rng(1)
    w = rng.normal(size=shape).astype(dtype)
    states = [np.zeros(optimizer.slot_shape(name, shape), dtype) for name in optimizer.slots()]
    for number in (1, 2, 3):
        g = rng.normal(size=shape).astype(dtype)
        expected = ref.adafactor_step(w, g, *states, step=number, **settings)
        flat = [states[0].reshape(-1), states[1].reshape(-1), states[2]]
        spec = optimizer.spec(w.dtype.name, shape, shape)
        _cpu.run(optimizer.kernel, spec, [g, optimizer.hyper(number), w, *flat])
        for actual, wanted in zip((w, *states), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=32 * np.finfo(dtype).eps, atol=32 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_adafactor_leaves_weights_alone_that_have_no_gradient(dtype, isa):
    """The product of the means of a row and of a column whose gradients are all 0 is no number of float32."""
    optimizer, shape = optimizers.Adafactor(0.1), (63, 16)
    w = np.random.default_rng(1).normal(size=shape).astype(dtype)
    g = np.random.default_rng(2).normal(size=shape).astype(dtype)
    g[::3], g[:, ::4] = 0, 0
    states = [np.zeros(optimizer.slot_shape(name, shape), dtype) for name in optimizer.slots()]
    before = w.copy()
    for number in (1, 2, 3):
        expected = ref.adafactor_step(w, g, *states, step=number, learning_rate=0.1)
        flat = [states[0].reshape(-1), states[1].reshape(-1), states[2]]
        _cpu.run(optimizer.kernel, optimizer.spec(w.dtype.name, shape, shape), [g, optimizer.hyper(number), w, *flat])
        np.testing.assert_allclose(w, expected[0], rtol=32 * np.finfo(dtype).eps, atol=32 * np.finfo(dtype).eps)
    assert np.array_equal(w == before, g == 0)


GOLDEN = {  # keras/src/optimizers/*_test.py, test_correctness_with_golden: the weight after 1 to 5 steps, in its first places
    "adadelta": (optimizers.Adadelta(1.0, rho=0.8, epsilon=1e-6), [[0.9978], [0.9947], [0.9915], [0.9882], [0.9849]]),
    "adamax": (
        optimizers.Adamax(0.2, beta_1=0.85, beta_2=0.95, epsilon=1e-6),
        [[0.8, 0.8], [0.6827, 0.6873], [0.5333, 0.5407], [0.368, 0.3773], [0.1933, 0.204]],
    ),
    "ftrl": (
        optimizers.Ftrl(0.05, -0.2, 0.4, 0.05, 0.15, 0.01, 0.3),
        [[0.0, 0.0], [-0.0034, -0.0077], [-0.0078, -0.0162], [-0.0121, -0.0246], [-0.0164, -0.0328]],
    ),
    "lamb": (optimizers.Lamb(), [[0.999], [0.9982], [0.9974], [0.9965], [0.9955]]),
    "lion": (optimizers.Lion(), [[0.999], [0.998], [0.997], [0.996], [0.995]]),
    "nadam": (
        optimizers.Nadam(0.5, beta_1=0.5, beta_2=0.67, epsilon=1e-5),
        [[0.4281, 0.4281], [-0.1738, -0.1731], [-0.7115, -0.7103], [-1.2335, -1.2322], [-1.7492, -1.7478]],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_kerass_published_trajectory(name):
    optimizer, golden = GOLDEN[name]
    w = np.ones(10, np.float32)
    states = states_of(optimizer, w)
    gradients = [np.full(10, 0.01, np.float32), *[np.arange(0.1, 1.1, 0.1, dtype=np.float32)] * 4]
    for number, (g, wanted) in enumerate(zip(gradients, golden, strict=True), 1):
        step(optimizer, number, w, g, states)
        np.testing.assert_allclose(w[: len(wanted)], wanted, rtol=5e-4, atol=5e-4)  # their tolerance


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: optimizers.Adadelta(rho=1), "rho < 1"),
        (lambda: optimizers.Adamax(beta_2=1), "beta_2 < 1"),
        (lambda: optimizers.Nadam(epsilon=0), "epsilon > 0"),
        (lambda: optimizers.Lion(beta_1=0), "beta_1 <= 1"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power <= 0"),
        (lambda: optimizers.Ftrl(beta=-1), "beta >= 0"),
        (lambda: optimizers.Lamb(global_clipnorm=0), "global_clipnorm > 0"),
        (lambda: optimizers.SGD(global_clipnorm=1, clipnorm=1), "only one kind of clipping"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "gradient_accumulation_steps >= 2"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("name", RULES)
def test_configs_come_back(name):
    kind, settings = RULES[name]
    optimizer = kind(**settings, gradient_accumulation_steps=4, global_clipnorm=2.0)
    again = optimizers.get(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config() and again.slots() == optimizer.slots()
    assert again.hyper(9).tolist() == optimizer.hyper(9).tolist()


def test_nadams_product_in_a_file_of_keras_must_follow_from_the_step():
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("nadam", "mse")
    for _ in range(3):
        model.train_on_batch(np.ones((4, 3)), np.zeros((4, 2)))
    state = keras_training.write_state(model)
    assert state[-1] == pytest.approx(np.prod([0.9 * (1 - 0.5 * 0.96**t) for t in (1, 2, 3)]))
    keras_training.read_state(model, state)
    with pytest.raises(Malformed, match="follow from the step"):
        keras_training.read_state(model, [*state[:-1], np.array(0.5, np.float32)])
