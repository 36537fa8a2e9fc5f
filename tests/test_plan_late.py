"""Gradients computed behind the guard, one by one: less memory, and the same bits as side by side."""

import numpy as np
import pytest

from fastconv import layers, models, ops, optimizers, random
from fastconv.autodiff import gradients
from fastconv.graph import Update, Value, nodes_behind, tracing
from fastconv.models import plans
from fastconv.plan.late import cones, postponed, worth_waiting
from fastconv.plan.runs import Part
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for
from fastconv.variables import Variable

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01, momentum=0.9, weight_decay=0.01),
    "adam, clipnorm, averages": lambda: optimizers.Adam(0.01, clipnorm=0.01, use_ema=True, ema_overwrite_frequency=2),
    "rmsprop, clipvalue": lambda: optimizers.RMSprop(0.01, clipvalue=0.01),
    "gathered gradients": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "muon": lambda: optimizers.Muon(0.01),
    "two": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.Adam(0.01), {".*/bias": optimizers.SGD(0.1)})
    ),
}


def every_gradient_that_can(by_variable, results):
    variables = {gradient: variable for variable, gradient in by_variable.items()}
    found = cones(nodes_behind([*variables, *results]), variables, set(results))
    return {gradient: variables[gradient] for gradient in found}


@pytest.fixture
def waiting(monkeypatch):
    """waiting(True): every gradient that can waits; waiting(False): none does. By default those that are worth it."""

    def wait(all_or_none):
        choice = every_gradient_that_can if all_or_none else lambda by_variable, results: {}
        monkeypatch.setattr(plans, "worth_waiting", choice)

    return wait


def perceptron(**dense):
    """Two weights of 1 MiB and 256 KiB, and two of a few KiB."""
    return models.Sequential(
        [
            layers.Input((512,)),
            layers.Dense(512, activation="relu", name="first", **dense),
            layers.Dropout(0.2),
            layers.Dense(128, activation="relu", name="second", **dense),
            layers.Dense(3, activation="softmax"),
        ]
    )


def steps(model, samples):
    return model._plan("train", samples).plan.program.steps


def trained(model, x, y, count=4):
    """The weights after some steps."""
    random.seed(5)
    for _ in range(count):
        model.train_on_batch(x, y)
    return model.get_weights()


def test_the_gradients_of_large_weights_are_computed_right_before_their_updates():
    model = perceptron()
    model.compile("adam", "mse")
    kernels = [(kernel, problem.split("_")[0]) for kernel, problem in steps(model, 16)]
    assert kernels[-6:-2] == [
        ("dense_backward_weight", "M16K512N512"),
        ("adam_update", "512x512"),
        ("dense_backward_weight", "M16K512N128"),
        ("adam_update", "512x128"),
    ]
    assert {kernel for kernel, _ in kernels[-2:]} == {"adam_update"}


def test_they_take_less_memory():
    """The two gradients alone are the largest part of the arena, and they are never there together."""
    side_by_side, one_by_one = perceptron(), perceptron()
    side_by_side.compile(optimizers.Adam(global_clipnorm=1.0), "mse")  # the norm of all is of all at once
    one_by_one.compile("adam", "mse")
    before, after = (m._plan("train", 16).plan.arena_bytes for m in (side_by_side, one_by_one))
    assert before - after >= 512 * 128 * 4 - 2 * 16 * 512 * 4
    assert plans.train_bytes(one_by_one, one_by_one._losses, [(512,)], 16) == pytest.approx(after, rel=0.05)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "rules", [{}, {"kernel_regularizer": "l2", "kernel_constraint": "max_norm"}], ids=["", "rules"]
)
def test_weights_are_the_same_bits(waiting, optimizer, rules):
    rng = np.random.default_rng(0)
    x, y = rng.random((16, 512), np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 16)]
    results, programs = [], []
    for choice in (None, False):
        if choice is not None:
            waiting(choice)
        random.seed(1)
        model = perceptron(**rules)
        model.compile(OPTIMIZERS[optimizer](), "mse")
        programs.append([f"{kernel} {problem}" for kernel, problem in steps(model, 16)])
        results.append(trained(model, x, y))
    of_weight, of_input = (
        [next(i for i, step in enumerate(program) if step.startswith(name)) for program in programs]
        for name in ("dense_backward_weight M16K512N128", "dense_backward_input M16K512N128")
    )
    assert of_weight[0] > of_input[0]
    assert of_weight[1] < of_input[1]
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", ["adam", "two"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_gradient_may_wait(waiting, name, optimizer):
    """Networks with every layer, where gradients are sums, views and statistics, and one kernel yields several."""
    results = []
    for choice in (True, False):
        waiting(choice)
        random.seed(1)
        model = build(name)
        model.compile("adam" if optimizer == "adam" else OPTIMIZERS[optimizer](), "mse")
        assert not choice or sum(kernel.endswith("_update") for kernel, _ in steps(model, 4)) > 1
        x, y = inputs_for(model, 4), targets_for(model, 4)
        results.append(trained(model, x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], 3))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_refused_step_leaves_every_weight():
    model = perceptron()
    model.compile("adam", "mse")
    before = [w.copy() for w in model.get_weights()]
    x = np.zeros((16, 512), np.float32)
    x[3, 5] = np.inf
    with pytest.raises(ArithmeticError):
        model.train_on_batch(x, np.zeros((16, 3), np.float32))
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_that_look_at_all_gradients_first_have_them_side_by_side():
    for optimizer in (optimizers.Adam(global_clipnorm=1.0), optimizers.Adam(loss_scale_factor=2.0)):
        model = perceptron()
        model.compile(optimizer, "mse")
        kernels = [kernel for kernel, _ in steps(model, 16)]
        last_gradient = max(i for i, kernel in enumerate(kernels) if kernel == "dense_backward_weight")
        assert kernels.index("adam_update") > last_gradient
        assert kernels.count("adam_update") == 1


def test_what_is_larger_than_the_gradient_does_not_wait():
    """A convolution's images, a dense layer's large batch."""
    model = models.Sequential(
        [layers.Input((32, 32, 64)), layers.Conv2D(128, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    )
    model.compile("adam", "mse")
    assert [kernel for kernel, _ in steps(model, 16)].count("adam_update") == 1
    model = perceptron()
    model.compile("adam", "mse")
    assert [kernel for kernel, _ in steps(model, 512)].count("adam_update") == 1


@pytest.fixture
def products():
    """Two gradients, 256 KiB each, with variables, what both are made of, and a sum that the second serves."""
    with tracing():
        x, dy, dz = (ops.relu(Value((8, 256), "float32")) for _ in range(3))
        weights = [Variable(np.zeros((256, 256), np.float32), name) for name in ("w", "v")]
        found = [gradients([ops.dense(x, w)], [d], [w])[0] for w, d in zip(weights, (dy, dz), strict=True)]
        total = ops.add(found[1], weights[1])
    return {"nodes": nodes_behind([*found, total]), "weights": weights, "gradients": found, "total": total, "x": x}


def test_a_gradient_that_others_read_does_not_wait(products):
    (w, v), (dw, dv) = products["weights"], products["gradients"]
    assert worth_waiting({w: dw, v: dv}, []) == {dw: w, dv: v}
    assert worth_waiting({w: dw, v: dv}, [products["total"]]) == {dw: w}


def test_a_cone_holds_what_serves_one_gradient_alone(products):
    (w, v), (dw, _), total = products["weights"], products["gradients"], products["total"]
    found = cones(products["nodes"], {dw: w, total: v}, set())
    assert found[dw][-1] is dw.node
    assert [node.op.name for node in found[total]] == ["activation", "dense_backward_weight", "binary"]
    assert not any(products["x"].node in cone for cone in found.values())
    assert cones(products["nodes"], {dw: w, total: v}, {total}).keys() == {dw}


def test_what_reads_a_variable_that_may_have_changed_does_not_wait(products):
    (w, v), total = products["weights"], products["total"]
    assert total in cones(products["nodes"], {total: v}, set())
    assert total not in cones(products["nodes"], {total: w}, set())


def test_nodes_come_before_the_first_update_that_takes_anything_of_theirs(products):
    """As of a kernel that yields the gradient of a bias too, which another update takes, as a part of a flat value."""
    (w, v), (dw, dv), total, nodes = (products[key] for key in ("weights", "gradients", "total", "nodes"))
    flat = Value((dv.size + 1,), "float32")
    found = cones(nodes, {dw: w, total: v}, set())
    updates = [Update("a", None, [flat]), Update("b", None, [dw]), Update("c", None, [total])]
    early, behind = postponed(nodes, updates, found, {dv: Part(flat, 0)})
    assert behind == [*found[total], updates[0], *found[dw], updates[1], updates[2]]
    assert early == [products["x"].node]
