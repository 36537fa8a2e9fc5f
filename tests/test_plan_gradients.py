"""Gradients of activations that move past pooling, dropout and reshapes into a kernel's gate: to the last bit."""

import numpy as np
import pytest

from fastconv import layers, models, ops
from fastconv.autodiff import gradients
from fastconv.graph import Value, tracing
from fastconv.plan import Plan
from fastconv.plan.place import layout
from fastconv.testing.graphs import TrainingGraph, same


def kernels(plan):
    return [kernel for kernel, _ in plan.program.steps]


def image_classifier(activation="relu", pooling=None):
    pooling = pooling or layers.MaxPooling2D
    return models.Sequential(
        [
            layers.Input((14, 13, 2)),
            layers.Conv2D(5, 3, activation=activation),
            layers.Conv2D(6, 3, padding="same", activation=activation),
            pooling(),
            layers.Dropout(0.3),
            layers.Conv2D(4, 2, activation=activation),
            pooling(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(7, activation=activation),
            layers.Dropout(0.25),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu", "tanh"])
def test_a_classifier_trains_bit_for_bit_as_without_fusion(activation, isa):
    graph = TrainingGraph(image_classifier(activation), training=True)
    same(graph.planned(), graph.planned(fuse=False))


def test_a_classifier_s_relus_cost_nothing_backwards():
    graph = TrainingGraph(image_classifier(), training=True)
    plain, fused = kernels(graph.plan(fuse=False)), kernels(graph.plan())
    assert plain.count("activation_backward_from_output") == 4
    assert plain.count("dropout") == 6
    assert "activation_backward_from_output" not in fused
    assert fused.count("dropout") == 3  # the forward's: no mask is drawn twice
    sizes = [layout(plan.nodes, graph.feeds, graph.kept, {}).size for plan in (graph.plan(), graph.plan(fuse=False))]
    assert sizes[0] < sizes[1]  # of the values alone: scratch memory differs from one instruction set to another


def test_without_dropout_the_gate_passes_pooling_and_reshape():
    model = models.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="leaky_relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    graph = TrainingGraph(model, training=True)
    assert "activation_backward_from_output" not in kernels(graph.plan())
    same(graph.planned(), graph.planned(fuse=False))


def test_gradients_that_meet_are_added_and_gated_by_a_convolution():
    """A relu whose result two branches read gets a sum of gradients: the convolution's kernel adds the other one."""
    x = layers.Input((6, 6, 2))
    y = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    joined = layers.Add()([layers.Conv2D(3, 3, padding="same")(y), y])
    graph = TrainingGraph(models.Model(x, layers.GlobalAveragePooling2D()(joined)), training=True)
    steps = kernels(graph.plan())
    assert "activation_backward_from_output" not in steps
    assert steps.count("binary_forward") == 1  # the forward's
    same(graph.planned(), graph.planned(fuse=False))


POOLINGS = {
    "2x2": {},
    "overlapping": {"pool_size": 3, "stride": 2},
    "padded": {"pool_size": 3, "stride": 2, "padding": 1},
    "ceil": {"pool_size": (2, 3), "ceil_mode": True},
    "gaps": {"pool_size": 2, "stride": 3},
    "dilated": {"pool_size": 2, "stride": 2, "dilation": 2},
}


@pytest.mark.parametrize("pooling", ["max", "min"])
@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_commutes_for_ties_and_special_values(name, activation, pooling, isa):
    rng = np.random.default_rng(0)
    data = rng.integers(-3, 8, (2, 9, 8, 19)).astype(np.float32)  # many ties
    for value in (np.nan, np.inf, -np.inf, -0.0):
        data[rng.random(data.shape) < 0.03] = value
    with tracing():
        x = Value(data.shape, "float32")
        y = getattr(ops, activation)(x)
        pooled = getattr(ops, f"{pooling}_pool2d")(y, **POOLINGS[name])
        dy = Value(pooled.shape, "float32")
        (dx,) = gradients([pooled], [dy], [x])
    cotangent = rng.normal(size=dy.shape).astype(np.float32)
    cotangent[0, 0, 0, :3] = [np.inf, np.nan, -np.inf]
    found = []
    for fuse in (False, True):
        plan = Plan([x, dy], [pooled, dx], fuse=fuse)
        plan.array(x)[...], plan.array(dy)[...] = data, cotangent
        plan.run()
        found.append(plan.array(dx).copy())
        steps = [text for kernel, text in plan.program.steps if kernel == "activation_backward_from_output"]
        commutes = fuse and (activation != "leaky_relu" or name not in ("overlapping", "padded", "dilated"))
        cells = dy.shape if commutes else data.shape
        assert steps == [f"{activation}_{'x'.join(map(str, cells))}"]
    np.testing.assert_array_equal(*(array.view(np.uint8) for array in found))
