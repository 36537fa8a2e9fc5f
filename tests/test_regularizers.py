"""Regularizers and constraints: values and gradients beside NumPy, what fit and evaluate report, configs, refusals."""

import numpy as np
import pytest

import fastconv
from fastconv import _cpu, constraints, initializers, layers, models, ops, optimizers, random, regularizers
from fastconv import reference as ref
from fastconv.errors import CheckpointError
from fastconv.testing.parity_graphs import constrained, regularized

AXES = (
    ((7, 5), 0),
    ((5, 130), 0),
    ((5, 7), 1),
    ((3, 3, 4, 6), [0, 1, 2]),
    ((3, 4, 5), [1]),
    ((4, 3), None),
    ((6,), -1),
)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_norms_are_the_references(shape, axis, dtype, isa):
    w = np.random.default_rng(1).normal(size=shape).astype(dtype)
    w.flat[0] = 0
    for constraint, least, most, rate in (
        (constraints.MaxNorm(1.5, axis), 0, 1.5, 1),
        (constraints.UnitNorm(axis), 1, 1, 1),
        (constraints.MinMaxNorm(1.0, 1.6, 0.3, axis), 1.0, 1.6, 0.3),
    ):
        expected = ref.norm_constraint_step(w, least=least, most=most, rate=rate, axis=axis)
        np.testing.assert_allclose(constraint(w), expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    np.testing.assert_array_equal(constraints.NonNeg()(w), np.maximum(w, 0))


def test_kerass_examples():
    """keras/src/constraints/constraints_test.py, test_max_norm."""
    x = np.array([[0, 0, 0], [1.0, 0, 0], [3, 0, 0], [3, 3, 3]]).T
    third = 2 / np.sqrt(3)
    target = np.array([[0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [third] * 3]).T
    np.testing.assert_allclose(constraints.MaxNorm(2.0)(x), target, atol=1e-6)


def test_the_number_of_threads_does_not_show():
    w = np.random.default_rng(0).normal(size=(300, 700)).astype(np.float32)
    before, results = fastconv.get_num_threads(), []
    for threads in (1, 2, 3):
        fastconv.set_num_threads(threads)
        dx = ops.penalty_backward(np.ones(1, np.float32), w, l1=0.1, l2=0.2)[0]
        results.append([constraints.UnitNorm()(w), ops.penalty(w, l1=0.1, l2=0.2), dx])
    fastconv.set_num_threads(before)
    assert all(np.array_equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def net(**optimizing):
    random.seed(2)
    model = models.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(4, activation="tanh", kernel_regularizer="l2", activity_regularizer=regularizers.L1(0.3)),
            layers.Dense(
                3, kernel_regularizer=lambda w: ops.penalty(w, l1=0.2), bias_regularizer=regularizers.L1L2(1, 2)
            ),
        ]
    )
    model.layers[1].bias.assign([0.5, -1.0, 0.0])
    model.compile(optimizing.get("optimizer", optimizers.SGD(0.1)), "mse")
    return model


def data(samples=10):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 5)).astype(np.float32), rng.normal(size=(samples, 3)).astype(np.float32)


def expected_loss(model, x, y):
    k1, b1, k2, b2 = (w.astype(np.float64) for w in model.get_weights())
    h = np.tanh(x @ k1 + b1)
    penalties = [0.01 * (k1**2).sum(), 0.2 * abs(k2).sum(), abs(b2).sum() + 2 * (b2**2).sum()]
    np.testing.assert_allclose(model.losses, penalties, rtol=1e-5)
    return ((h @ k2 + b2 - y) ** 2).mean() + sum(penalties) + 0.3 * abs(h).sum() / len(x)


def test_penalties_are_part_of_the_loss_and_of_the_gradients(device):
    model, (x, y) = net(), data()
    expected = expected_loss(model, x, y)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    loss, gradients = model.gradients(x, y)
    assert loss == pytest.approx(expected, rel=1e-5)
    for path, variable in model.weights_by_path().items():
        w, h = variable.numpy(), 1e-3
        at = (1,) * w.ndim
        ends = []
        for side in (-h, h):
            moved = w.copy()
            moved[at] += side
            variable.assign(moved)
            ends.append(expected_loss(model, x, y))
        variable.assign(w)
        assert gradients[path][at] == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=2e-3)
    history = model.fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-5) and history[2] < history[0]
    expected = expected_loss(model, x, y)
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", ("rows", "columns"))
@pytest.mark.parametrize("shape", ((4, 3), (2, 9), (1, 1), (70, 33)))
def test_orthogonal_rows_and_columns(shape, mode, device):
    """The value by cosines, pair by pair; the gradient by differences of it."""
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    if mode == "columns":
        x[:, -1] = 0  # is no direction: cosines 0, and so is the gradient

    def wanted(x):
        rows = x if mode == "rows" else x.T
        units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-7)
        pairs = abs(units @ units.T)[np.triu_indices(len(rows), 1)]
        return 0.5 * pairs.mean() if len(pairs) else 0.0

    regularizer = regularizers.OrthogonalRegularizer(0.5, mode)
    assert regularizer(x) == pytest.approx(wanted(x.astype(np.float64)), abs=1e-6)
    model = models.Sequential(
        [layers.Input(shape[:1]), layers.Dense(shape[1], kernel_regularizer=regularizer, name="d")]
    )
    model.compile("sgd", "mse")
    model.set_weights([x, np.zeros(shape[1], np.float32)])
    loss, found = model.gradients(np.zeros((1, shape[0])), np.zeros((1, shape[1])))
    assert loss == pytest.approx(wanted(x.astype(np.float64)), abs=1e-6)
    cell, ends = (0, 0), []
    for side in (-1e-6, 1e-6):
        moved = x.astype(np.float64)
        moved[cell] += side
        ends.append(wanted(moved))
    assert found["d/kernel"][cell] == pytest.approx((ends[1] - ends[0]) / 2e-6, abs=1e-5)
    assert np.isfinite(found["d/kernel"]).all()


def test_an_orthogonal_regularizer_takes_matrices():
    with pytest.raises(ValueError, match="must be a matrix"):
        regularizers.OrthogonalRegularizer()(np.ones((3, 3, 1, 2), np.float32))
    with pytest.raises(ValueError, match="mode"):
        regularizers.get({"class_name": "OrthogonalRegularizer", "config": {"mode": "diagonal"}})


def test_kerass_other_names():
    """keras.regularizers.l2(0.01), keras.initializers.glorot_uniform(seed=1) and so on."""
    other = {
        regularizers: "l1 l2 l1_l2 orthogonal_regularizer",
        constraints: "max_norm min_max_norm non_neg unit_norm",
        initializers: "constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal lecun_uniform ones "
        "orthogonal random_normal random_uniform truncated_normal variance_scaling zeros IdentityInitializer OrthogonalInitializer",
    }
    for module, names in other.items():
        for name in names.split():
            kind = getattr(module, name)
            assert type(module.get(name)) is kind
            assert kind.__name__.lower().startswith(name.replace("Initializer", "").replace("_", "").lower())


def test_what_is_not_trained_is_not_penalized():
    model = net()
    model.layers[1].trainable = False
    model.reset_plans()
    assert len(model.losses) == 1
    np.testing.assert_allclose(model.losses, [0.01 * (model.get_weights()[0] ** 2).sum()], rtol=1e-5)


def test_loss_scales_apply_to_penalties_too():
    plain, scaled = net(), net(optimizer=optimizers.LossScaleOptimizer(optimizers.SGD(0.1)))
    for model in (plain, scaled):
        for _ in range(3):
            model.train_on_batch(*data())
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # powers of two


def test_constraints_hold_after_every_step(device):
    random.seed(3)
    model = models.Sequential(
        [
            layers.Input((5,)),
            layers.Dense(6, kernel_constraint=constraints.MaxNorm(0.5), bias_constraint="non_neg"),
            layers.Dense(3, kernel_constraint=constraints.UnitNorm(axis=1)),
        ]
    )
    model.compile(optimizers.Adam(0.1), "mse")
    model.fit(*data(), epochs=2, batch_size=5, verbose=0)
    first, bias, second, _ = model.get_weights()
    assert np.linalg.norm(first, axis=0).max() < 0.5 + 1e-5 and bias.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(second, axis=1), 1, atol=1e-5)
    assert model.layers[0].kernel.constraint.max_value == 0.5


@pytest.mark.parametrize("build", [regularized, constrained])
def test_files_keep_them(build, tmp_path):
    random.seed(1)
    model = build(fastconv)
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.safetensors")
    loaded = fastconv.load_model(tmp_path / "m.safetensors")
    assert loaded.get_config() == model.get_config() and loaded.losses == model.losses
    x = np.random.default_rng(0).normal(size=(4, *model.inputs[0].shape[1:])).astype(np.float32)
    y = np.zeros((4, 4), np.float32)
    assert loaded.train_on_batch(x, y) == model.train_on_batch(x, y)
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_custom_layer_declares_and_adds_losses():
    class Scaled(layers.Layer):
        ruled_weights = (("factor", "scales"),)

        def build(self, input_shape):
            self.scales = self.add_weight((input_shape[-1],), "ones", "scales")
            self.shift = self.add_weight((input_shape[-1],), "zeros", "shift", regularizer="l1", constraint="non_neg")

        def call(self, inputs):
            self.add_loss(ops.penalty(inputs, l2=0.5))
            return ops.add(ops.multiply(inputs, self.scales), self.shift)

    layer = Scaled(factor_regularizer=regularizers.L2(0.25), factor_constraint="unit_norm")
    model = models.Sequential([layers.Input((3,)), layer])
    model.compile(optimizers.SGD(0.01), "mse")
    x = np.ones((2, 3), np.float32)
    assert model.evaluate(x, x, verbose=0) == pytest.approx(0.25 * 3 + 0.5 * 6)
    assert layer.get_config()["factor_constraint"] == {"class_name": "UnitNorm", "config": {"axis": 0}}
    assert isinstance(layer.scales.constraint, constraints.UnitNorm) and isinstance(
        layer.shift.regularizer, regularizers.L1
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: regularizers.L2(-1), ValueError, "l2 >= 0"),
        (lambda: regularizers.L1(float("nan")), ValueError, "l1 >= 0"),
        (lambda: regularizers.get("l3"), ValueError, "unknown regularizer"),
        (lambda: regularizers.get(3), TypeError, "regularizer"),
        (lambda: constraints.get(abs), TypeError, "callback"),
        (lambda: constraints.MinMaxNorm(2, 1), ValueError, "max_value >= 2"),
        (lambda: constraints.MaxNorm(axis="0"), TypeError, "axis"),
        (lambda: constraints.MaxNorm(axis=[0, 2])(np.ones((2, 2, 2))), ValueError, "neighbouring axes"),
        (lambda: constraints.UnitNorm(axis=2)(np.ones((2, 2))), ValueError, "neighbouring axes"),
        (lambda: layers.Dense(2, recurrent_regularizer="l2"), TypeError, "recurrent_regularizer"),
        (lambda: layers.Flatten(kernel_regularizer="l2"), TypeError, "kernel_regularizer"),
        (lambda: ops.penalty(np.ones(3), l1=-0.1), ValueError, "l1 >= 0"),
        (
            lambda: models.Sequential([layers.Dense(2, kernel_regularizer=lambda w: w)]).get_config(),
            TypeError,
            "built-in",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_regularizer_gives_one_number():
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, kernel_regularizer=lambda w: w)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one number"):
        model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))


def test_a_file_with_an_unknown_regularizer_is_refused(tmp_path):
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, kernel_regularizer="l2")])
    model.save(tmp_path / "m.safetensors")
    data = (tmp_path / "m.safetensors").read_bytes()
    assert b"L2" in data
    (tmp_path / "m.safetensors").write_bytes(data.replace(b'\\"L2\\"', b'\\"L9\\"'))
    with pytest.raises(CheckpointError):
        models.load_model(tmp_path / "m.safetensors")


def test_the_gradient_of_a_penalty_joins_that_of_the_loss():
    """No pass of its own over a weight's gradient: the penalty's kernel adds the other one."""
    model = net()
    model.train_on_batch(*data())
    (plan,) = [p.plan for p in model._plans["train"]._plans.values()]
    names = [name for name, _ in plan.program.steps]
    assert names.count("penalty_backward") == 4 and "penalty_forward" in names
    sums = [step for step in plan.program.steps if step[0] == "binary_forward"]
    assert len(sums) == 4, sums  # of the loss's parts alone
    assert not [name for name in _cpu.missing_kernels() if "penalty" in name]
