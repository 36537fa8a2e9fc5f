"""Estimators: scikit-learn's own checks, and what people do with estimators."""

import copy
import importlib.util
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from fastconv import callbacks, datasets, initializers, layers, models, optimizers, random

if importlib.util.find_spec("sklearn") is None:
    pytest.skip("scikit-learn is not installed: pip install 'fastconv[sklearn]'", allow_module_level=True)

from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from fastconv.sklearn import FastconvClassifier, FastconvRegressor
from fastconv.wrappers import SKLearnClassifier, SKLearnRegressor

EXAMPLE = Path(__file__).parents[1] / "examples/grid_search.py"
X, Y = (array[:300] for array in datasets.digits.load_data()[0])
X = X.reshape(-1, 64) / 16


def network(X, y, units=16, loss="categorical_crossentropy", last="softmax", outputs=None):
    model = models.Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.Dense(units, activation="relu", kernel_initializer=initializers.GlorotUniform(1)),
            layers.Dense(outputs or y.shape[1], activation=last, kernel_initializer=initializers.GlorotUniform(2)),
        ]
    )
    model.compile(optimizers.Adam(0.01), loss)
    return model


def regression(X, y):
    return network(X, y, loss="mse", last="linear")


QUIET = {"verbose": 0, "epochs": 20, "shuffle": False}  # and seeds above: two fits are to give the same
ESTIMATORS = [
    FastconvClassifier(),
    FastconvRegressor(),
    SKLearnClassifier(network, fit_kwargs=QUIET),
    SKLearnRegressor(regression, fit_kwargs=QUIET),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
@pytest.mark.filterwarnings("ignore")  # what the checks provoke
def test_scikit_learns_checks_pass(estimator):
    results = check_estimator(estimator, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 45


def test_pipelines_cross_validation_and_grids():
    pipeline = make_pipeline(StandardScaler(), FastconvClassifier(epochs=15, learning_rate=0.01, random_state=1))
    assert cross_val_score(pipeline, X, Y, cv=3).mean() > 0.85
    search = GridSearchCV(
        FastconvClassifier(epochs=10, random_state=1),
        {"hidden_layer_sizes": [(2,), (32,)], "learning_rate": [0.01]},
        cv=2,
        n_jobs=2,  # estimators travel to other processes
    ).fit(X, Y)
    assert search.best_params_["hidden_layer_sizes"] == (32,)
    assert search.score(X, Y) > 0.9


def test_a_seed_fixes_a_fit_and_leaves_other_numbers_alone():
    random.seed(3)
    state = random.get_state()
    first, again = (FastconvClassifier(epochs=3, dropout=0.5, random_state=5).fit(X, Y) for _ in range(2))
    assert random.get_state() == state
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    other = FastconvClassifier(epochs=3, dropout=0.5, random_state=6).fit(X, Y)
    assert (other.predict_proba(X) != first.predict_proba(X)).any()


@pytest.mark.parametrize(
    ("classes", "arguments"),
    [
        (3, {"loss": "sparse_categorical_crossentropy"}),
        (2, {"loss": "binary_crossentropy", "last": "sigmoid", "outputs": 1}),
        (2, {"loss": "categorical_crossentropy"}),
    ],
)
def test_labels_come_back_whatever_the_loss_wants(classes, arguments):
    rows = classes > Y
    labels = np.array(["zero", "one", "two"], dtype=object)[Y[rows]]
    estimator = SKLearnClassifier(network, model_kwargs=arguments, fit_kwargs={"epochs": 40, "verbose": 0})
    estimator.fit(X[rows], labels)
    assert estimator.score(X[rows], labels) > 0.95
    assert list(estimator.classes_) == sorted(set(labels))
    probabilities = estimator.predict_proba(X[rows])
    assert probabilities.shape == (rows.sum(), classes)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (estimator.classes_[probabilities.argmax(1)] == estimator.predict(X[rows])).all()


def test_images_sample_weights_and_the_arguments_of_fit():
    images = X.reshape(-1, 8, 8, 1)
    stop = callbacks.EarlyStopping("val_loss", patience=50, restore_best_weights=True)
    estimator = FastconvClassifier(epochs=5, validation_split=0.2, callbacks=[stop], random_state=0)
    weight = (Y != 3).astype(float)
    estimator.fit(images, Y, sample_weight=weight, epochs=12)
    assert len(estimator.history_["val_loss"]) == 12  # what fit is given goes before the estimator's own
    assert stop.best is None and stop.model is None  # the parameter stays as it was
    assert 3 not in estimator.predict(images)  # never counted


def test_a_model_is_copied_and_never_changed():
    model = network(X, np.zeros((1, 10)))
    model.fit(X, np.eye(10)[Y], epochs=30, verbose=0)
    before = model.get_weights()
    estimator = SKLearnClassifier(model, fit_kwargs={"epochs": 1, "verbose": 0}).fit(X, Y)
    new = estimator.score(X, Y)
    warm = SKLearnClassifier(model, warm_start=True, fit_kwargs={"epochs": 1, "verbose": 0}).fit(X, Y)
    assert warm.score(X, Y) > max(new, 0.9)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    twin = clone(warm)
    assert not hasattr(twin, "model_") and twin.model is not model
    np.testing.assert_array_equal(twin.model.predict(X), model.predict(X))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_fitted_estimator_can_be_copied(copied):
    estimator = FastconvRegressor(epochs=5, random_state=0).fit(X, X[:, :2])
    state = random.get_state()
    twin = copied(estimator)
    assert random.get_state() == state
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    estimator.warm_start = twin.warm_start = True
    random.seed(0)
    first = estimator.set_params(random_state=4).fit(X, X[:, :2]).predict(X)  # the optimizer's state has travelled too
    np.testing.assert_array_equal(twin.set_params(random_state=4).fit(X, X[:, :2]).predict(X), first)


def test_regression_of_one_and_of_several_numbers():
    y = X @ np.linspace(-1, 1, 64)
    one = FastconvRegressor(epochs=60, learning_rate=0.01, random_state=0).fit(X, y)
    assert one.predict(X).shape == y.shape and one.score(X, y) > 0.95
    several = FastconvRegressor(epochs=60, learning_rate=0.01, random_state=0).fit(X, np.c_[y, -y])
    assert r2_score(np.c_[y, -y], several.predict(X)) > 0.95


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SKLearnClassifier(lambda X, y: "model").fit(X, Y), RuntimeError, "compiled"),
        (lambda: FastconvClassifier().fit(X, np.zeros(len(X))), ValueError, "one\\s+class"),
        (lambda: FastconvClassifier(network, dropout=0.5).fit(X, Y), ValueError, "dropout"),
        (lambda: FastconvClassifier(model_kwargs={"units": 3}).fit(X, Y), ValueError, "hidden_layer_sizes"),
        (
            lambda: FastconvClassifier(warm_start=True, epochs=1).fit(X, Y).fit(X, Y + 1),
            ValueError,
            "same labels",
        ),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not in the package")
def test_the_example(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "--samples", "240", "--epochs", "4"])
    assert runpy.run_path(str(EXAMPLE))["main"]() > 0.6
    printed = capsys.readouterr().out
    assert printed.count("'filters'") == 5 and "best: " in printed
