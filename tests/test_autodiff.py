"""Model gradients against central differences of the loss in float64, for every layer and every loss."""

import numpy as np
import pytest

from fastconv import layers, losses, models, ops, random
from fastconv.autodiff import gradients
from fastconv.graph import Value, tracing
from fastconv.plan import Plan
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for

SAMPLES = 4
EPSILON = 1e-6


def assert_gradients(model, x, y, *, training=False, directions=2, **keywords):
    """The analytic gradient of every weight, along random directions, is the slope of the loss there."""

    def loss():
        return model.gradients(x, y, training=training, **keywords)[0]

    value, found = model.gradients(x, y, training=training, **keywords)
    weights = {path: w for path, w in model.weights_by_path().items() if w in set(model.trainable_weights)}
    assert set(found) == set(weights)
    rng = np.random.default_rng(0)
    for path, weight in weights.items():
        assert found[path].shape == weight.shape
        kept = weight.numpy()
        for _ in range(directions):
            direction = rng.normal(size=weight.shape)
            sides = []
            for step in (EPSILON, -EPSILON):
                weight.array[...] = kept + step * direction
                sides.append(loss())
            weight.array[...] = kept
            slope = (sides[0] - sides[1]) / (2 * EPSILON)
            np.testing.assert_allclose(np.sum(found[path] * direction), slope, rtol=1e-5, atol=1e-8, err_msg=path)
    assert loss() == value


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer(name, training):
    """Training mode has batch statistics and, by a fixed seed, dropout."""
    model = build(name, "float64")
    model.compile("sgd", ["mse"] * len(model.outputs))
    for i, seed in enumerate(model.seeds):
        seed.array[0] = 77 + i
    x, y = inputs_for(model, SAMPLES), targets_for(model, SAMPLES)
    assert_gradients(model, x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], training=training)


LOSSES = {
    "mse": losses.MeanSquaredError(),
    "half": losses.MeanSquaredError(half=True),
    "mae": losses.MeanAbsoluteError(),
    "huber": losses.Huber(delta=0.3),
    "hinge": losses.Hinge(),
    "kl_divergence": losses.KLDivergence(),
    "binary": losses.BinaryCrossentropy(),
    "binary, logits": losses.BinaryCrossentropy(from_logits=True),
    "binary, smoothed": losses.BinaryCrossentropy(label_smoothing=0.2),
    "categorical": losses.CategoricalCrossentropy(),
    "categorical, logits": losses.CategoricalCrossentropy(from_logits=True),
    "categorical, smoothed": losses.CategoricalCrossentropy(label_smoothing=0.1),
    "sparse": losses.SparseCategoricalCrossentropy(),
    "sparse, logits": losses.SparseCategoricalCrossentropy(from_logits=True),
}


def classifier(activation):
    """Two dense layers, three outputs, in float64."""
    random.seed(3)
    last = layers.Dense(3, activation=activation, dtype="float64")
    return models.Sequential([layers.Input((5,), dtype="float64"), layers.Dense(4, "tanh", dtype="float64"), last])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_loss(name, weighted):
    loss = LOSSES[name]
    activation = None if getattr(loss, "from_logits", False) else "sigmoid" if "binary" in name else "softmax"
    model = classifier(activation)
    model.compile("sgd", loss)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 5)), rng.dirichlet(np.ones(3), 6)
    if name == "hinge" or "binary" in name:
        y = np.round(y)
    if loss.takes_labels:
        y = y.argmax(-1)
    assert_gradients(model, x, y, sample_weight=rng.uniform(0, 2, 6) if weighted else None)


def test_a_loss_of_your_own():
    def quartic(y_true, y_pred):
        error = ops.subtract(y_pred, y_true)
        return ops.mean_squared_error(y_true, ops.add(y_pred, ops.multiply(error, error)))

    model = classifier("tanh")
    model.compile("sgd", quartic)
    rng = np.random.default_rng(2)
    assert_gradients(model, rng.normal(size=(6, 5)), rng.normal(size=(6, 3)))


def test_loss_weights_of_several_outputs():
    model = build("branches", "float64")
    model.compile("sgd", ["categorical_crossentropy", "mae"], loss_weights=[0.25, 3])
    x, y = inputs_for(model, SAMPLES), targets_for(model, SAMPLES)
    assert_gradients(model, x, y)
    total, *_ = model.evaluate(x, y, verbose=0)
    first, second = model.predict(x)
    expected = 0.25 * losses.CategoricalCrossentropy()(y[0], first) + 3 * losses.MeanAbsoluteError()(y[1], second)
    assert total == pytest.approx(expected, rel=1e-12)


def test_an_output_without_a_loss_takes_no_part():
    x = layers.Input((5,))
    model = models.Model(x, [layers.Dense(3, name="unused")(x), layers.Dense(2, name="used")(x)])
    model.compile("sgd", [None, "mse"])
    _, found = model.gradients(np.ones((4, 5)), np.zeros((4, 2)))
    assert set(found) == {"used/kernel", "used/bias"}


def kernel_counts(model, loss="mse"):
    """How often each kernel runs in a training step."""
    model.compile("sgd", loss)
    steps = [kernel for kernel, _ in model._plan("train", 2).plan.program.steps]
    return {kernel: steps.count(kernel) for kernel in set(steps)}


def test_the_gradient_for_the_input_is_not_computed():
    """Back-propagation ends at the first weights (slides 003): one backward-input product less than weights."""
    dense = models.Sequential([layers.Input((4,)), layers.Dense(5, "relu"), layers.Dense(5, "relu"), layers.Dense(2)])
    counts = kernel_counts(dense)
    assert counts["dense_backward_weight"] == 3
    assert counts["dense_backward_input"] == 2
    conv = models.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Rescaling(0.1),
            layers.ZeroPadding2D(1),
            layers.Conv2D(3, 3),
            layers.MaxPooling2D(),
            layers.Conv2D(3, 3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    counts = kernel_counts(conv)
    assert (counts["conv2d_backward_weight"], counts["conv2d_backward_input"]) == (2, 1)
    assert (counts["pool2d_backward_from_index"], counts["dense_backward_input"]) == (1, 1)


def test_nothing_is_computed_before_the_first_layer_that_learns():
    model = models.Sequential([layers.Input((4,)), *(layers.Dense(5, "relu") for _ in range(4)), layers.Dense(2)])
    for layer in model.layers[:3]:
        layer.trainable = False
    counts = kernel_counts(model)
    assert (counts["dense_backward_weight"], counts["dense_backward_input"]) == (2, 1)
    assert counts["sgd_update"] == 1  # one call for all four variables


def test_frozen_layers_in_the_middle_let_gradients_through():
    model = build("mlp", "float64")
    model.layers[2].trainable = False  # layer normalisation
    model.compile("sgd", "mse")
    x, y = inputs_for(model, SAMPLES)[0], targets_for(model, SAMPLES)[0]
    assert_gradients(model, x, y)
    assert len(model.gradients(x, y)[1]) == 4


def test_nothing_to_learn_is_an_error():
    model = build("mlp")
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="trainable weight"):
        model.train_on_batch(inputs_for(model, 2)[0], targets_for(model, 2)[0])


def test_gradients_of_values():
    """The function under the models: sums over every use, None where nothing depends."""
    with tracing():
        a, b, unused = (Value((3,), "float64") for _ in range(3))
        y = ops.add(ops.multiply(a, b), ops.multiply(a, a))
        dy = Value((3,), "float64")
        found = gradients([y], [dy], [a, b, unused])
    assert found[2] is None
    assert [v.shape for v in found[:2]] == [(3,), (3,)]
    plan = Plan([a, b, dy], found[:2])
    for value, numbers in ((a, [1, 2, 3]), (b, [5, 7, 11]), (dy, [1, 10, 100])):
        plan.array(value)[...] = numbers
    plan.run()
    np.testing.assert_array_equal(plan.array(found[0]), [7, 110, 1700])
    np.testing.assert_array_equal(plan.array(found[1]), [1, 20, 300])


def test_an_output_that_is_an_input_too():
    """d(a)/da is the cotangent itself, and the two uses of a value add up."""
    with tracing():
        a, da, db = (Value((2,), "float64") for _ in range(3))
        b = ops.multiply(a, a)
        (found,) = gradients([a, b], [da, db], [a])
    plan = Plan([a, da, db], [found])
    for value, numbers in ((a, [3, 5]), (da, [1, 1]), (db, [10, 100])):
        plan.array(value)[...] = numbers
    plan.run()
    np.testing.assert_array_equal(plan.array(found), [61, 1001])
