"""Metrics as objects: batches against the whole, shapes, names, numbers of every kind. Their values: test_metrics_formula.py."""

import numpy as np
import pytest

from fastconv import metrics
from fastconv.testing.metric_cases import CASES, CLASSES, sparse


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments", "data"), CASES)
def test_batches_give_the_result_of_the_whole(name, arguments, data, weighted, generator):
    y_true, y_pred = data(generator, 50)
    weight = generator.random(50) if weighted else None
    split = getattr(metrics, name)(**arguments)
    for rows in (slice(0, 7), slice(7, 7), slice(7, 49), slice(49, 50)):
        resumed = metrics.get(metrics.serialize(split))
        resumed.set_state(split.get_state())
        for metric in (split, resumed):
            metric.update_state(y_true[rows], y_pred[rows], None if weight is None else weight[rows])
        np.testing.assert_array_equal(split.result(), resumed.result())
    whole = metrics.get(metrics.serialize(split))
    assert whole.get_config() == split.get_config()
    np.testing.assert_allclose(split.result(), whole(y_true, y_pred, weight), rtol=1e-12)
    split.reset_state()
    assert np.all(np.asarray(split.result()) == np.zeros_like(split.result()))


def test_thresholds_are_strict_and_nan_is_no_positive():
    m = metrics.TruePositives(thresholds=[0.5, 0.25])
    assert m([1, 1, 1, 1], np.array([0.5, 0.25, 0.75, np.nan], "float32")).tolist() == [1, 2]


def test_image_like_outputs(generator):
    labels, scores = sparse(generator, 2 * 3 * 4)
    y_true, y_pred = labels.reshape(2, 3, 4), scores.reshape(2, 3, 4, CLASSES)
    expected = (labels == scores.argmax(axis=1)).mean()
    assert metrics.get("accuracy")(y_true, y_pred) == pytest.approx(expected)
    assert metrics.SparseCategoricalAccuracy()(y_true[..., None], y_pred, [1, 1]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "kind"),
    [
        ((8,), (8, 1), metrics.BinaryAccuracy),
        ((8, 1), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8,), metrics.BinaryAccuracy),
        ((8,), (8, 5), metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 5), metrics.SparseCategoricalAccuracy),
        ((8, 5), (8, 5), metrics.CategoricalAccuracy),
        ((8, 2, 2), (8, 2, 2, 5), metrics.SparseCategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_is_what_the_shapes_say(name, true_shape, pred_shape, kind):
    metric = metrics.get(name)
    assert metric.name == name and metric.result() == 0.0
    metric.update_state(np.zeros(true_shape), np.zeros(pred_shape))
    assert type(metric.metric) is kind and metric.result() == 1.0 and metric.metric.name == name
    metric.reset_state()
    assert metric.result() == 0.0


@pytest.mark.parametrize(
    ("loss", "shape", "kind"),
    [
        ("sparse_categorical_crossentropy", (None, 10), metrics.SparseCategoricalAccuracy),
        ("categorical_crossentropy", (None, 10), metrics.CategoricalAccuracy),
        ("binary_crossentropy", (None, 1), metrics.BinaryAccuracy),
        ("mean_squared_error", (None, 3), metrics.InferredAccuracy),
        (None, None, metrics.InferredAccuracy),
    ],
)
def test_resolve(loss, shape, kind):
    metric = metrics.resolve("acc", loss, shape)
    assert type(metric) is kind and metric.name == "acc"
    assert type(metrics.resolve("mse", loss, shape)) is metrics.MeanSquaredError


def test_names_aliases_functions():
    assert metrics.get("mse").name == "mse" and isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert metrics.get("Recall").name == "Recall" and metrics.Recall().name == "recall"
    assert isinstance(metrics.get(metrics.AUC), metrics.AUC)
    assert metrics.get("root_mean_squared_error").direction == "down"

    def largest_error(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=-1)

    metric = metrics.get(largest_error)
    assert metric.name == "largest_error"
    assert metric(np.zeros((2, 2)), np.array([[1, 2], [3, 4]])) == 3.0


def test_vectors_against_columns_never_broadcast():
    y = np.arange(4.0)
    for name in ("Accuracy", "MeanSquaredError", "MeanAbsoluteError", "RootMeanSquaredError"):
        for pair in ((y, y[:, None]), (y[:, None], y), (y, y)):
            assert getattr(metrics, name)()(*pair) == (1.0 if name == "Accuracy" else 0.0)
    for kind in (metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.Precision):
        with pytest.raises(ValueError, match=r"y_true.shape=\(4,\), y_pred.shape=\(1, 4\)"):
            kind()(np.ones(4), np.ones((1, 4)))


@pytest.mark.parametrize(("name", "arguments", "data"), CASES)
def test_floating_point_settings_of_the_caller_do_not_matter(name, arguments, data, generator):
    y_true, y_pred = data(generator, 9)
    y_pred[:3] = y_pred[:3] * 1e-30
    with np.errstate(all="raise"):
        assert np.isfinite(getattr(metrics, name)(**arguments)(y_true, y_pred)).all()


def test_integers_do_not_wrap():
    assert metrics.MeanAbsoluteError()(np.array([3], "uint8"), np.array([1], "uint8")) == 2.0
