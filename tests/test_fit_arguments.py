"""What Keras's fit, evaluate, predict and their kin take: here, the parts that have no file of their own."""

import os

import numpy as np
import pytest

from fastconv import callbacks, layers, losses, metrics, models, random

RNG = np.random.default_rng(2)
X = RNG.normal(size=(20, 4)).astype(np.float32)
Y = RNG.integers(0, 3, 20)
WEIGHT = RNG.uniform(0, 2, 20)


def make(**keywords):
    random.seed(6)
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile("sgd", losses.SparseCategoricalCrossentropy(), **keywords)
    return model


def test_metrics_count_samples_alike_and_weighted_metrics_do_not():
    model = make(metrics=["accuracy"], weighted_metrics=["accuracy", "sparse_categorical_crossentropy"])
    right = model.predict(X).argmax(1) == Y
    logs = model.evaluate(X, Y, sample_weight=WEIGHT, return_dict=True, batch_size=7, verbose=0)
    assert list(logs) == ["loss", "accuracy", "weighted_accuracy", "sparse_categorical_crossentropy"]
    assert logs["accuracy"] == pytest.approx(right.mean())
    assert logs["weighted_accuracy"] == pytest.approx((right * WEIGHT).sum() / WEIGHT.sum())
    assert logs["sparse_categorical_crossentropy"] == pytest.approx(logs["loss"] * 20 / WEIGHT.sum(), rel=1e-5)
    history = model.fit(X, Y, class_weight={0: 1, 1: 0, 2: 1}, verbose=0, validation_split=0.2).history
    assert {"weighted_accuracy", "val_weighted_accuracy"} <= set(history)


def test_the_same_logs_as_keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is not installed; compared where it is")
    ours = make(metrics=["accuracy"], weighted_metrics=["accuracy"])
    theirs = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(5, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    theirs.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    theirs.set_weights(ours.get_weights())
    arguments = {
        "batch_size": 6,
        "shuffle": False,
        "verbose": 0,
        "validation_split": 0.3,
        "epochs": 3,
        "validation_freq": 2,
    }
    for weights in ({"sample_weight": WEIGHT}, {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}, {}):
        logs = [model.fit(X, Y, **weights, **arguments).history for model in (ours, theirs)]
        assert set(logs[0]) == set(logs[1])
        for name, values in logs[1].items():
            np.testing.assert_allclose(logs[0][name], values, rtol=2e-5, err_msg=name)
    mine, other = (m.evaluate(X, Y, sample_weight=WEIGHT, return_dict=True, verbose=0) for m in (ours, theirs))
    assert set(mine) == set(other)
    for name, value in other.items():
        assert mine[name] == pytest.approx(float(value), rel=2e-5)
    theirs.reset_metrics()
    assert ours.test_on_batch(X, Y)[0] == pytest.approx(float(theirs.test_on_batch(X, Y)[0]), rel=2e-5)


def test_two_metrics_of_one_name():
    model = make(metrics=[metrics.Recall(class_id=0), metrics.Recall(class_id=1)])
    model.evaluate(X, np.asarray(Y), verbose=0)
    assert model.metrics_names == ["loss", "recall", "recall_1"]
    assert [type(m) for m in model.metrics] == [metrics.Recall, metrics.Recall]


def test_methods_for_one_batch():
    model = make(metrics=["accuracy"])
    before = model.get_weights()
    loss, accuracy = model.test_on_batch(X, Y)
    assert [loss, accuracy] == pytest.approx(model.evaluate(X, Y, batch_size=20, verbose=0))
    assert model.test_on_batch(X, Y, WEIGHT, return_dict=True)["accuracy"] == accuracy
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(X, Y)
    trained = model.get_metrics_result()
    assert trained["accuracy"] == accuracy and list(trained) == model.metrics_names
    model.reset_metrics()
    assert model.get_metrics_result() == {"loss": 0.0, "accuracy": 0.0}
    np.testing.assert_allclose(model.predict_on_batch(X), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize("given", ["arrays", "batches"])
def test_predict_calls_its_hooks(given, capsys):
    model, calls = make(), []
    watch = callbacks.LambdaCallback(
        on_predict_begin=lambda logs: calls.append("begin"),
        on_predict_batch_begin=lambda batch, logs: calls.append(batch),
        on_predict_batch_end=lambda batch, logs: calls.append(len(logs["outputs"][0])),
        on_predict_end=lambda logs: calls.append("end"),
    )
    x = X if given == "arrays" else (X[i : i + 8] for i in (0, 8, 16))
    np.testing.assert_array_equal(model.predict(x, batch_size=8, callbacks=[watch]), model.predict(X))
    assert calls == ["begin", 0, 8, 1, 8, 2, 4, "end"]
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(model.predict(X, batch_size=8, steps=2), model.predict(X)[:16])
    model.predict(X, verbose=2)
    assert capsys.readouterr().out


def test_hooks_may_insist_on_their_logs():
    """Keras always gives them: ``lambda logs: ...`` without a default is what its documentation shows."""
    calls = []
    names = [n for n in callbacks.base.HOOKS if "predict" not in n and n not in ("on_batch_begin", "on_batch_end")]
    hooks = {
        n: (lambda i, logs, n=n: calls.append(n))
        if "batch" in n or "epoch" in n
        else (lambda logs, n=n: calls.append(n))
        for n in names
    }
    make().fit(X, Y, batch_size=20, validation_data=(X, Y), callbacks=[callbacks.LambdaCallback(**hooks)], verbose=0)
    assert set(calls) == set(names)


def test_weighted_metrics_travel(tmp_path):
    model = make(metrics=["accuracy"], weighted_metrics=[metrics.SparseTopKCategoricalAccuracy(k=2)])
    model.fit(X, Y, sample_weight=WEIGHT, verbose=0)
    expected = model.evaluate(X, Y, sample_weight=WEIGHT, return_dict=True, verbose=0)
    for ending in ("safetensors", "keras"):
        if ending == "keras":
            pytest.importorskip("h5py", reason="h5py is not installed: pip install 'fastconv[keras]'")
        model.save(tmp_path / f"m.{ending}")
        loaded = models.load_model(tmp_path / f"m.{ending}")
        assert loaded.evaluate(X, Y, sample_weight=WEIGHT, return_dict=True, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: make(run_eagerly=True), ValueError, "run_eagerly=False"),
        (lambda: make(steps_per_execution=4), ValueError, "steps_per_execution=1"),
        (lambda: make(jit_compile=3), TypeError, "jit_compile"),
        (lambda: make(weighted_metrics=["acuracy"]), ValueError, "Did you mean"),
        (lambda: make().predict(X, steps=5), ValueError, "steps <= 1"),
        (lambda: models.Sequential([layers.Input((4,)), layers.Dense(1)]).test_on_batch(X, Y), RuntimeError, "compile"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()
