"""Metrics by formula and by counting: a second opinion that needs no other package. The real ones are asked in
test_metrics_keras.py and test_metrics_sklearn.py."""

import numpy as np
import pytest

from fastconv import metrics
from fastconv.testing.metric_cases import CLASSES, binary, sparse


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
