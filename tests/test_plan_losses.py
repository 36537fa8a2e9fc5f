"""A loss of class labels and its gradient in one kernel: the same bits as in two, where the slope is known before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastconv
from fastconv import layers, models, ops
from fastconv.autodiff import gradients
from fastconv.graph import Value, tracing
from fastconv.plan import Plan
from fastconv.testing.graphs import same

JOINED = "sparse_loss_with_gradient"


def kernels(plan):
    return [kernel for kernel, _ in plan.program.steps]


def traced(shape, dtype, from_logits, scaled=lambda loss: loss):
    """The values that are given, and those of interest: the loss, something made of it, the gradient of that."""
    given = [Value(shape, dtype), Value(shape[:-1], "int64"), Value(shape[:-1], dtype)]
    prediction, labels, slope = given
    with tracing():
        loss = ops.sparse_categorical_crossentropy(labels, prediction, from_logits=from_logits)
        result = scaled(loss)
        (gradient,) = gradients([result], [slope], [prediction])
    return given, [loss, result, gradient]


def ran(given, results, arrays, **keywords):
    plan = Plan(given, results, **keywords)
    for value, array in zip(given, arrays, strict=True):
        plan.array(value)[...] = array
    assert plan.run()
    return [plan.array(v).copy() for v in results]


@given(
    rows=st.integers(1, 40),
    classes=st.integers(1, 70) | st.sampled_from([1000, 2048, 2049, 5000]),
    from_logits=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 99),
)
def test_the_bits_are_those_of_two_kernels(rows, classes, from_logits, dtype, seed):
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(0.01, 1, (rows, classes)) if not from_logits else rng.normal(0, 5, (rows, classes))
    arrays = [prediction, rng.integers(0, classes, rows), rng.normal(size=rows)]
    problem = traced((rows, classes), dtype, from_logits)
    assert kernels(Plan(*problem)) == [JOINED]
    same(ran(*problem, arrays), ran(*problem, arrays, fuse=False))


@pytest.mark.parametrize("from_logits", (False, True))
@pytest.mark.parametrize("label", (-1, 7))
def test_a_label_that_is_no_class_makes_its_row_nan_alone(label, from_logits):
    arrays = [np.full((3, 7), 0.5), np.array([2, label, 3]), np.ones(3)]
    loss, _, gradient = ran(*traced((3, 7), "float32", from_logits), arrays)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(gradient).all(-1).tolist() == np.isnan(gradient).any(-1).tolist() == [False, True, False]


def test_a_slope_that_depends_on_the_loss_comes_too_late(isa):
    given, results = traced((6, 5), "float32", True, scaled=lambda loss: ops.multiply(loss, loss))
    assert JOINED not in kernels(Plan(given, results))
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(6, 5)), rng.integers(0, 5, 6), rng.normal(size=6)]
    same(ran(given, results, arrays), ran(given, results, arrays, fuse=False))


def test_the_gradient_of_other_labels_stays_apart():
    given = [Value((6, 5), "float32"), Value((6,), "int64"), Value((6,), "int64"), Value((6,), "float32")]
    prediction, labels, others, slope = given
    with tracing():
        loss = ops.sparse_categorical_crossentropy(labels, prediction, from_logits=True)
        other = ops.sparse_categorical_crossentropy(others, prediction, from_logits=True)
        (gradient,) = gradients([other], [slope], [prediction])
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(6, 5)), np.arange(6) % 5, np.arange(6) % 3, rng.normal(size=6)]
    assert sorted(kernels(Plan(given, [loss, gradient]))) == ["sparse_loss_backward", "sparse_loss_forward"]
    results = [loss, other, gradient]
    assert sorted(kernels(Plan(given, results))) == ["sparse_loss_forward", JOINED]
    same(ran(given, results, arrays), ran(given, results, arrays, fuse=False))


def test_a_classifier_trains_by_it_and_evaluates_without():
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.ones((6, 4), np.float32), np.arange(6) % 3
    steps = [row.kernel for row in fastconv.explain(model, 6).rows]
    assert JOINED in steps and "sparse_loss_forward" not in steps
    before = model.evaluate(x, y, verbose=0)
    assert model.train_on_batch(x, y) == pytest.approx(before)
