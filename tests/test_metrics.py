"""Metrics: values against brute force and Keras, batches against the whole, shapes, names, refusals."""

import os

import numpy as np
import pytest

from fastconv import metrics
from fastconv.saving import keras_training

CLASSES = 6


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype("float32")


def binary(generator, n):
    return generator.integers(0, 2, (n, 1)).astype("float32"), generator.random((n, 1), dtype="float32")


def multilabel(generator, n):
    return generator.integers(0, 2, (n, 4)).astype("float32"), generator.random((n, 4), dtype="float32")


def sparse(generator, n):
    return generator.integers(0, CLASSES, n), softmax(generator.normal(size=(n, CLASSES)))


def sparse_column(generator, n):
    labels, scores = sparse(generator, n)
    return labels[:, None], scores


def one_hot(generator, n):
    labels, scores = sparse(generator, n)
    return np.eye(CLASSES, dtype="float32")[labels], scores


def masks(generator, n):
    return generator.integers(0, CLASSES, n), generator.integers(0, CLASSES, n)


def counts(generator, n):
    return generator.poisson(2.0, (n, 3)).astype("float32"), generator.uniform(0.1, 5, (n, 3)).astype("float32")


ELEMENTWISE = [
    "BinaryAccuracy",
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "BinaryCrossentropy",
    "TruePositives",
    "FalsePositives",
    "TrueNegatives",
    "FalseNegatives",
    "Precision",
    "Recall",
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "LogCoshError",
    "Hinge",
    "SquaredHinge",
    "KLDivergence",
    "Poisson",
    "CosineSimilarity",
    "R2Score",
]
KERAS_CASES = [
    *[(name, {}, data) for data in (binary, multilabel) for name in ELEMENTWISE],
    *[(name, {}, counts) for name in ("MeanSquaredLogarithmicError", "Poisson", "CosineSimilarity", "LogCoshError")],
    *[(name, {}, counts) for name in ("PearsonCorrelation", "ConcordanceCorrelation", "R2Score")],
    ("R2Score", {"class_aggregation": None}, counts),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, counts),
    ("R2Score", {"num_regressors": 2}, counts),
    ("BinaryAccuracy", {"threshold": 0.3}, binary),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, multilabel),
    ("BinaryCrossentropy", {"from_logits": True}, multilabel),
    ("AUC", {}, binary),
    ("AUC", {"num_thresholds": 17}, binary),
    ("AUC", {"curve": "PR"}, binary),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, binary),
    ("AUC", {"summation_method": "majoring"}, binary),
    ("AUC", {"thresholds": [0.7, 0.3]}, binary),
    ("AUC", {"multi_label": True}, multilabel),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [1, 2, 0, 3]}, multilabel),
    ("AUC", {"label_weights": [1, 2, 0, 3]}, multilabel),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, binary),
    ("SpecificityAtSensitivity", {"sensitivity": 0.7, "num_thresholds": 31}, binary),
    ("PrecisionAtRecall", {"recall": 0.4}, binary),
    ("RecallAtPrecision", {"precision": 0.5}, multilabel),
    ("RecallAtPrecision", {"precision": 0.2, "class_id": 2, "num_thresholds": 1}, one_hot),
    ("BinaryIoU", {"dtype": "float32"}, binary),
    ("BinaryIoU", {"dtype": "float32", "target_class_ids": [1], "threshold": 0.25}, binary),
    ("IoU", {"dtype": "float32", "num_classes": CLASSES, "target_class_ids": [1, 3]}, masks),
    ("MeanIoU", {"dtype": "float32", "num_classes": CLASSES, "ignore_class": 2}, masks),
    ("OneHotIoU", {"dtype": "float32", "num_classes": CLASSES, "target_class_ids": [0, 5]}, one_hot),
    ("OneHotMeanIoU", {"dtype": "float32", "num_classes": CLASSES}, one_hot),
    ("CategoricalHinge", {}, one_hot),
    ("FBetaScore", {"average": "macro", "beta": 2.0}, one_hot),
    ("FBetaScore", {"average": "weighted", "beta": 0.5, "threshold": 0.4}, one_hot),
    ("Recall", {"thresholds": [0.7, 0.2]}, binary),
    ("Precision", {"top_k": 2}, one_hot),
    ("Recall", {"top_k": 1, "class_id": 3}, one_hot),
    ("CategoricalAccuracy", {}, one_hot),
    ("TopKCategoricalAccuracy", {"k": 3}, one_hot),
    ("CategoricalCrossentropy", {}, one_hot),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, one_hot),
    ("SparseCategoricalAccuracy", {}, sparse),
    ("SparseCategoricalAccuracy", {}, sparse_column),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse_column),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, sparse_column),
    *[("F1Score", {"average": average}, one_hot) for average in (None, "macro", "micro", "weighted")],
    *[("F1Score", {"average": average, "threshold": 0.3}, one_hot) for average in (None, "weighted")],
]


@pytest.fixture
def generator():
    return np.random.default_rng(7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments", "data"), KERAS_CASES)
def test_batches_give_the_result_of_the_whole(name, arguments, data, weighted, generator):
    y_true, y_pred = data(generator, 50)
    weight = generator.random(50) if weighted else None
    split = getattr(metrics, name)(**arguments)
    for rows in (slice(0, 7), slice(7, 7), slice(7, 49), slice(49, 50)):
        split.update_state(y_true[rows], y_pred[rows], None if weight is None else weight[rows])
    whole = metrics.get(metrics.serialize(split))
    assert whole.get_config() == split.get_config()
    np.testing.assert_allclose(split.result(), whole(y_true, y_pred, weight), rtol=1e-12)
    split.reset_state()
    assert np.all(np.asarray(split.result()) == np.zeros_like(split.result()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments", "data"), KERAS_CASES)
def test_values_equal_kerass(name, arguments, data, weighted, generator):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    for n in (5, 32):
        y_true, y_pred = data(generator, n)
        weight = generator.random(n).astype("float32") if weighted else None
        ours.update_state(y_true, y_pred, weight)
        theirs.update_state(y_true, y_pred, sample_weight=weight)
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), atol=2e-6, rtol=1e-5)


CONFIGS = [case[:2] for case in KERAS_CASES if "label_weights" not in case[1]]  # Keras puts tensors into that config


@pytest.mark.parametrize(("name", "arguments"), CONFIGS)
def test_configs_are_kerass(name, arguments):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not a dependency; compared where it is installed")
    keras.backend.clear_session()  # or names get numbers
    ours, theirs = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    assert ours.name == theirs.name
    again = getattr(keras.metrics, name).from_config(ours.get_config())
    assert again.get_config() == theirs.get_config()
    twin = keras_training._metric(keras.metrics.serialize(theirs))
    assert {**twin.get_config(), "dtype": None} == {**ours.get_config(), "dtype": None}


def test_counts_precision_recall_f1_by_brute_force(generator):
    y_true, y_pred = binary(generator, 200)
    truth, found = y_true == 1, y_pred > 0.5
    tp, fp = (truth & found).sum(), (~truth & found).sum()
    tn, fn = (~truth & ~found).sum(), (truth & ~found).sum()
    expected = {
        "TruePositives": tp,
        "FalsePositives": fp,
        "TrueNegatives": tn,
        "FalseNegatives": fn,
        "Precision": tp / (tp + fp),
        "Recall": tp / (tp + fn),
    }
    for name, value in expected.items():
        assert getattr(metrics, name)()(y_true, y_pred) == pytest.approx(value)
    f1 = metrics.F1Score(average="micro", threshold=0.5)(y_true, y_pred)
    assert f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert metrics.F1Score(average="macro")(y_true, y_pred) == pytest.approx(f1)  # one column: 0.5


def test_per_class_figures_from_class_numbers(generator):
    labels, scores = sparse(generator, 300)
    guess = scores.argmax(axis=1)
    f1 = metrics.F1Score()(labels, scores)
    for c in range(CLASSES):
        tp = ((labels == c) & (guess == c)).sum()
        assert metrics.Recall(class_id=c, top_k=1)(labels, scores) == pytest.approx(tp / (labels == c).sum())
        assert metrics.Precision(class_id=c, top_k=1)(labels, scores) == pytest.approx(tp / (guess == c).sum())
        assert f1[c] == pytest.approx(2 * tp / ((labels == c).sum() + (guess == c).sum()))
    matrix = metrics.confusion_matrix(labels, scores)
    assert matrix.sum() == 300 and np.trace(matrix) == (labels == guess).sum()
    assert np.array_equal(matrix.sum(axis=1), np.bincount(labels, minlength=CLASSES))
    assert np.array_equal(matrix, metrics.confusion_matrix(labels[:, None], guess, CLASSES))


def test_auc_approaches_the_share_of_ordered_pairs(generator):
    y_true = generator.integers(0, 2, 400)
    y_pred = np.clip(0.3 * generator.normal(size=400) + 0.2 * y_true + 0.4, 0, 1)
    positive, negative = y_pred[y_true == 1, None], y_pred[y_true == 0]
    exact = (positive > negative).mean() + 0.5 * (positive == negative).mean()
    assert metrics.AUC(num_thresholds=5000)(y_true, y_pred) == pytest.approx(exact, abs=2e-3)
    assert metrics.AUC()(y_true, y_pred) == pytest.approx(exact, abs=1e-2)
    lower = metrics.AUC(summation_method="minoring")(y_true, y_pred)
    assert lower <= exact <= metrics.AUC(summation_method="majoring")(y_true, y_pred)
    logits = np.log(np.clip(y_pred, 1e-6, 1 - 1e-6) / (1 - np.clip(y_pred, 1e-6, 1 - 1e-6)))
    assert metrics.AUC(from_logits=True)(y_true, logits) == pytest.approx(exact, abs=1e-2)


def test_thresholds_are_strict_and_nan_is_no_positive():
    m = metrics.TruePositives(thresholds=[0.5, 0.25])
    assert m([1, 1, 1, 1], np.array([0.5, 0.25, 0.75, np.nan], "float32")).tolist() == [1, 2]


def test_crossentropies_by_formula(generator):
    labels, p = sparse(generator, 40)
    expected = -np.log(p[np.arange(40), labels]).mean()
    assert metrics.SparseCategoricalCrossentropy()(labels, p) == pytest.approx(expected, rel=1e-5)
    assert metrics.SparseCategoricalCrossentropy(from_logits=True)(labels, np.log(p) + 700) == pytest.approx(
        expected, rel=1e-4
    )
    sure = np.eye(CLASSES, dtype="float32")
    assert metrics.CategoricalCrossentropy()(sure, sure[::-1]) == pytest.approx(-np.log(1e-7), rel=1e-6)
    assert metrics.BinaryCrossentropy(from_logits=True)([[1.0]], [[-1e4]]) == pytest.approx(1e4)


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


@pytest.mark.parametrize(("name", "arguments", "data"), KERAS_CASES)
def test_floating_point_settings_of_the_caller_do_not_matter(name, arguments, data, generator):
    y_true, y_pred = data(generator, 9)
    y_pred[:3] = y_pred[:3] * 1e-30
    with np.errstate(all="raise"):
        assert np.isfinite(getattr(metrics, name)(**arguments)(y_true, y_pred)).all()


def test_integers_do_not_wrap():
    assert metrics.MeanAbsoluteError()(np.array([3], "uint8"), np.array([1], "uint8")) == 2.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.get("acuracy"), ValueError, "Did you mean"),
        (lambda: metrics.get(None), TypeError, "NoneType"),
        (lambda: metrics.get({"class_name": "Lambda", "config": {}}), ValueError, "Lambda"),
        (lambda: metrics.serialize(metrics.get(len)), TypeError, "built-in"),
        (lambda: metrics.MeanMetricWrapper(3), TypeError, "function"),
        (lambda: metrics.Recall(name=3), TypeError, "name"),
        (lambda: metrics.BinaryAccuracy(threshold="0.5"), TypeError, "threshold"),
        (lambda: metrics.Precision(thresholds=1.5), ValueError, "0 <= thresholds <= 1"),
        (lambda: metrics.Precision(thresholds=[]), ValueError, "empty"),
        (lambda: metrics.Recall(top_k=0), ValueError, "top_k >= 1"),
        (lambda: metrics.Recall(class_id=5)([0, 1], np.zeros((2, 3))), ValueError, "class_id <= 2"),
        (lambda: metrics.F1Score(average="mean"), ValueError, "'macro'"),
        (lambda: metrics.F1Score()(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))), ValueError, "rows"),
        (lambda: metrics.AUC(num_thresholds=1), ValueError, "num_thresholds >= 2"),
        (lambda: metrics.AUC(curve="roc"), ValueError, "'ROC'"),
        (lambda: metrics.AUC()([0, 1], [-1.0, 2.0]), ValueError, "from_logits"),
        (lambda: metrics.Precision()([0, 2], [0.1, 0.2]), ValueError, "0 or 1"),
        (lambda: metrics.TopKCategoricalAccuracy(k=1.5), TypeError, "k"),
        (
            lambda: metrics.SparseTopKCategoricalAccuracy()([3], [[0.1, 0.9]]),
            ValueError,
            "value 3 at index 0",
        ),
        (lambda: metrics.SparseCategoricalCrossentropy()([0.5], [[0.1, 0.9]]), ValueError, "value 0.5"),
        (lambda: metrics.SparseCategoricalAccuracy()([[0, 1]], [[0.1, 0.9]]), ValueError, "one-hot"),
        (lambda: metrics.CategoricalAccuracy()([1], [[0.1, 0.9]]), ValueError, "Sparse"),
        (lambda: metrics.MeanSquaredError()([1, 2], [1, 2], [1, 2, 3]), ValueError, "sample_weight"),
        (lambda: metrics.MeanSquaredError()([1, 2], [1, 2], 1.0), ValueError, "sample_weight"),
        (lambda: metrics.confusion_matrix([0, 1], [0, 1, 1]), ValueError, "one shape"),
        (lambda: metrics.confusion_matrix([0, 3], [0, 1], 3), ValueError, "y_true value 3 at index 1"),
        (lambda: metrics.confusion_matrix([0, 1], [0, -1]), ValueError, "y_pred value -1"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).startswith("[")


def test_a_failed_update_changes_nothing():
    m = metrics.Precision()
    m.update_state([1, 0], [0.9, 0.8])
    with pytest.raises(ValueError):
        m.update_state([1, 0], [0.9, 0.8], [1, 2, 3])
    assert m.result() == 0.5


def at_thresholds(truth, score, thresholds):
    """(TP, FP, TN, FN) at each threshold, counted one by one."""
    found = score[None] > thresholds[:, None]
    return [(truth & found).sum(1), (~truth & found).sum(1), (~truth & ~found).sum(1), (truth & ~found).sum(1)]


def test_the_rest_by_formula(generator):
    """A second opinion that needs no other package; the real ones are asked in test_metrics_sklearn.py, and above."""
    t, p = generator.uniform(0.3, 4, (40, 3)), generator.uniform(0.1, 5, (40, 3))
    expected = {
        "MeanAbsolutePercentageError": 100 * (abs(p - t) / t).mean(),
        "MeanSquaredLogarithmicError": ((np.log(1 + p) - np.log(1 + t)) ** 2).mean(),
        "LogCoshError": np.log(np.cosh(p - t)).mean(),
        "Poisson": (p - t * np.log(p + 1e-7)).mean(),
        "R2Score": np.mean(1 - ((p - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)),
        "CosineSimilarity": np.mean([a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(t, p, strict=True)]),
        "PearsonCorrelation": np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(t, p, strict=True)]),
        "ConcordanceCorrelation": np.mean(
            [
                2 * np.cov(a, b, bias=True)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
                for a, b in zip(t, p, strict=True)
            ]
        ),
        "Hinge": np.maximum(1 - t * p, 0).mean(),
        "SquaredHinge": (np.maximum(1 - t * p, 0) ** 2).mean(),
    }
    for name, value in expected.items():
        assert getattr(metrics, name)()(t, p) == pytest.approx(value, rel=1e-5), name
    rows = generator.dirichlet(np.ones(4), 20), generator.dirichlet(np.ones(4), 20)
    assert metrics.KLDivergence()(*rows) == pytest.approx((rows[0] * np.log(rows[0] / rows[1])).sum(1).mean())
    right, wrong = generator.integers(0, 4, 20), rows[1].copy()
    score = wrong[np.arange(20), right]
    wrong[np.arange(20), right] = 0
    hinge = np.maximum(1 + wrong.max(1) - score, 0).mean()
    assert metrics.CategoricalHinge()(np.eye(4)[right], rows[1]) == pytest.approx(hinge)
    assert metrics.Sum()(t, np.arange(40)) == pytest.approx((t * np.arange(40)[:, None]).sum())


def test_overlaps_and_operating_points_by_counting(generator):
    a, b = generator.integers(0, 4, 60), generator.integers(0, 5, 60)
    overlaps = [((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in range(5)]
    assert metrics.MeanIoU(5)(a, b) == pytest.approx(np.mean(overlaps))
    assert metrics.IoU(5, [1, 3])(a, b) == pytest.approx((overlaps[1] + overlaps[3]) / 2)
    assert metrics.OneHotMeanIoU(5)(np.eye(5)[a], np.eye(5)[b]) == pytest.approx(np.mean(overlaps))
    kept = a != 2
    assert metrics.MeanIoU(5, ignore_class=2)(a, b) == metrics.MeanIoU(5)(a[kept], b[kept])
    with pytest.raises(ValueError, match="y_pred value 4"):
        metrics.MeanIoU(4)(a, b)

    truth, score = generator.random(80) < 0.4, generator.random(80)
    tp, fp, tn, fn = at_thresholds(truth, score, np.linspace(0, 1, 51))
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    precision = tp / np.maximum(tp + fp, 1)
    for name, bound, figure in (
        ("SensitivityAtSpecificity", specificity, sensitivity),
        ("SpecificityAtSensitivity", sensitivity, specificity),
        ("PrecisionAtRecall", sensitivity, precision),
        ("RecallAtPrecision", precision, sensitivity),
    ):
        metric = getattr(metrics, name)(0.55, num_thresholds=51)
        assert metric(truth, score) == pytest.approx(figure[bound >= 0.55].max()), name
    beta = metrics.FBetaScore(average="micro", beta=2.0, threshold=0.5)(truth[:, None], score[:, None])
    at = 25
    assert beta == pytest.approx(5 * precision[at] * sensitivity[at] / (4 * precision[at] + sensitivity[at]))
