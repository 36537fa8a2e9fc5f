"""Losses as objects: values, reductions, names, what they refuse; the functions behind them are in test_ops.py."""

import numpy as np
import pytest

from fastconv import layers, losses, models, ops, reference

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(4), 5)  # predictions (5, 4)
T = RNG.dirichlet(np.ones(4), 5)  # targets
HOT = np.eye(4)[[0, 3, 1, 1, 2]]

SIGN = np.sign(T - 0.25)


def cosine(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


BY_NAME = {
    "squared_hinge": (losses.SquaredHinge, SIGN, (np.maximum(1 - SIGN * P, 0) ** 2).mean(-1)),
    "categorical_hinge": (
        losses.CategoricalHinge,
        HOT,
        np.maximum(1 + ((1 - HOT) * P).max(-1) - (HOT * P).sum(-1), 0),
    ),
    "log_cosh": (losses.LogCosh, T, np.log(np.cosh(P - T)).mean(-1)),
    "cosine_similarity": (losses.CosineSimilarity, T, -cosine(P, T)),
    "binary_focal_crossentropy": (
        losses.BinaryFocalCrossentropy,
        HOT,
        -(HOT * (1 - P) ** 2 * np.log(P) + (1 - HOT) * P**2 * np.log(1 - P)).mean(-1),
    ),
    "mse": (losses.MeanSquaredError, T, ((P - T) ** 2).mean(-1)),
    "mean_absolute_error": (losses.MeanAbsoluteError, T, np.abs(P - T).mean(-1)),
    "huber": (losses.Huber, T, (0.5 * (P - T) ** 2).mean(-1)),
    "hinge": (losses.Hinge, np.sign(T - 0.25), np.maximum(1 - np.sign(T - 0.25) * P, 0).mean(-1)),
    "kld": (losses.KLDivergence, T, (T * np.log(T / P)).sum(-1)),
    "binary_crossentropy": (losses.BinaryCrossentropy, HOT, -(HOT * np.log(P) + (1 - HOT) * np.log(1 - P)).mean(-1)),
    "categorical_crossentropy": (losses.CategoricalCrossentropy, HOT, -np.log((HOT * P).sum(-1))),
    "sparse_categorical_crossentropy": (
        losses.SparseCategoricalCrossentropy,
        HOT.argmax(-1),
        -np.log((HOT * P).sum(-1)),
    ),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_values_by_formula(name):
    cls, target, expected = BY_NAME[name]
    loss = losses.get(name)
    assert type(loss) is cls
    assert loss(target, P) == pytest.approx(expected.mean(), rel=1e-10)
    np.testing.assert_allclose(cls(reduction=None)(target, P), expected, rtol=1e-10)
    assert cls(reduction="sum")(target, P) == pytest.approx(expected.sum(), rel=1e-10)
    weights = np.arange(5.0)
    assert loss(target, P, sample_weight=weights) == pytest.approx((expected * weights).mean(), rel=1e-10)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_loss_comes_back_from_its_config(name):
    loss = losses.get(name)
    twin = losses.get(losses.serialize(loss))
    assert type(twin) is type(loss)
    assert twin.get_config() == loss.get_config()
    assert type(losses.get(type(loss).__name__)) is type(loss)


@pytest.mark.parametrize("name", BY_NAME)
def test_lists_and_integers_are_taken(name):
    cls, target, _ = BY_NAME[name]
    assert cls()(np.asarray(target).tolist(), P.tolist()) == pytest.approx(cls()(target, P))


def test_options():
    assert losses.MeanSquaredError(half=True)(T, P) == pytest.approx(losses.MeanSquaredError()(T, P) / 2)
    assert losses.Huber(delta=0.01)(T, P) == pytest.approx(reference.huber(T, P, delta=0.01).mean())
    logits = RNG.normal(size=(5, 4))
    smooth = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = reference.categorical_crossentropy(HOT, logits, from_logits=True, label_smoothing=0.1).mean()
    assert smooth(HOT, logits) == pytest.approx(expected)
    assert losses.get(losses.serialize(smooth)).label_smoothing == 0.1
    assert losses.SparseCategoricalCrossentropy(from_logits=True)(HOT.argmax(-1), logits) == pytest.approx(
        losses.CategoricalCrossentropy(from_logits=True)(HOT, logits)
    )


def test_functions_become_losses():
    assert type(losses.get(ops.mean_squared_error)) is losses.MeanSquaredError
    assert type(losses.get(losses.hinge)) is losses.Hinge

    def cube(y_true, y_pred):
        return ops.mean_squared_error(y_true, ops.multiply(y_pred, y_pred))

    loss = losses.get(cube)
    assert loss.name == "cube"
    assert loss(T, P) == pytest.approx(((P * P - T) ** 2).mean())
    with pytest.raises(ValueError, match="cannot be saved"):
        losses.serialize(loss)


@pytest.mark.parametrize(
    "loss,target,words",
    [
        ("mse", np.zeros((5, 3)), "shape of the predictions"),
        ("mse", np.full((5, 4), np.nan), "row 0"),
        ("mse", np.array([["a"] * 4] * 5), "be numbers"),
        ("categorical_crossentropy", np.full((5, 4), 0.5), "row 0"),
        ("categorical_crossentropy", 1 - 2 * HOT, "distributions"),
        ("categorical_crossentropy", np.arange(5), "to_categorical"),
        ("sparse_categorical_crossentropy", np.array([0, 1, 4, 0, 0]), "4"),
        ("sparse_categorical_crossentropy", np.array([0, 1, -1, 0, 0]), "-1"),
        ("sparse_categorical_crossentropy", np.array([0, 0.5, 1, 1, 1]), "integer"),
        ("sparse_categorical_crossentropy", HOT, "categorical_crossentropy"),
    ],
)
def test_targets_that_do_not_fit(loss, target, words):
    """The same message from the loss and from fit, before anything has changed."""
    with pytest.raises((ValueError, TypeError), match=words):
        losses.get(loss)(target, P)
    model = models.Sequential([layers.Input((3,)), layers.Dense(4, activation="softmax")])
    model.compile("sgd", loss)
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit(np.ones((5, 3)), target, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_unknown_losses():
    with pytest.raises(ValueError, match="mean_squared_error"):
        losses.get("mean_square")
    with pytest.raises(TypeError, match="Loss object"):
        losses.get(losses.Hinge)
    with pytest.raises(ValueError, match="reduction"):
        losses.Hinge(reduction="average")


def test_labels_with_an_axis_of_one_and_whole_floats():
    """As CSV files and Keras give them."""
    labels = HOT.argmax(-1)
    expected = losses.SparseCategoricalCrossentropy()(labels, P)
    for same in (labels[:, None], labels.astype(np.float32), labels.astype(np.uint8), labels.tolist()):
        assert losses.SparseCategoricalCrossentropy()(same, P) == expected
