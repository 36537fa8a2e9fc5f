"""Kernels that write over what they read: only where nobody reads it again, and with the same bits."""

import numpy as np
import pytest

from fastconv import layers, models, ops
from fastconv.graph import Value
from fastconv.ops import norm
from fastconv.plan import Plan
from fastconv.testing.graphs import TrainingGraph, same


def backward_nodes(plan):
    return [node for node in plan.nodes if node.op in (norm.TRAINING_BACKWARD, norm.BACKWARD_FROM_SUMS)]


def writes_over_dy(plan, node):
    return np.shares_memory(plan.placement[node.inputs[0]], plan.placement[node.outputs[0]])


def test_a_gradient_nobody_reads_again_is_written_over(isa):
    model = models.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, padding="same"),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
        ]
    )
    graph = TrainingGraph(model, training=True)
    plan = graph.plan()
    (node,) = backward_nodes(plan)
    assert writes_over_dy(plan, node)
    same(graph.planned(), graph.planned(fuse=False))


def test_a_gradient_that_two_branches_share_stays_until_the_second(isa):
    x = layers.Input((6, 6, 4))
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    total = layers.Add()([layers.BatchNormalization()(y), layers.BatchNormalization()(x)])
    graph = TrainingGraph(models.Model(x, layers.GlobalAveragePooling2D()(total)), training=True)
    plan = graph.plan(fuse=False)
    assert [writes_over_dy(plan, node) for node in backward_nodes(plan)] == [False, True]
    same(graph.planned(), graph.planned(fuse=False))


@pytest.mark.parametrize("kept", (False, True))
def test_what_a_caller_reads_stays(kept):
    x, seed = Value((4, 8), "float32"), Value((1,), "uint64")
    doubled = ops.add(x, x)
    y = ops.dropout(doubled, 0.5, seed=seed)
    plan = Plan([x, seed], [y, doubled] if kept else [y])
    assert np.shares_memory(plan.placement[doubled], plan.placement[y]) is not kept
    plan.array(x)[...], plan.array(seed)[...] = 1, 7
    assert plan.run()
    np.testing.assert_array_equal(plan.array(y), ops.dropout(np.full((4, 8), 2, np.float32), 0.5, seed=7))
