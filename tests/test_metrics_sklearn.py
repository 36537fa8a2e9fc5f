"""Metrics beside scikit-learn's: the same numbers for random labels and weights, however the batches are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import metrics

theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed: pip install 'fastconv[sklearn]'")

BINARY = {  # by labels and hard decisions
    "BinaryAccuracy": theirs.accuracy_score,
    "Precision": lambda t, p, **w: theirs.precision_score(t, p, zero_division=0, **w),
    "Recall": lambda t, p, **w: theirs.recall_score(t, p, zero_division=0, **w),
    "BinaryIoU": lambda t, p, **w: theirs.jaccard_score(t, p, average="macro", **w),
    "TruePositives": lambda t, p, **w: theirs.confusion_matrix(t, p, labels=[0, 1], **w)[1, 1],
    "FalsePositives": lambda t, p, **w: theirs.confusion_matrix(t, p, labels=[0, 1], **w)[0, 1],
    "TrueNegatives": lambda t, p, **w: theirs.confusion_matrix(t, p, labels=[0, 1], **w)[0, 0],
    "FalseNegatives": lambda t, p, **w: theirs.confusion_matrix(t, p, labels=[0, 1], **w)[1, 0],
}
REGRESSION = {
    "MeanSquaredError": theirs.mean_squared_error,
    "RootMeanSquaredError": theirs.root_mean_squared_error,
    "MeanAbsoluteError": theirs.mean_absolute_error,
    "MeanAbsolutePercentageError": lambda t, p, **w: 100 * theirs.mean_absolute_percentage_error(t, p, **w),
    "MeanSquaredLogarithmicError": theirs.mean_squared_log_error,
    "R2Score": theirs.r2_score,
}


def streamed(metric, truth, prediction, weight):
    for rows in np.array_split(np.arange(len(truth)), 3):
        metric.update_state(truth[rows], prediction[rows], None if weight is None else weight[rows])
    return metric.result()


samples = st.tuples(st.integers(2, 60), st.integers(0, 2**32 - 1), st.booleans())


def drawn(sample):
    n, seed, weighted = sample
    generator = np.random.default_rng(seed)
    weight = generator.uniform(0.1, 2, n) if weighted else None
    return n, generator, weight, {} if weight is None else {"sample_weight": weight}


@settings(max_examples=20, deadline=None)
@given(samples)
def test_binary_figures(sample):
    n, generator, weight, keywords = drawn(sample)
    truth, score = generator.integers(0, 2, n), generator.random(n)
    truth[:2] = 0, 1  # scikit-learn leaves out a class that neither side has
    for name, their in BINARY.items():
        ours = streamed(getattr(metrics, name)(), truth, score, weight)
        assert ours == pytest.approx(their(truth, score > 0.5, **keywords), rel=1e-9), name
    ours = streamed(metrics.BinaryCrossentropy(), truth, score, weight)
    assert ours == pytest.approx(theirs.log_loss(truth, score, **keywords), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(samples)
def test_curves(sample):
    """Scores between the thresholds, where the two do not differ; scikit-learn's areas are exact."""
    n, generator, weight, keywords = drawn(sample)
    truth, score = generator.integers(0, 2, n), (generator.integers(0, 40, n) + 0.5) / 40
    truth[:2] = 0, 1
    ours = streamed(metrics.AUC(num_thresholds=41), truth, score, weight)
    assert ours == pytest.approx(theirs.roc_auc_score(truth, score, **keywords), rel=1e-9)
    fpr, tpr, _ = theirs.roc_curve(truth, score, drop_intermediate=False, **keywords)
    ours = streamed(metrics.SensitivityAtSpecificity(0.6, num_thresholds=41), truth, score, weight)
    assert ours == pytest.approx(tpr[1 - fpr >= 0.6].max(initial=0), rel=1e-9)
    precision, recall, _ = theirs.precision_recall_curve(truth, score, **keywords)
    ours = streamed(metrics.PrecisionAtRecall(0.5, num_thresholds=41), truth, score, weight)
    assert ours == pytest.approx(precision[:-1][recall[:-1] >= 0.5].max(initial=0), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(samples, st.integers(2, 7))
def test_figures_of_classes(sample, classes):
    n, generator, weight, keywords = drawn(sample)
    truth = np.concatenate([np.arange(classes), generator.integers(0, classes, n)])
    weight = None if weight is None else np.concatenate([np.ones(classes), weight])
    keywords = {} if weight is None else {"sample_weight": weight}
    score = generator.dirichlet(np.ones(classes), len(truth))
    guess, labels = score.argmax(1), list(range(classes))
    same = {"rel": 1e-9, "abs": 1e-12}
    checks = [
        (metrics.SparseCategoricalAccuracy(), theirs.accuracy_score(truth, guess, **keywords)),
        (metrics.SparseCategoricalCrossentropy(), theirs.log_loss(truth, score, **keywords)),
    ]
    if classes > 2:
        top = theirs.top_k_accuracy_score(truth, score, k=2, labels=labels, **keywords)
        checks.append((metrics.SparseTopKCategoricalAccuracy(k=2), top))
    for average in ("macro", "micro", "weighted", None):
        f1 = theirs.f1_score(truth, guess, average=average, labels=labels, zero_division=0, **keywords)
        beta = theirs.fbeta_score(truth, guess, beta=2, average=average, labels=labels, zero_division=0, **keywords)
        checks += [(metrics.F1Score(average=average), f1), (metrics.FBetaScore(average=average, beta=2.0), beta)]
    for metric, expected in checks:
        assert streamed(metric, truth, score, weight) == pytest.approx(expected, **same), metric.name
    iou = streamed(metrics.MeanIoU(classes), truth, guess, weight)
    assert iou == pytest.approx(theirs.jaccard_score(truth, guess, average="macro", **keywords), **same)
    assert np.array_equal(metrics.confusion_matrix(truth, score), theirs.confusion_matrix(truth, guess, labels=labels))


@settings(max_examples=20, deadline=None)
@given(samples)
def test_regression_figures(sample):
    n, generator, weight, keywords = drawn(sample)
    truth = generator.uniform(0.1, 9, (n, 3))
    prediction = truth + generator.uniform(0, 1, (n, 3))
    for name, their in REGRESSION.items():
        if name == "RootMeanSquaredError":  # scikit-learn's is a mean of roots over columns
            expected = their(truth[:, 0], prediction[:, 0], **keywords)
            ours = streamed(metrics.RootMeanSquaredError(), truth[:, 0], prediction[:, 0], weight)
        else:
            expected = their(truth, prediction, **keywords)
            ours = streamed(getattr(metrics, name)(), truth, prediction, weight)
        assert ours == pytest.approx(expected, rel=1e-9), name
    constant = np.ones(4)
    for guess in (constant, constant + 1):
        assert metrics.R2Score()(constant, guess) == theirs.r2_score(constant, guess)
