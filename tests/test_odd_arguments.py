"""Arguments that a fuzzer (bench/nightly/calls.py) got past the checks: each has to be refused in words of ours."""

from fractions import Fraction

import numpy as np
import pytest

import fastconv
from fastconv import (
    attribution,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    random,
    reference,
    schedules,
    tuning,
    utils,
)
from fastconv.testing.refusal import assert_refused

SEVERAL, ONES = np.arange(6), np.ones((2, 3), np.float32)
EMPTY = np.ones((4, 0), np.float32)  # samples without cells
IMAGES = np.zeros((1, 2, 2, 1), np.float32)


class Null:
    """An array interface that points nowhere."""

    __array_interface__ = {"shape": (2, 2), "typestr": "<q9", "data": None, "version": 3}  # noqa: RUF012 (as NumPy's)


def compiled(**keywords):
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", **keywords)
    return model


CALLS = [
    ("array for an int", lambda: metrics.Precision(top_k=SEVERAL), TypeError),
    ("array for an activation", lambda: layers.Activation(SEVERAL), TypeError),
    ("array for a word", lambda: ops.resize2d(IMAGES, 2, interpolation=SEVERAL), TypeError),
    ("array for threads", lambda: fastconv.set_num_threads(SEVERAL), TypeError),
    ("array for a flag", lambda: compiled(run_eagerly=SEVERAL), TypeError),
    ("array for verbose", lambda: compiled().predict(ONES, verbose=SEVERAL), TypeError),
    ("array for a layer's name", lambda: compiled().input_gradients(ONES, layer=SEVERAL), TypeError),
    ("class for a number", lambda: layers.LeakyReLU(np.float32), TypeError),
    ("class for a seed", lambda: ops.dropout(ONES, 0.5, seed=int), TypeError),
    ("no array for a number", lambda: ops.penalty(ONES, l1=Null(), l2=0.0), TypeError),
    ("no array for a metric", lambda: metrics.Mean().update_state(Null()), TypeError),
    ("text for a metric", lambda: metrics.BinaryAccuracy().update_state(["a"], ["b"]), TypeError),
    ("exception for weights", lambda: metrics.Mean().update_state(ONES, Exception("x")), TypeError),
    ("number for thresholds", lambda: metrics.AUC(thresholds=3), TypeError),
    ("axis of no class", lambda: metrics.OneHotMeanIoU(3, axis=-9).update_state(ONES, ONES), ValueError),
    ("weights for other samples", lambda: losses.MeanSquaredError()(ONES, ONES, np.ones(5)), ValueError),
    ("array for a loss's name", lambda: losses.MeanSquaredError(name=SEVERAL), TypeError),
    ("number for axes", lambda: layers.PReLU(shared_axes=0.5), TypeError),
    ("number for a permutation", lambda: layers.Permute(2.0), TypeError),
    ("class for a shape", lambda: initializers.RandomNormal()(np.float32), TypeError),
    ("text for extents", lambda: initializers.compute_fans(("a", 2)), TypeError),
    ("weights of ints", lambda: constraints.NonNeg()(np.ones(3, np.int8)), TypeError),
    ("text for a step", lambda: schedules.PolynomialDecay(0.1, 10)("x"), TypeError),
    ("number for a config", lambda: schedules.deserialize(3), TypeError),
    ("number for names", lambda: callbacks.Freeze(3, 1), TypeError),
    ("number for a function", lambda: compiled().summary(print_fn=3), TypeError),
    ("number for a model", lambda: attribution.saliency(0.5, IMAGES), TypeError),
    ("number for a model to tune", lambda: tuning.find_learning_rate(0.5, ONES), TypeError),
    ("text for a generator's seed", lambda: random.generator("x"), TypeError),
    ("half a state", lambda: random.set_state((1,)), ValueError),
    ("no state", lambda: random.set_state(3.0), TypeError),
    ("number for class names", lambda: utils.prediction_text(ONES[0], class_names=1j), TypeError),
    ("list for a sequence", lambda: layers.UpSampling1D(2)([ONES[None]] * 3), TypeError),
    ("class for an array", lambda: ops.simple_rnn(np.ndarray, ONES, ONES), TypeError),
    ("class for images", lambda: ops.upsample(np.ndarray, 2), TypeError),
    ("class for predictions", lambda: ops.sparse_categorical_crossentropy(SEVERAL, np.ndarray), TypeError),
    ("class for what is dropped", lambda: ops.dropout(np.ndarray, 0.5, seed=1, noise_shape=(1,)), TypeError),
    ("result that is no number", lambda: utils.numeric_gradient(print, ONES[0]), TypeError),
    ("result that is text", lambda: utils.numeric_gradient(lambda x: "x", ONES[0]), TypeError),
    ("matrix of many classes", lambda: metrics.confusion_matrix([0, 1], [0, 1], num_classes=2**62), MemoryError),
    ("step before the first", lambda: schedules.CosineDecay(0.1, 10)(-1.0), ValueError),
    ("array for a distribution", lambda: initializers.VarianceScaling(distribution=SEVERAL), TypeError),
    ("class for a hook", lambda: callbacks.LambdaCallback(on_epoch_end=int), TypeError),
]


@pytest.mark.parametrize("call,error", [line[1:] for line in CALLS], ids=[line[0] for line in CALLS])
def test_refused_in_our_words(call, error):
    assert_refused(call, error, "")


MOVES = [
    ("reshape", lambda lib, dy: lib.reshape_backward(dy, ONES, (3, 2)), (3, 2)),
    ("flatten", lambda lib, dy: lib.flatten_backward(dy, ONES), (2, 3)),
    ("cast", lambda lib, dy: lib.cast_backward(dy, ONES, "float32"), (2, 3)),
    ("dropout", lambda lib, dy: lib.dropout_backward(dy, ONES, 0.5, seed=1), (2, 3)),
]


@pytest.mark.parametrize("lib", [ops, reference], ids=["ops", "reference"])
@pytest.mark.parametrize("call,shape", [line[1:] for line in MOVES], ids=[line[0] for line in MOVES])
def test_a_cotangent_is_like_its_result_also_where_no_kernel_looks(lib, call, shape):
    call(lib, np.ones(shape, np.float32))
    assert_refused(lambda: call(lib, np.ones((1, 6), np.float32)), ValueError, "dy")
    assert_refused(lambda: call(lib, np.ones(shape)), TypeError, "dy")


SEQUENCE, STEPS = np.ones((2, 3, 2), np.float32), (np.ones((2, 4), np.float32), np.ones((4, 4), np.float32))
REFUSED = [
    ("no cotangent", lambda lib: lib.sigmoid_backward((), ONES), TypeError),
    ("flat cotangent", lambda lib: lib.simple_rnn_backward(np.ones(8, np.float32), SEQUENCE, *STEPS), ValueError),
    ("cotangent of ints", lambda lib: lib.simple_rnn_backward(np.ones((2, 4), int), SEQUENCE, *STEPS), TypeError),
    ("bias of one", lambda lib: lib.simple_rnn(SEQUENCE, *STEPS, ONES[0, :1]), ValueError),
    ("word for a flag", lambda lib: lib.gru(SEQUENCE, ONES, ONES, reset_after="mse"), TypeError),
    ("dates for ids", lambda lib: lib.embedding(np.zeros(2, "M8[s]"), ONES), TypeError),
    ("table of bytes", lambda lib: lib.embedding(np.zeros(2, int), np.zeros((2, 3), "V4")), TypeError),
    ("axis beyond the last", lambda lib: lib.transpose(ONES, (1, 2)), ValueError),
    ("number for a word", lambda lib: lib.resize2d(IMAGES, 2, coordinates=1e30), TypeError),
    ("huge epsilon", lambda lib: lib.rms_norm(ONES, epsilon=1e30), ValueError),
    ("momentum out of range", lambda lib: lib.batch_norm_backward(ONES, ONES, *[ONES[0]] * 4, momentum=-1), ValueError),
    ("no recurrent kernel", lambda lib: lib.gru_backward(ONES[:, :2].copy(), SEQUENCE, ONES, None), TypeError),
    ("no kernel", lambda lib: lib.lstm(SEQUENCE, None, STEPS[0]), TypeError),
    ("a number to flatten", lambda lib: lib.flatten(ONES[0, :1].reshape(())), ValueError),
    ("array for a mask", lambda lib: lib.dropout(ONES, 0.5, seed=1, noise_shape=np.array([None, 1])), TypeError),
    ("mask of none", lambda lib: lib.dropout(ONES, 0.5, seed=1, noise_shape=(0, 3)), ValueError),
    ("infinite delta", lambda lib: lib.huber(ONES, ONES, delta=np.inf), ValueError),
    ("empty samples", lambda lib: lib.reshape_backward(EMPTY.T, EMPTY, (0, 4)), ValueError),
    ("empty axis", lambda lib: lib.softmax(np.ones((2, 0), np.float32)), ValueError),
    ("class to flatten", lambda lib: lib.flatten(np.float32), TypeError),
    ("list for an activation", lambda lib: lib.dense(ONES, ONES.T.copy(), activation=[[1]]), TypeError),
]
TAKEN = [
    ("fraction", lambda lib: lib.clip(ONES, Fraction(1, 3), Fraction(1, 2))),
    ("ints for pads", lambda lib: lib.pad(ONES, (1, 0))),
    ("no gamma", lambda lib: lib.rms_norm(ONES)),
    ("no beta", lambda lib: lib.layer_norm(ONES, ONES[0], None)),
    ("one extent", lambda lib: lib.reshape(ONES, -1)),
    ("a step's place", lambda lib: lib.threshold_backward(ONES, ONES, 2**63)[0]),
    ("huge delta", lambda lib: lib.huber(ONES, -ONES, delta=1e300)),
    ("huge error", lambda lib: lib.huber(np.float64([[1e155]]), np.zeros((1, 1)), delta=1e154)),
    ("negative alpha", lambda lib: lib.elu_backward(ONES, -ONES, alpha=-1.0)[0]),
]


@pytest.mark.parametrize("lib", [ops, reference], ids=["ops", "reference"])
@pytest.mark.parametrize("call,error", [line[1:] for line in REFUSED], ids=[line[0] for line in REFUSED])
def test_ops_and_reference_refuse_the_same(lib, call, error):
    assert_refused(lambda: call(lib), error, "")


@pytest.mark.parametrize("call", [line[1] for line in TAKEN], ids=[line[0] for line in TAKEN])
def test_ops_and_reference_take_the_same(call):
    np.testing.assert_allclose(call(ops), call(reference), rtol=1e-6, atol=1e-7)


def test_a_cotangent_of_foreign_byte_order_is_called_that():
    dy = np.ones((2, 4), np.dtype(np.float32).newbyteorder())
    assert_refused(lambda: ops.simple_rnn_backward(dy, SEQUENCE, *STEPS), TypeError, "dy has a foreign byte order")


def test_ids_that_cannot_be_held_are_not_searched():
    ids = np.broadcast_to(np.int64(1), (2**40,))
    assert_refused(lambda: ops.embedding(ids, ONES), MemoryError, "ids")


def test_only_the_batch_may_be_empty():
    for lib in (ops, reference):
        assert lib.mish(np.zeros((0, 4), np.float32)).shape == (0, 4)
        assert_refused(lambda lib=lib: lib.mish(np.zeros((1, 0, 4), np.float32)), ValueError, "batch")
