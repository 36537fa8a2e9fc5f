"""model.gradcheck finds what is wrong, and nothing where all is right; norms of gradients; what layers give."""

import numpy as np
import pytest

from fastconv import layers, losses, models, ops, random
from fastconv.models import gradient_check
from fastconv.testing.networks import build, inputs_for, targets_for

RNG = np.random.default_rng(0)


def small(activation="tanh", **keywords):
    random.seed(1)
    model = models.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(3, 3, activation=activation),
            layers.Flatten(),
            layers.Dense(2, **keywords),
        ]
    )
    model.compile("adam", "mse")
    return model


def data(samples=5):
    return RNG.normal(size=(samples, 6, 6, 2)), RNG.normal(size=(samples, 2))


@pytest.mark.thread_unsafe(reason="looks at the global random stream")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["cnn", "branches", "residual"])
def test_networks_pass_and_stay_as_they_were(name, training):
    model = build(name)
    model.compile("adam", ["mse"] * len(model.outputs))
    x, y = inputs_for(model, 4), targets_for(model, 4)
    before, state = model.get_weights(), random.get_state()
    report = model.gradcheck(x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], training=training, samples=8)
    assert report.passed, str(report)
    assert report.dtype == "float64" and random.get_state() == state
    assert {weight.path for weight in report.weights} == {
        path for path, v in model.weights_by_path().items() if v.trainable
    }
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_wrong_gradient_is_found(monkeypatch):
    """Halved where plans hand it out."""
    model = small()
    plan = gradient_check.plans.gradient_plan

    def wrong(*arguments):
        made = plan(*arguments)
        path = next(v for v in made.gradients if v.name == "kernel")
        halved = made.gradients[path]
        run = made.run
        made.run = lambda: (run(), halved.__imul__(0.5))[0]
        return made

    monkeypatch.setattr(gradient_check.plans, "gradient_plan", wrong)
    report = model.gradcheck(*data())
    assert not report.passed
    assert [weight.passed for weight in report.weights].count(False) == 1
    assert str(report).count("WRONG") == 1 and str(report).endswith("FAILED")


def test_kinks_are_counted_apart():
    """A bias of 0 before a ReLU whose other input is 0: on one side a slope, on the other none."""
    model = small("relu", kernel_initializer="ones")
    x, y = data()
    report = model.gradcheck(np.zeros_like(x), y)
    biases = {weight.path.rpartition("/")[2]: weight for weight in report.weights if weight.path.startswith("conv")}
    assert report.passed and biases["bias"].kinks == 3
    assert "3 at a kink" in str(report)


def test_a_layer_of_ones_own_is_checked_in_float32():
    class Square(layers.Layer):
        def call(self, inputs, training=False):
            return ops.multiply(inputs, inputs)

    model = models.Sequential([layers.Input((4,)), layers.Dense(3), Square(), layers.Dense(1)])
    model.compile("sgd", losses.MeanSquaredError())
    report = model.gradcheck(RNG.normal(size=(6, 4)), RNG.normal(size=(6, 1)))
    assert report.dtype == "float32" and report.passed, str(report)


def test_norms_show_vanishing_gradients():
    def deep(activation, initializer):
        random.seed(0)
        hidden = [layers.Dense(32, activation=activation, kernel_initializer=initializer) for _ in range(10)]
        model = models.Sequential([layers.Input((32,)), *hidden, layers.Dense(10, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        norms = model.gradient_norms(RNG.normal(size=(64, 32)), RNG.integers(0, 10, 64))
        kernels = [norm for path, norm in norms.items() if path.endswith("kernel")]
        return kernels[0] / kernels[9]

    assert deep("sigmoid", "glorot_uniform") < 1e-3
    assert deep("relu", "he_normal") > 1e-1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m.gradcheck(*data(), eps=0), ValueError, "eps > 0"),
        (lambda m: m.gradcheck(*data(), samples=0), ValueError, "samples >= 1"),
        (lambda m: m.gradcheck(data()[0], data()[1][:3]), ValueError, "rows"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call(small())
