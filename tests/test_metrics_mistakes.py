"""Metrics refuse mistakes with one clear error, and stay as they were."""

import numpy as np
import pytest

from fastconv import metrics


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
        (lambda: metrics.AUC(num_thresholds=1), ValueError, "2 <= num_thresholds"),
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
