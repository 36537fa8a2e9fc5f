"""Batch normalisation with relu and residual sums taken in: the same bits with fewer kernels."""

import numpy as np
import pytest

from fastconv import layers, models
from fastconv.testing.graphs import TrainingGraph, same


def kernels(plan):
    return [kernel for kernel, _ in plan.program.steps]


def block(x, filters, *, project=False, first_relu=True):
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.9)(y)
    y = layers.ReLU()(y) if first_relu else y
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    if project:
        x = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.ReLU()(layers.Add()([x, y]))


def residual_network(channels=5):
    x = layers.Input((6, 7, 2))
    y = layers.ReLU()(layers.BatchNormalization(scale=False)(layers.Conv2D(channels, 3, padding="same")(x)))
    y = block(y, channels)
    y = block(y, channels + 3, project=True)
    y = block(y, channels + 3, first_relu=False)
    return models.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("channels", [5, 16])
def test_a_residual_network_gives_the_same_bits_as_without_fusion(channels, training, isa):
    graph = TrainingGraph(residual_network(channels), training)
    same(graph.planned(), graph.planned(fuse=False))


def test_inference_has_nothing_left_beside_convolutions():
    steps = kernels(residual_network()._predict_plan(2).plan)
    assert set(steps) == {"conv2d_forward", "batch_norm_scale", "pool2d_forward", "dense_forward"}
    assert steps.count("conv2d_forward") == steps.count("batch_norm_scale") == 8


def test_forward_nothing_is_left_beside_convolution_and_normalization():
    graph = TrainingGraph(residual_network(), training=True)
    plain, fused = kernels(graph.plan(fuse=False)), kernels(graph.plan())
    assert plain.count("activation_forward") == 6
    assert "activation_forward" not in fused
    assert plain.count("binary_forward") == 3 + 3  # the blocks' sums, and those of the gradients that meet
    assert "binary_forward" not in fused
    assert "activation_backward_from_output" not in fused
    assert fused.count("batch_norm_training") == plain.count("batch_norm_training") == 8


def test_a_normalization_that_others_read_keeps_its_output():
    x = layers.Input((4, 4, 2))
    y = layers.BatchNormalization()(x)
    model = models.Model(x, layers.GlobalAveragePooling2D()(layers.Add()([layers.ReLU()(y), layers.ReLU()(y)])))
    graph = TrainingGraph(model, training=True)
    assert kernels(graph.plan()).count("activation_forward") == 2
    same(graph.planned(), graph.planned(fuse=False))


def test_a_sum_with_itself_is_no_residual():
    x = layers.Input((4, 4, 2))
    y = layers.BatchNormalization()(x)
    model = models.Model(x, layers.GlobalAveragePooling2D()(layers.Add()([y, y])))
    graph = TrainingGraph(model, training=True)
    assert kernels(graph.plan()).count("binary_forward") == 2
    same(graph.planned(), graph.planned(fuse=False))


def test_other_activations_follow_in_a_pass_of_their_own():
    model = models.Sequential(
        [
            layers.Input((4, 4, 2)),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Conv2D(3, 1),
            layers.BatchNormalization(),
            layers.ReLU(max_value=6),
            layers.GlobalAveragePooling2D(),
        ]
    )
    graph = TrainingGraph(model, training=True)
    assert kernels(graph.plan()).count("activation_forward") == 2
    same(graph.planned(), graph.planned(fuse=False))


def test_a_broadcast_sum_is_no_residual():
    x, scalar = layers.Input((4, 4, 2)), layers.Input((4, 4, 1))
    y = layers.Multiply()([layers.BatchNormalization()(x), x])
    model = models.Model([x, scalar], layers.GlobalAveragePooling2D()(layers.Concatenate()([y, scalar])))
    graph = TrainingGraph(model, training=True)
    same(graph.planned(), graph.planned(fuse=False))
    assert np.isfinite(graph.planned()[0]).all()
