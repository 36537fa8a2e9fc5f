"""A plan computes what its nodes compute one by one: to the last bit without fusion, within rounding with it."""

import numpy as np
import pytest

from fastconv import _cpu, config, layers, losses, models, ops
from fastconv.graph import Update, Value, tracing
from fastconv.models import plans
from fastconv.plan import Plan
from fastconv.plan.runs import runs_of
from fastconv.testing.graphs import TrainingGraph, same
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for
from fastconv.variables import Variable, gather


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_without_fusion_a_plan_equals_its_nodes_to_the_last_bit(name, dtype, training, guarded_results):
    """The arena starts full of NaN, so a value read before it is written shows."""
    graph = TrainingGraph(build(name, dtype), training)
    same(graph.planned(fuse=False), graph.eager())


@pytest.mark.parametrize("name", NETWORKS)
def test_with_fusion_a_plan_equals_its_nodes_up_to_rounding(name):
    graph = TrainingGraph(build(name), True)
    for fused, plain in zip(graph.planned(), graph.eager(), strict=True):
        np.testing.assert_allclose(fused, plain, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_calling_the_layers_on_arrays_gives_the_plan_s_outputs(name, training):
    model = build(name)
    graph = TrainingGraph(model, training)
    planned = graph.planned(fuse=False)[: len(graph.outputs)]
    same(planned, plans.as_list(model(graph.x if len(graph.x) > 1 else graph.x[0], training=training)))


def test_the_networks_use_every_layer():
    used = {type(layer).__name__ for name in NETWORKS for layer in build(name).layers} | {"InputLayer"}
    public = {
        name
        for name in layers.__all__
        if isinstance(getattr(layers, name), type) and issubclass(getattr(layers, name), layers.Layer)
    }
    # Lambda has no config: test_volumes.py. SpectralNormalization has gradients of its own: test_keras_names.py.
    assert public - {"Layer", "Lambda", "SpectralNormalization"} <= used


def kernels(model_plan):
    return [kernel for kernel, _ in model_plan.plan.program.steps]


def test_activations_are_fused_into_products():
    model = models.Sequential(
        [layers.Input((6, 6, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(3, "tanh")]
    )
    assert kernels(model._predict_plan(2)) == ["conv2d_forward", "dense_forward"]


def test_softmax_is_fused_into_its_crossentropy():
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax", name="output")])
    model.compile("sgd", "categorical_crossentropy")
    steps = kernels(model._plan("train", 2))
    assert "softmax_backward" not in steps
    assert steps.count("loss_backward") == 1
    model.set_weights([np.zeros((4, 3)), [-40, 0, -40]])  # unfused, a probability of e^-40 is clipped: gradient 0
    _, found = model.gradients(np.ones((1, 4)), np.array([[1, 0, 0]]))
    np.testing.assert_allclose(found["output/bias"], [-1, 1, 0], atol=1e-6)


def test_a_result_that_others_read_is_not_fused_away():
    x = layers.Input((3,))
    y = layers.Dense(2)(x)
    model = models.Model(x, [y, layers.ReLU()(y)])
    plain, rectified = model.predict(np.linspace(-1, 1, 12).reshape(4, 3))
    assert (plain < 0).any()
    np.testing.assert_array_equal(rectified, np.maximum(plain, 0))


def test_memory_is_used_again():
    model = models.Sequential([layers.Input((256,)), *(layers.Dense(256, activation="relu") for _ in range(10))])
    one = 32 * 256 * 4
    plan = model._predict_plan(32).plan
    workspace = max((plan.placement.workspace(node).nbytes for node in plan.nodes), default=0)
    assert plan.arena_bytes <= 4 * one + workspace  # the input and the output stay, two values alternate between them
    model.compile("sgd", "mse")
    train = model._plan("train", 32).plan.arena_bytes
    assert train < 10 * (256 * 256 * 4 + 3 * one)  # all gradients, and less than three values per layer


def test_inputs_survive_a_run():
    """train_on_batch reads targets and outputs after the step, and a plan may be run again on the same data."""
    model = build("cnn")
    model.compile("sgd", "mse", metrics=["mae"])
    x, (y,) = inputs_for(model, 4)[0], targets_for(model, 4)
    model.train_on_batch(x, y)
    plan = model._plan("train", 4)
    np.testing.assert_array_equal(plan.inputs[0], x)
    np.testing.assert_array_equal(plan.targets[0], y)


def test_the_guard_keeps_updates_and_assignments_back():
    weight, statistic = Variable(np.ones(3, np.float32), "w"), Variable(np.zeros(3, np.float32), "s", trainable=False)
    with tracing():
        x = Value((3,), "float32")
        total = ops.weighted_total(ops.multiply(x, weight), x)
        shifted = ops.add(x, weight)
    gather([statistic])
    plan = Plan([x], [], total, [_descent(weight, x)], runs_of({statistic: shifted}))
    plan.array(x)[...] = [np.inf, 1, 1]
    assert plan.run() is False
    np.testing.assert_array_equal(weight.array, 1)
    np.testing.assert_array_equal(statistic.array, 0)
    plan.array(x)[...] = [2, 1, 0]
    assert plan.run() is True
    np.testing.assert_array_equal(weight.array, [0, 0.5, 1])
    np.testing.assert_array_equal(statistic.array, [3, 2, 1])


def _descent(weight, gradient):
    """A step of plain gradient descent at rate 0.5."""
    hyper = np.zeros(8)
    hyper[0] = 0.5
    spec = _cpu.VectorSpec.make(weight.dtype, "sgd_update", weight.shape)
    return Update("sgd_update", spec, [gradient, hyper, weight.array, None])


@pytest.mark.parametrize("loss", ["binary_crossentropy", "sparse_categorical_crossentropy", "mse", "hinge"])
def test_evaluating_and_training_report_one_loss(loss):
    """Whatever is fused, the number a user sees is the loss of the probabilities."""
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    if loss == "binary_crossentropy":
        model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="sigmoid")])
    model.compile("sgd", loss)
    x = np.random.default_rng(0).normal(size=(6, 4))
    y = np.arange(6) % 3 if loss.startswith("sparse") else np.eye(3)[np.arange(6) % 3]
    expected = losses.get(loss)(y, model.predict(x))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)


def test_kernels_work_in_what_no_value_needs_then(monkeypatch):
    """The arena has room for workspaces; with more threads than it was planned for, a program takes memory of its own."""
    model = models.Sequential([layers.Input((300,)), layers.Dense(256, activation="relu"), layers.Dense(256)])
    model.compile("adam", "mse")
    x, y = np.random.default_rng(0).random((64, 300), np.float32), np.zeros((64, 256), np.float32)
    start, threads = model.get_weights(), config.get_num_threads()
    ends = []
    try:
        for planned, used in ((1, 1), (1, 4), (4, 1)):
            model.set_weights(start)
            model.compile("adam", "mse")
            config.set_num_threads(planned)
            plan = model._plan("train", 64).plan
            assert any(plan.placement.workspace(node) is not None for node in plan.nodes)
            config.set_num_threads(used)
            model.train_on_batch(x, y)
            ends.append(model.get_weights())
    finally:
        config.set_num_threads(threads)
    for other in ends[1:]:
        for a, b in zip(ends[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
