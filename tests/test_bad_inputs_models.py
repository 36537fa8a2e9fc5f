"""Models, settings and weights that must be refused: bad_inputs.md J."""

import numpy as np
import pytest

import fastconv
from fastconv import layers, losses, models, optimizers
from fastconv.errors import DeviceError
from fastconv.testing.classifier import ONE_HOT, X, built, compiled
from fastconv.testing.refusal import assert_refused


def f32(*shape):
    return np.zeros(shape, np.float32)


# Order of calls.

BEFORE_COMPILE = [
    ("fit", lambda m: m.fit(X, ONE_HOT)),
    ("evaluate", lambda m: m.evaluate(X, ONE_HOT)),
    ("train_on_batch", lambda m: m.train_on_batch(X, ONE_HOT)),
    ("gradients", lambda m: m.gradients(X, ONE_HOT)),
]


@pytest.mark.parametrize("where,call", BEFORE_COMPILE, ids=[c[0] for c in BEFORE_COMPILE])
def test_compile_comes_first(where, call):
    assert_refused(lambda: call(built()), RuntimeError, rf"\[{where}\].*compile")


def test_weights_and_shapes_come_before_files_and_summaries(tmp_path):
    model = models.Sequential([layers.Dense(2)])
    assert_refused(lambda: model.save(tmp_path / "m.safetensors"), RuntimeError, "no weights yet")
    assert_refused(lambda: models.Model().predict(X), RuntimeError, "call of its own")


# Building.

BUILD = [
    ("J3", lambda: models.Sequential([layers.Dense]), TypeError, r"layers\[0\].*Dense\(\.\.\.\)"),
    ("J3b", lambda: models.Sequential([3]), TypeError, r"layers\[0\].*int"),
    ("J3c", lambda: models.Sequential([layers.Dense(2), None]), TypeError, r"layers\[1\].*NoneType"),
    ("J3d", lambda: models.Sequential(layers.Dense(2)), TypeError, "layers.*list.*Dense"),
    ("J3e", lambda: models.Sequential("abc"), TypeError, "layers.*str"),
    ("J3f", lambda: models.Sequential().add(layers.Dense), TypeError, "layer.*Dense"),
    (
        "J4",
        lambda: models.Sequential([layers.Dense(2, name="a"), layers.Dense(2, name="a")]),
        ValueError,
        "unique.*'a'",
    ),
    ("J4b", lambda: models.Sequential().pop(), ValueError, "no layer"),
    ("J4c", lambda: models.Sequential([layers.Dense(2), layers.Input((3,))]), ValueError, "input must come first"),
    (
        "J5",
        lambda: models.Sequential([layers.Input((12, 12, 1)), layers.Conv2D(8, 20, name="wide")]),
        ValueError,
        r"layer 0 \(wide\).*kernel \(20, 20\) larger than padded input \(12, 12\)",
    ),
    (
        "J6",
        lambda: models.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.MaxPooling2D(2, name="pool")]),
        ValueError,
        r"layer 1 \(pool\).*4.*got 2",
    ),
    (
        "J7",
        lambda: models.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Dense(3, name="head")]),
        ValueError,
        r"layer 1 \(head\).*rank 2 expected, got 4.*Flatten",
    ),
    ("J8", lambda: models.Model(layers.Input((3,)), None), TypeError, "outputs.*NoneType"),
    ("J8b", lambda: models.Model(X, layers.Input((3,))), TypeError, "inputs.*ndarray"),
    ("J8c", lambda: models.Model([], layers.Input((3,))), ValueError, "inputs.*empty"),
    (
        "J8d",
        lambda: models.Model(layers.Input((3,)), layers.Dense(2)(layers.Input((3,), name="other"))),
        ValueError,
        "not listed.*other",
    ),
    ("J8e", lambda: layers.Dense(2)([layers.Input((3,)), X]), TypeError, "symbolic.*ndarray"),
    ("J13", lambda: built().get_layer("nope"), ValueError, "no layer.*nope"),
    ("J13b", lambda: built().get_layer(index=9), ValueError, "index.*9"),
    ("J13c", lambda: built().get_layer(index=1.0), TypeError, "index.*float"),
    ("E13", lambda: models.Sequential([layers.Input((2**30,)), layers.Dense(2**31 - 1)]), MemoryError, "bytes"),
    ("E13b", lambda: models.Sequential([layers.Input((2**30,)), layers.Dense(2**40)]), ValueError, "units.*too large"),
    ("E13c", lambda: models.Sequential([layers.Input((2**62,)), layers.Dense(2**31 - 1)]), MemoryError, "bytes"),
]


@pytest.mark.parametrize("call,error,words", [b[1:] for b in BUILD], ids=[b[0] for b in BUILD])
def test_models_that_cannot_be_built(call, error, words):
    assert_refused(call, error, words)


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was():
    model = built()
    before = model.predict(X)
    assert_refused(lambda: model.add(layers.Conv2D(2, 3)), ValueError, "does not fit")
    assert len(model.layers) == 1
    np.testing.assert_array_equal(model.predict(X), before)


# Optimizers and compile.

NUMBERS = [0, -1, float("nan"), float("inf")]
COMPILE = [
    *[(f"J9 {v}", lambda v=v: optimizers.SGD(v), ValueError, "learning_rate > 0") for v in NUMBERS],
    ("J9 str", lambda: optimizers.SGD("0.1"), TypeError, "learning_rate.*str"),
    ("J9 None", lambda: optimizers.SGD(None), TypeError, "learning_rate.*None"),
    ("J9 bool", lambda: optimizers.Adam(True), TypeError, "learning_rate.*bool"),
    ("J11", lambda: optimizers.SGD(momentum=1.5), ValueError, "momentum.*1.5"),
    ("J11b", lambda: optimizers.SGD(weight_decay=-1), ValueError, "weight_decay.*-1"),
    ("J11c", lambda: optimizers.SGD(clipnorm=0), ValueError, "clipnorm.*0"),
    ("J11d", lambda: optimizers.SGD(clipvalue=-0.5), ValueError, "clipvalue.*-0.5"),
    ("J11e", lambda: optimizers.Adam(beta_1=1), ValueError, "beta_1.*1"),
    ("J11f", lambda: optimizers.Adam(epsilon=-1), ValueError, "epsilon.*-1"),
    ("J11g", lambda: optimizers.SGD(nesterov=1), TypeError, "nesterov.*1"),
    ("J11h", lambda: optimizers.SGD(learnin_rate=1), TypeError, "learnin_rate"),
    ("J12", lambda: compiled(optimizer="sdg"), ValueError, "optimizer.*sdg.*SGD"),
    ("J12b", lambda: compiled(optimizer=3), TypeError, "optimizer.*3"),
    ("J12c", lambda: compiled(optimizer=None), TypeError, "optimizer.*None"),
    ("J12d", lambda: compiled(loss="mean_sqared_error"), ValueError, "loss.*mean_squared_error.*mean_sqared_error"),
    ("J12e", lambda: compiled(loss=3), TypeError, "loss.*3"),
    ("J12f", lambda: compiled(loss=None), ValueError, "loss.*None"),
    ("J12g", lambda: compiled(loss=losses.Huber), TypeError, "loss.*Huber"),
    ("J12h", lambda: compiled(loss=[]), ValueError, "loss must be given"),
    ("J12i", lambda: compiled(metrics=["acuracy"]), ValueError, "acuracy"),
    ("J12j", lambda: compiled(metrics=[3]), TypeError, "3"),
    ("J12k", lambda: compiled(metrics="nope"), ValueError, "nope"),
    ("J12l", lambda: compiled(loss_weights=[1.0, 2.0]), ValueError, "loss_weights.*1.*2"),
    ("J12m", lambda: compiled(loss_weights=["a"]), TypeError, "loss_weights.*str"),
    ("J12n", lambda: compiled(loss_weights=[float("nan")]), ValueError, "loss_weights.*nan"),
    ("J12o", lambda: compiled(metric=["accuracy"]), TypeError, "unexpected keyword `metric`, did you mean `metrics`"),
    ("J12p", lambda: losses.Huber(delta=-1.0), ValueError, "delta.*-1"),
    ("J12q", lambda: losses.CategoricalCrossentropy(label_smoothing=2.0), ValueError, "label_smoothing.*2"),
    ("J12r", lambda: losses.BinaryCrossentropy(from_logits=1), TypeError, "from_logits.*1"),
    ("J12s", lambda: losses.MeanSquaredError(reduction="avg"), ValueError, "reduction.*avg"),
    ("J12t", lambda: losses.MeanSquaredError(half=1), TypeError, "half.*1"),
    ("cuda", lambda: fastconv.set_device("cuda"), DeviceError, "cuda"),
    ("cuda 1", lambda: fastconv.set_device("cuda:1"), DeviceError, "cuda:1"),
    ("I3", lambda: fastconv.set_device("gpu"), ValueError, "device.*cpu, cuda.*gpu"),
    ("I3b", lambda: fastconv.set_device("CUDA"), ValueError, "device.*CUDA"),
    ("I3c", lambda: fastconv.set_device("cuda:x"), ValueError, "device.*cuda:x"),
    ("I3d", lambda: fastconv.set_device(0), TypeError, "device.*int"),
    ("I3e", lambda: fastconv.set_device(None), TypeError, "device.*NoneType"),
    ("policy", lambda: fastconv.set_dtype_policy("mixed_bfloat16"), DeviceError, "mixed_bfloat16.*CUDA"),
    ("policy b", lambda: fastconv.set_dtype_policy("float16"), ValueError, "dtype_policy.*float16"),
    ("policy c", lambda: fastconv.set_dtype_policy(np.float32), TypeError, "dtype_policy.*type"),
    ("precision", lambda: fastconv.set_precision("high"), ValueError, "precision.*high"),
    ("precision b", lambda: fastconv.set_precision(None), TypeError, "precision.*NoneType"),
]


@pytest.mark.parametrize("call,error,words", [c[1:] for c in COMPILE], ids=[c[0] for c in COMPILE])
def test_settings_that_are_refused(call, error, words):
    assert_refused(call, error, words)


# Weights.


def test_set_weights_is_all_or_nothing():
    """J27."""
    model = built(layers.Dense(8))
    good = model.get_weights()
    bad = [
        (good[:3], ValueError, "4.*3"),
        ([*good, good[0]], ValueError, "4.*5"),
        ([*good[:3], f32(7)], ValueError, r"weight 3 expected \(3,\), got \(7,\)"),
        ([good[0], f32(7), *good[2:]], ValueError, r"weight 1 expected \(8,\), got \(7,\)"),
        ([*good[:3], good[3].astype(complex)], TypeError, "weight 3.*complex"),
        ([*good[:3], np.array(["a", "b", "c"])], TypeError, "weight 3.*U1"),
        ([*good[:3], np.array([True, False, True])], TypeError, "weight 3.*bool"),
        ([*good[:3], good[3].astype(object)], TypeError, "weight 3.*object"),
        ([*good[:3], good[3] * np.float32(np.nan)], ValueError, "weight 3.*NaN"),
        ([*good[:3], np.full(3, np.inf)], ValueError, "weight 3.*infinity"),
        ([*good[:3], np.full(3, 1e300)], ValueError, "weight 3.*float32"),
        ([*good[:3], None], TypeError, "weight 3.*NoneType"),
        ([*good[:3], [[1.0], [1.0, 2.0]]], ValueError, "weight 3.*one length"),
        (None, TypeError, "NoneType"),
        ("abcd", TypeError, "str"),
    ]
    for weights, error, words in bad:
        spoilt = (
            weights
            if not isinstance(weights, list)
            else [np.ones_like(good[0]) if w is good[0] else w for w in weights]
        )
        assert_refused(lambda w=spoilt: model.set_weights(w), error, words)
        for old, new in zip(good, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    model.set_weights([w.astype(np.float64) for w in good])  # as Keras
