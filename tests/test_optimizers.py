"""Optimizers and schedules: the declared rules, run here in NumPy, against PyTorch and Keras; refusals.

``apply`` below is what a kernel does with an optimizer's declaration. It reads nothing of the optimizer but
``kernel``, ``slots``, ``hyper`` and ``clip``, so it also tests that these suffice.
"""

import math
import os

import numpy as np
import pytest

from fastconv import optimizers, schedules
from fastconv.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, TorchSGD


def sgd(w, g, slots, hyper):
    rate, momentum, nesterov = hyper[:3]
    if not slots:
        return w - rate * g
    velocity = slots["velocity"] = momentum * slots["velocity"] - rate * g
    return w + (momentum * velocity - rate * g if nesterov else velocity)


def torch_sgd(w, g, slots, hyper):
    rate, momentum, nesterov, decay = hyper[:4]
    d = g + decay * w
    velocity = slots["velocity"] = momentum * slots["velocity"] + d
    return w - rate * (d + momentum * velocity if nesterov else velocity)


def adam(w, g, slots, hyper):
    rate, beta_1, beta_2, epsilon, _, step = hyper[:6]
    slots["m"] += (g - slots["m"]) * (1 - beta_1)
    slots["v"] += (g * g - slots["v"]) * (1 - beta_2)
    alpha = rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    largest = slots["v"]
    if "v_hat" in slots:
        largest = slots["v_hat"] = np.maximum(slots["v_hat"], slots["v"])
    return w - slots["m"] * alpha / (np.sqrt(largest) + epsilon)


def rmsprop(w, g, slots, hyper):
    rate, rho, momentum, epsilon, centered = hyper[:5]
    variance = slots["velocity"] = rho * slots["velocity"] + (1 - rho) * g * g
    if centered:
        slots["average_gradient"] = rho * slots["average_gradient"] + (1 - rho) * g
        variance = variance - slots["average_gradient"] ** 2
    step = rate * g / np.sqrt(variance + epsilon)
    if momentum:
        step = slots["momentum"] = momentum * slots["momentum"] + step
    return w - step


def adagrad(w, g, slots, hyper):
    rate, epsilon = hyper[:2]
    slots["accumulator"] += g * g
    return w - rate * g / np.sqrt(slots["accumulator"] + epsilon)


RULES = {
    "sgd_update": sgd,
    "torch_sgd_update": torch_sgd,
    "adam_update": adam,
    "rmsprop_update": rmsprop,
    "adagrad_update": adagrad,
}
DECAY_AT = {"sgd_update": 3, "torch_sgd_update": 7, "adam_update": 4, "rmsprop_update": 5, "adagrad_update": 2}


def apply(optimizer, w, gradients):
    """The weight after each of the gradients, float64."""
    w = w.copy()
    slots = {name: np.full(w.shape, value) for name, value in optimizer.slots().items()}
    clipvalue, clipnorm = optimizer.clip()
    average = np.full(w.shape, math.nan)
    for g in gradients:
        optimizer.iterations += 1
        hyper = optimizer.hyper(optimizer.iterations)
        assert hyper.shape == (8,) and hyper.dtype == np.float64
        g = np.clip(g, -clipvalue, clipvalue)
        norm = np.sqrt((g * g).sum())
        if norm > clipnorm:
            g = g * clipnorm / norm
        w = w - w * hyper[DECAY_AT[optimizer.kernel]] * hyper[0]
        w = RULES[optimizer.kernel](w, g, slots, hyper)
        if optimizer.averaging is not None:
            momentum, overwrites = optimizer.averaging.hyper(optimizer.iterations)[:2]
            average = momentum * average + (1 - momentum) * w if momentum else w
            w = average if overwrites else w
    return w


VARIANTS = [
    lambda o: o.SGD(),
    lambda o: o.SGD(0.1, momentum=0.9),
    lambda o: o.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda o: o.SGD(0.1, clipnorm=0.5),
    lambda o: o.SGD(0.1, clipvalue=0.3),
    lambda o: o.SGD(0.1, momentum=0.5, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=3),
    lambda o: o.Adam(use_ema=True, ema_overwrite_frequency=1),
    lambda o: o.Adam(),
    lambda o: o.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-3, weight_decay=0.1),
    lambda o: o.AdamW(0.01),
    lambda o: o.Adam(0.01, amsgrad=True, beta_2=0.5),
    lambda o: o.RMSprop(),
    lambda o: o.RMSprop(0.01, rho=0.8, momentum=0.7),
    lambda o: o.RMSprop(0.01, centered=True, momentum=0.5, epsilon=1e-4),
    lambda o: o.RMSprop(0.01, centered=True, epsilon=1e-4),
    lambda o: o.Adagrad(),
    lambda o: o.Adagrad(0.1, initial_accumulator_value=0.5, weight_decay=0.02),
]
SCHEDULES = [
    lambda s: s.ExponentialDecay(0.1, 7, 0.5),
    lambda s: s.ExponentialDecay(0.1, 7, 0.5, staircase=True),
    lambda s: s.InverseTimeDecay(0.1, 7, 0.5),
    lambda s: s.InverseTimeDecay(0.1, 7, 0.5, staircase=True),
    lambda s: s.PolynomialDecay(0.1, 7, 0.01, power=2.0),
    lambda s: s.PolynomialDecay(0.1, 7, 0.01, cycle=True),
    lambda s: s.CosineDecay(0.1, 7),
    lambda s: s.CosineDecay(0.0, 7, alpha=0.1, warmup_target=0.2, warmup_steps=5),
    lambda s: s.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
]


@pytest.fixture
def problem():
    generator = np.random.default_rng(0)
    return generator.normal(size=(4, 3)), generator.normal(size=(12, 4, 3))


@pytest.mark.parametrize(
    ("ours", "name", "theirs"),
    [
        (SGD(0.1), "SGD", {"lr": 0.1}),
        (SGD(0.1, momentum=0.9), "SGD", {"lr": 0.1, "momentum": 0.9}),
        (SGD(0.1, momentum=0.9, nesterov=True), "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (
            TorchSGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.2),
            "SGD",
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
        ),
        (TorchSGD(0.1, weight_decay=0.2), "SGD", {"lr": 0.1, "weight_decay": 0.2}),
        (Adam(0.01, epsilon=1e-15), "Adam", {"lr": 0.01, "eps": 1e-15}),
        (
            AdamW(0.01, weight_decay=0.1, epsilon=1e-15),
            "AdamW",
            {"lr": 0.01, "weight_decay": 0.1, "eps": 1e-15},
        ),
        (RMSprop(0.01, epsilon=1e-30), "RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 0.0}),
        (
            RMSprop(0.01, momentum=0.9, centered=True, epsilon=1e-30),
            "RMSprop",
            {"lr": 0.01, "alpha": 0.9, "eps": 0.0, "momentum": 0.9, "centered": True},
        ),
        (
            Adagrad(0.1, epsilon=1e-30),
            "Adagrad",
            {"lr": 0.1, "initial_accumulator_value": 0.1, "eps": 0.0},
        ),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, optimizers.Optimizer) else "",
)
def test_rules_equal_pytorchs_where_epsilon_does_not_matter(ours, name, theirs, problem):
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    w, gradients = problem
    variable = torch.tensor(w, requires_grad=True)
    optimizer = getattr(torch.optim, name)([variable], **theirs)
    for g in gradients:
        variable.grad = torch.tensor(g)
        optimizer.step()
    np.testing.assert_allclose(apply(ours, w, gradients), variable.detach().numpy(), rtol=1e-12, atol=1e-12)


def test_torch_sgd_follows_pytorchs_through_a_change_of_the_learning_rate_and_kerass_rule_does_not(problem):
    torch = pytest.importorskip("torch", reason="PyTorch is not a dependency; compared where it is installed")
    w, gradients = problem
    triangle = schedules.PiecewiseLinear([0, 4, 12], [0.02, 0.1, 0.01])
    variable = torch.tensor(w, requires_grad=True)
    optimizer = torch.optim.SGD([variable], lr=1.0, momentum=0.85, nesterov=True, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, triangle)
    for g in gradients:
        variable.grad = torch.tensor(g)
        optimizer.step()
        scheduler.step()
    how = {"momentum": 0.85, "nesterov": True, "weight_decay": 0.05}
    theirs = variable.detach().numpy()
    np.testing.assert_allclose(apply(TorchSGD(triangle, **how), w, gradients), theirs, rtol=1e-12, atol=1e-12)
    assert np.abs(apply(SGD(triangle, **how), w, gradients) - theirs).max() > 1e-3


def test_torch_sgd_makes_the_steps_of_sgd_where_nothing_changes(problem):
    w, gradients = problem
    for how in ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1}):
        ours, kerass = (apply(kind(0.1, **how), w, gradients) for kind in (TorchSGD, SGD))
        np.testing.assert_allclose(ours, kerass, rtol=1e-12, atol=1e-12)


def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras's own, of PyTorch's arrays
@pytest.mark.parametrize("make", VARIANTS)
def test_rules_and_configs_equal_kerass(make, problem):
    w, gradients = problem
    theirs = make(keras().optimizers)
    variable = keras().Variable(w.astype("float32"))
    theirs.build([variable])
    for g in gradients:
        theirs.apply([keras().ops.convert_to_tensor(g.astype("float32"))], [variable])
    ours = make(optimizers)
    np.testing.assert_allclose(apply(ours, w, gradients), keras().ops.convert_to_numpy(variable), atol=2e-6)
    again = optimizers.get({"class_name": type(ours).__name__, "config": theirs.get_config()})
    assert again.get_config().keys() == ours.get_config().keys()
    for name, value in again.get_config().items():
        assert value == (pytest.approx(ours.get_config()[name]) if isinstance(value, float) else value)


@pytest.mark.parametrize("make", SCHEDULES)
def test_schedules_equal_kerass(make):
    theirs, ours = make(keras().optimizers.schedules), make(schedules)
    for step in range(20):
        assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5, abs=1e-8)
    assert schedules.deserialize({"class_name": type(ours).__name__, "config": theirs.get_config()})(5) == ours(5)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.ExponentialDecay(1.0, 2, 0.25), {0: 1, 1: 0.5, 2: 0.25, 4: 0.0625}),
        (schedules.ExponentialDecay(1.0, 2, 0.25, staircase=True), {0: 1, 1: 1, 2: 0.25, 3: 0.25}),
        (schedules.InverseTimeDecay(1.0, 1, 1.0), {0: 1, 1: 0.5, 3: 0.25}),
        (schedules.PolynomialDecay(1.0, 4, 0.0), {0: 1, 1: 0.75, 4: 0, 9: 0}),
        (schedules.PolynomialDecay(1.0, 4, 0.0, cycle=True), {0: 1, 4: 0, 6: 0.25, 8: 0}),
        (schedules.CosineDecay(1.0, 4), {0: 1, 2: 0.5, 4: 0, 7: 0}),
        (schedules.CosineDecay(0.0, 4, 0.5, warmup_target=1.0, warmup_steps=2), {0: 0, 1: 0.5, 2: 1, 6: 0.5}),
        (schedules.PiecewiseConstantDecay([2, 4], [3.0, 2.0, 1.0]), {0: 3, 2: 3, 3: 2, 4: 2, 5: 1}),
        (schedules.PiecewiseLinear([2, 4, 8], [1.0, 3.0, 0.0]), {0: 1, 2: 1, 3: 2, 4: 3, 5: 2.25, 8: 0, 99: 0}),
        (schedules.PiecewiseLinear([2], [0.5]), {0: 0.5, 2: 0.5, 3: 0.5}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedule_values(schedule, expected):
    again = schedules.deserialize(schedules.serialize(schedule))
    for step, rate in expected.items():
        assert schedule(step) == again(step) == pytest.approx(rate, abs=1e-15)


def test_schedule_is_called_with_the_step_from_zero():
    seen = []

    class Spy(schedules.LearningRateSchedule):
        def __call__(self, step):
            seen.append(step)
            return 0.1 / (step + 1)

    optimizer = SGD(Spy())
    assert optimizer.learning_rate == 0.1
    assert [optimizer.hyper(step)[0] for step in (1, 2, 3)] == [0.1, 0.1 / 2, 0.1 / 3]
    assert seen == [0, 0, 1, 2]
    optimizer.iterations = 4
    assert optimizer.learning_rate == 0.1 / 5


def test_hyper_layouts():
    assert SGD(0.1, 0.9, True, weight_decay=0.01).hyper(1).tolist() == [0.1, 0.9, 1, 0.01, 0, 0, 0, 0]
    assert Adam(weight_decay=0.2).hyper(7).tolist() == [0.001, 0.9, 0.999, 1e-7, 0.2, 7, 0, 0]
    rmsprop = RMSprop(momentum=0.5, centered=True)
    assert rmsprop.hyper(3).tolist() == [0.001, 0.9, 0.5, 1e-7, 1, 0, 0, 0]
    assert Adagrad().hyper(1).tolist() == [0.001, 1e-7, 0, 0, 0, 0, 0, 0]


def test_slots_are_in_the_kernels_order():
    assert SGD().slots() == {}
    assert list(Adam().slots()) == ["m", "v"]
    assert list(RMSprop().slots()) == ["velocity"]
    assert list(RMSprop(centered=True, momentum=0.1).slots()) == ["velocity", "momentum", "average_gradient"]
    assert Adagrad().slots() == {"accumulator": 0.1}


def test_clip():
    assert SGD().clip() == (math.inf, math.inf)
    assert SGD(clipvalue=2).clip() == (2.0, math.inf)
    assert SGD(clipnorm=2).clip() == (math.inf, 2.0)


def test_old_and_new_spellings():
    assert SGD(lr=0.5).learning_rate == SGD(0.5).lr == 0.5
    for name in ("adam", "Adam", Adam, Adam()):
        assert isinstance(optimizers.get(name), Adam)
    assert optimizers.get("rmsprop").name == "rmsprop"
    assert Adam(amsgrad=False, use_ema=False, global_clipnorm=None).learning_rate == 0.001
    from fastconv.optimizers.schedules import CosineDecay

    assert CosineDecay is schedules.CosineDecay is optimizers.schedules.CosineDecay


def test_learning_rate_can_be_set():
    optimizer = Adam()
    optimizer.learning_rate = np.float32(0.5)
    assert optimizer.hyper(1)[0] == optimizer.learning_rate == 0.5
    optimizer.learning_rate = schedules.CosineDecay(0.1, 10)
    assert optimizer.learning_rate == pytest.approx(0.1)
    with pytest.raises(TypeError, match="schedule owns the learning rate"):
        optimizer.learning_rate = 0.1


@pytest.mark.parametrize("make", [*VARIANTS, lambda o: o.SGD(schedules.CosineDecay(0.1, 5), name="x")])
def test_config_round_trip(make):
    optimizer = make(optimizers)
    again = optimizers.get(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()
    assert again.hyper(3).tolist() == optimizer.hyper(3).tolist()
    assert again.slots() == optimizer.slots() and again.clip() == optimizer.clip()


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, RMSprop, Adagrad])
@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, 10**400, "0.1", None, True, [0.1], 1j])
def test_learning_rate_must_be_positive_and_finite(kind, rate):
    error = ValueError if isinstance(rate, (int, float)) and rate is not True else TypeError
    for call in (lambda: kind(rate), lambda: kind(lr=rate), lambda: setattr(kind(), "learning_rate", rate)):
        with pytest.raises(error, match="learning_rate > 0"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SGD(momentum=1.5), ValueError, "0 <= momentum <= 1"),
        (lambda: SGD(momentum=-0.1), ValueError, "0 <= momentum <= 1"),
        (lambda: SGD(momentum="0.9"), TypeError, "momentum"),
        (lambda: SGD(nesterov=1), TypeError, "nesterov"),
        (lambda: SGD(weight_decay=-1), ValueError, "weight_decay >= 0"),
        (lambda: SGD(clipnorm=0), ValueError, "clipnorm > 0"),
        (lambda: SGD(clipvalue=-1), ValueError, "clipvalue > 0"),
        (lambda: SGD(clipvalue=math.nan), ValueError, "clipvalue > 0"),
        (lambda: SGD(clipvalue=1, clipnorm=1), ValueError, "clipnorm or clipvalue"),
        (lambda: SGD(0.2, lr=0.1), TypeError, "old name"),
        (lambda: SGD(momentun=0.9), TypeError, "'momentun'"),
        (lambda: SGD(loss_scale_factor=0), ValueError, "loss_scale_factor <= "),
        (lambda: SGD(decay=1e-6), ValueError, "not supported"),
        (lambda: Adam(beta_1=1.0), ValueError, "0 <= beta_1 < 1"),
        (lambda: Adam(beta_2=-0.1), ValueError, "0 <= beta_2 < 1"),
        (lambda: Adam(epsilon=0), ValueError, "epsilon > 0"),
        (lambda: Adam(amsgrad=1), TypeError, "amsgrad"),
        (lambda: AdamW(weight_decay=None), TypeError, "weight_decay"),
        (lambda: RMSprop(rho=1), ValueError, "rho"),
        (lambda: Adagrad(initial_accumulator_value=-1), ValueError, "initial_accumulator_value"),
        (lambda: optimizers.get("adamm"), ValueError, "Did you mean 'Adam"),
        (lambda: optimizers.get(None), TypeError, "NoneType"),
        (lambda: optimizers.get({"class_name": "builtins.eval", "config": {}}), ValueError, "builtins.eval"),
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), ValueError, "decay_steps > 0"),
        (lambda: schedules.ExponentialDecay(0, 1, 0.9), ValueError, "initial_learning_rate > 0"),
        (lambda: schedules.CosineDecay(0.1, 10, alpha=2), ValueError, "0 <= alpha <= 1"),
        (lambda: SGD(use_ema=1), TypeError, "use_ema"),
        (lambda: SGD(use_ema=True, ema_momentum=1.5), ValueError, "0 <= ema_momentum <= 1"),
        (lambda: Adam(use_ema=True, ema_overwrite_frequency=0), ValueError, "ema_overwrite_frequency >= 1"),
        (lambda: Adagrad(ema_overwrite_frequency=2.0), TypeError, "ema_overwrite_frequency"),
        (lambda: schedules.PiecewiseLinear([1], [0.1, 0.2]), ValueError, "len"),
        (lambda: schedules.PiecewiseLinear([], []), ValueError, "len"),
        (lambda: schedules.PiecewiseLinear([2, 2], [1, 1]), ValueError, "steps must rise"),
        (lambda: schedules.PiecewiseLinear([2], [-1]), ValueError, "values"),
        (lambda: schedules.PiecewiseConstantDecay([1], [0.1]), ValueError, "one rate"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 1, 1]), ValueError, "rise"),
        (lambda: schedules.LearningRateSchedule()(0), NotImplementedError, "__call__"),
        (lambda: schedules.serialize(lambda step: 0.1), TypeError, "built-in"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).startswith("[")


def test_a_schedule_that_returns_nonsense_is_named():
    class Broken(schedules.LearningRateSchedule):
        def __call__(self, step):
            return math.nan

    with pytest.raises(ValueError, match="learning_rate at step 2"):
        SGD(Broken()).hyper(3)
