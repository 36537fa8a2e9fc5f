"""How models are put together: Sequential layer by layer, graphs of layers, a class with a call of its own; and what summary
shows of them."""

import numpy as np
import pytest

from fastconv import layers, models, optimizers, random
from fastconv.testing.networks import build

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def test_sequential_grows_and_shrinks():
    model = models.Sequential()
    model.add(layers.Input((4,)))
    model.add(layers.Dense(3, name="kept"))
    model.add(layers.Dense(2))
    kernel = model.layers[0].get_weights()[0]
    assert isinstance(model.pop(), layers.Dense)
    assert model.predict(X).shape == (50, 3)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], kernel)
    with pytest.raises(ValueError, match="unique"):
        model.add(layers.Dense(2, name="kept"))
    with pytest.raises(ValueError, match="layer 1"):
        model.add(layers.Conv2D(2, 3))
    with pytest.raises(TypeError, match=r"Dense\(...\)"):
        model.add(layers.Dense)
    assert len(model.layers) == 1
    assert model.predict(X).shape == (50, 3)


def test_models_refuse_graphs_that_do_not_hang_together():
    x, other = layers.Input((4,)), layers.Input((4,))
    y = layers.Dense(2)(layers.Add()([x, other]))
    with pytest.raises(ValueError, match="not listed"):
        models.Model(x, y)
    with pytest.raises(TypeError, match="symbolic"):
        models.Model(x, np.ones(3))
    with pytest.raises(ValueError, match=r"layers\.Input"):
        models.Model(y, layers.Dense(1)(y))


class Subclass(models.Model):
    """A model with a call of its own."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(6, activation="relu")
        self.drop = layers.Dropout(0.1)
        self.out = layers.Dense(3, activation="softmax")

    def call(self, inputs, training=False):
        return self.out(self.drop(self.hidden(inputs), training=training))


def test_a_model_with_a_call_of_its_own():
    random.seed(0)
    model = Subclass()
    model.compile(optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    history = model.fit(X, LABELS, epochs=15, batch_size=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert model.count_params() == 4 * 6 + 6 + 6 * 3 + 3
    np.testing.assert_allclose(model.predict(X), model(X), rtol=1e-5, atol=1e-6)


def test_summary_shows_layers_shapes_counts_and_depth():
    text = []
    build("cnn").summary(print_fn=text.append)
    for words in ("Conv2D", "(None, 7, 7, 4)", "Total params", "Non-trainable params: 8", "Depth: 11 layers"):
        assert words in text[0], text[0]
