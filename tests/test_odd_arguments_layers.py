"""Arguments that a fuzzer (bench/nightly/calls.py) got past the checks of layers, models and what is around them."""

import functools

import numpy as np
import pytest

from fastconv import (
    activations,
    attribution,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    schedules,
    tuning,
    utils,
)
from fastconv.testing.refusal import assert_refused

SEVERAL, ONES = np.arange(6), np.ones((2, 3), np.float32)
IMAGES, NONE = np.zeros((1, 2, 2, 1), np.float32), np.ones((), np.float32)
PLANES = memoryview(np.zeros((2, 3), np.float32))
OWN = [1]
OWN.append(OWN)


class Null:
    """An array interface that points nowhere."""

    __array_interface__ = {"shape": (2, 2), "typestr": "<q9", "data": None, "version": 3}  # noqa: RUF012 (as NumPy's)


class Far:
    """An index that no array has."""

    def __index__(self):
        return -(2**70)


def compiled(**keywords):
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse", **keywords)
    return model


def trained(layer, shape=(3,)):
    model = models.Sequential([layers.Input(shape), layer])
    model.compile("sgd", "mse")
    return model.train_on_batch(np.ones((2, *shape), np.float32), TARGETS)


def pictured():
    return models.Sequential([layers.Input((2, 2, 1)), layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(2)])


def config(name, **arguments):
    return {"class_name": name, "config": arguments}


TARGETS = np.ones((2, 2), np.float32)
CALLS = [
    ("number for points", lambda: schedules.PiecewiseLinear(1, [1.0]), TypeError),
    ("class for rates", lambda: schedules.PiecewiseLinear([1], np.float32), TypeError),
    ("number for boundaries", lambda: schedules.PiecewiseConstantDecay(2, [1.0]), TypeError),
    ("scalar array for rates", lambda: schedules.PiecewiseConstantDecay([2], NONE), TypeError),
    ("number for names", lambda: datasets.describe(ONES, [0, 1], class_names=0.5), TypeError),
    ("class to augment by", lambda: datasets.Dataset(ONES).augment(np.int64), TypeError),
    ("class to map by", lambda: datasets.Dataset(ONES).map(int), TypeError),
    ("array for a seed", lambda: random.seed(SEVERAL), TypeError),
    ("class for a function", lambda: utils.numeric_gradient(int, ONES), TypeError),
    ("planes for channels", lambda: utils.merge_channels(PLANES), TypeError),
    ("scalar array for channels", lambda: utils.merge_channels(NONE), TypeError),
    ("scalar array for shares", lambda: utils.train_val_test_split(ONES, ONES, ratios=NONE), TypeError),
    ("no array among labels", lambda: utils.LabelEncoder().fit(["a", Null()]), TypeError),
    ("list of arrays to reshape", lambda: layers.Reshape((3,))([ONES, ONES]), TypeError),
    ("list of arrays to activate", lambda: layers.Activation("log_softmax")([ONES, ONES]), TypeError),
    ("list of arrays to gate", lambda: layers.Activation("glu")([ONES, ONES]), TypeError),
    ("list of arrays to crop", lambda: layers.RandomCrop(1, 1)([IMAGES, IMAGES]), TypeError),
    ("list of arrays to scale", lambda: layers.Normalization(axis=None, mean=0.0, variance=1.0)([ONES]), TypeError),
    ("list of images to scale", lambda: layers.Normalization(mean=[0.0], variance=[1.0])([IMAGES]), TypeError),
    ("a number to gate", lambda: layers.Activation("glu")(NONE), ValueError),
    ("axis to gate", lambda: activations.glu(ONES, axis=5), ValueError),
    ("no arrays to remember", lambda: layers.LSTM(3)([]), TypeError),
    ("no arrays both ways", lambda: layers.Bidirectional(layers.GRU(2))(()), TypeError),
    ("no arrays to normalise", lambda: layers.LayerNormalization()([]), TypeError),
    ("a number to activate", lambda: layers.Activation("softmax")(NONE), ValueError),
    ("a number to normalise", lambda: layers.GroupNormalization(-1)(NONE), ValueError),
    ("array for groups", lambda: layers.GroupNormalization(SEVERAL), TypeError),
    ("array for the axis", lambda: layers.LayerNormalization(axis=SEVERAL), TypeError),
    ("array for a padding", lambda: layers.Conv1D(2, 3, padding=SEVERAL), TypeError),
    ("array for a merge mode", lambda: layers.Bidirectional(layers.GRU(2), merge_mode=SEVERAL), TypeError),
    ("array for a class", lambda: layers.Bidirectional({"class": SEVERAL, "config": {}}), TypeError),
    ("class for an initializer", lambda: layers.PReLU(alpha_initializer=np.float32), TypeError),
    ("unknown argument", lambda: initializers.deserialize(config("Constant", a=1)), TypeError),
    ("argument of none", lambda: initializers.deserialize(config("Zeros", a=1)), TypeError),
    ("number for a name", lambda: optimizers.deserialize({"class_name": "SGD", "config": {0: 1}}), TypeError),
    ("far axis", lambda: constraints.UnitNorm(axis=Far()), ValueError),
    ("number for a matrix", lambda: regularizers.OrthogonalRegularizer()(3), TypeError),
    ("vector for a matrix", lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), ValueError),
    ("many thresholds", lambda: metrics.AUC(num_thresholds=2**200), ValueError),
    ("many operating points", lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=2**31), ValueError),
    ("many classes", lambda: metrics.MeanIoU(2**64), MemoryError),
    ("scalar array for thresholds", lambda: metrics.Recall(thresholds=NONE), TypeError),
    ("no array for an accuracy", lambda: metrics.InferredAccuracy().update_state(ONES, Null()), TypeError),
    ("class for a metric", lambda: compiled(weighted_metrics=[np.float32]), TypeError),
    ("predictions without classes", lambda: losses.SparseCategoricalCrossentropy()([0, 1], [0.5, 0.5]), ValueError),
    ("many steps", lambda: tuning.find_learning_rate(compiled(), ONES, TARGETS, steps=2**63), ValueError),
    ("no images", lambda: attribution.saliency(pictured(), Null()), TypeError),
    ("ragged classes", lambda: attribution.saliency(pictured(), IMAGES, classes=[[0], [1, 2]]), TypeError),
    ("array for a layer", lambda: attribution.grad_cam(pictured(), IMAGES, layer=SEVERAL), ValueError),
    ("no weights of cells", lambda: compiled().input_gradients(ONES, dy=Null()), TypeError),
    ("array for training", lambda: compiled().gradients(ONES, TARGETS, training=SEVERAL), TypeError),
    ("array for a kind of result", lambda: compiled().train_on_batch(ONES, TARGETS, return_dict=SEVERAL), TypeError),
    ("class to print by", lambda: compiled().summary(print_fn=np.ndarray), TypeError),
    ("array for the optimizer", lambda: compiled().save("m.safetensors", include_optimizer=SEVERAL), TypeError),
    ("planes for batches", lambda: compiled().predict(PLANES), TypeError),
    ("list in itself", lambda: compiled().train_on_batch(ONES, OWN), ValueError),
    ("array for talking", lambda: callbacks.LearningRateScheduler(min, verbose=SEVERAL), TypeError),
    ("array for batches of logs", lambda: callbacks.TensorBoard("logs", update_freq=SEVERAL), TypeError),
    ("array for batches of files", lambda: callbacks.BackupAndRestore("b", save_freq=SEVERAL), TypeError),
    ("function that forgets to return", lambda: layers.Activation(lambda x: None)(ONES), TypeError),
    ("function that prints", lambda: layers.Activation(print)(layers.Input((3,))), TypeError),
    ("constant for an activation", lambda: layers.Dense(2, activation=lambda x: ONES)(layers.Input((3,))), TypeError),
    ("penalty that is none", lambda: trained(layers.Dense(2, activity_regularizer=lambda x: None)), TypeError),
    ("augmenting to nothing", lambda: list(datasets.Dataset(ONES).augment(lambda x, rng: None)), TypeError),
    ("mapping to nothing", lambda: list(datasets.Dataset(ONES).map(lambda x: None)), TypeError),
    ("config without units", lambda: layers.TimeDistributed({"class": "Dense", "config": {}}), TypeError),
    ("config of numbers", lambda: layers.Bidirectional({"class": "LSTM", "config": {0: 1}}), TypeError),
    ("two outputs in a row", lambda: trained(layers.Bidirectional(layers.GRU(2), merge_mode=None), (3, 2)), ValueError),
    ("array for batches of models", lambda: callbacks.ModelCheckpoint("b", save_freq=SEVERAL), TypeError),
]


@pytest.mark.parametrize("call,error", [line[1:] for line in CALLS], ids=[line[0] for line in CALLS])
def test_refused_in_our_words(call, error):
    assert_refused(call, error, "")


RETURNED = [None, 1.0, "x", [], [None], {"y": ONES}, iter([ONES])]


@pytest.mark.parametrize("result", RETURNED, ids=[type(r).__name__ + str(i) for i, r in enumerate(RETURNED)])
def test_what_a_call_returns_is_a_tensor_or_several(result):
    class Own(layers.Layer):
        def call(self, inputs):
            return result

    assert_refused(lambda: Own()(ONES), TypeError, "Own.call must return")
    assert_refused(lambda: Own()(layers.Input((3,))), TypeError, "Own.call must return")


def test_the_function_that_returns_nothing_is_named():
    def forgetful(x):
        ops.relu(x)

    makers = [(layers.Activation, ONES), (functools.partial(layers.Dense, 2), ONES)]
    for make, x in [*makers, (functools.partial(layers.Conv2D, 2, 1), IMAGES)]:
        call = functools.partial(make(activation=forgetful), x)
        assert_refused(call, TypeError, "the activation forgetful must return")


def test_an_op_in_a_layer_names_the_argument_that_is_missing():
    class Own(layers.Layer):
        def call(self, inputs):
            return ops.dense(inputs, None)

    assert_refused(lambda: Own()(layers.Input((3,))), TypeError, "w must be symbolic")


@pytest.mark.parametrize("make", [layers.PReLU, layers.Dense, layers.Embedding], ids=lambda make: make.__name__)
def test_no_initializer_is_the_usual_one(make):
    """As in Keras, glorot_uniform."""
    names = {"PReLU": "alpha", "Dense": "kernel", "Embedding": "embeddings"}
    sizes = {"PReLU": (), "Dense": (4,), "Embedding": (9, 4)}[make.__name__]
    layer = make(*sizes, **{f"{names[make.__name__]}_initializer": None})
    layer.build((None, 5))
    w = layer.get_weights()[0]
    limit = np.sqrt(6 / sum(initializers.compute_fans(w.shape)))
    assert 0 < np.abs(w).max() <= limit and np.ptp(w) > 0
    assert make.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8"])
def test_votes_are_predictions(dtype):
    found = utils.decode_predictions(np.array([[0, 1, 0], [1, 0, 0]], dtype), top=1)
    assert found == [[("1", 1.0)], [("0", 1.0)]]
    assert utils.decode_predictions(np.array([[1]], dtype), top=1) == [[("1", 1.0)]]


def test_a_huge_beta_is_the_recall():
    y, p = np.eye(3, dtype=np.float32)[[0, 1, 1, 2]], np.eye(3, dtype=np.float32)[[0, 1, 0, 2]]
    for beta in (1e9, 1e300):
        np.testing.assert_allclose(metrics.FBetaScore(beta=beta)(y, p), [1, 0.5, 1], rtol=1e-12)
    np.testing.assert_allclose(metrics.FBetaScore(beta=1e-300)(y, p), [0.5, 1, 1], rtol=1e-12)


def test_whole_exponents_end():
    y, p = np.ones((2, 1), np.float32), np.full((2, 1), 0.75, np.float32)
    for gamma in (0, 1, 2, 3, 5.0):
        found = losses.BinaryFocalCrossentropy(gamma=gamma)(y, p)
        np.testing.assert_allclose(found, -(0.25**gamma) * np.log(0.75), rtol=1e-5)
    assert losses.BinaryFocalCrossentropy(gamma=2**62)(y, p) == 0


def test_a_kernel_gets_each_of_its_arrays_although_one_before_is_absent():
    model = compiled()
    model.compile(optimizers.RMSprop(0.1, rho=0.5, centered=True, epsilon=1.0), "mse")
    before, (_, slopes) = model.get_weights()[0], model.gradients(ONES, TARGETS)
    model.train_on_batch(ONES, TARGETS)
    g = next(iter(slopes.values()))
    wanted = before - 0.1 * g / np.sqrt(0.5 * g**2 - 0.25 * g**2 + 1.0)
    np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=1e-5)
