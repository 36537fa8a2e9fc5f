"""compile, fit, evaluate, predict: what a user sees of them."""

import numpy as np
import pytest

from fastconv import NonFiniteLossError, callbacks, layers, losses, models, optimizers, random
from fastconv.testing.networks import build, inputs_for, targets_for

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
HOT = np.eye(3)[LABELS]


def classifier(loss="sparse_categorical_crossentropy", metrics=("accuracy",), optimizer="adam"):
    random.seed(0)
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def test_fit_learns_and_reports():
    model = classifier(optimizer=optimizers.Adam(0.02))
    history = model.fit(X, LABELS, batch_size=16, epochs=30, validation_data=(X, LABELS), verbose=0)
    assert model.history is history
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 30 for values in history.history.values())
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert history.history["accuracy"][-1] > 0.85
    loss, accuracy = model.evaluate(X, LABELS, batch_size=16, verbose=0)
    assert [loss, accuracy] == [history.history["val_loss"][-1], history.history["val_accuracy"][-1]]
    assert model.evaluate(X, LABELS, batch_size=16, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}
    assert accuracy == pytest.approx((model.predict_classes(X) == LABELS).mean())
    assert loss == pytest.approx(losses.SparseCategoricalCrossentropy()(LABELS, model.predict(X)), rel=1e-5)


def test_the_loss_of_an_epoch_counts_every_sample_once():
    """Also where the last batch is smaller, and the weights stand still."""
    model = classifier(optimizer=optimizers.SGD(1e-30))
    loss = model.fit(X, LABELS, batch_size=16, verbose=0).history["loss"][0]
    assert loss == pytest.approx(model.evaluate(X, LABELS, batch_size=50, verbose=0)[0], rel=1e-5)
    assert loss == pytest.approx(model.evaluate(X, LABELS, batch_size=7, verbose=0)[0], rel=1e-5)


def test_validation_split_takes_the_last_samples_before_shuffling():
    model = classifier(optimizer=optimizers.SGD(1e-30))
    found = model.fit(X, LABELS, validation_split=0.2, verbose=0).history
    assert found["val_loss"][0] == pytest.approx(model.evaluate(X[40:], LABELS[40:], verbose=0)[0], rel=1e-5)
    assert found["loss"][0] == pytest.approx(model.evaluate(X[:40], LABELS[:40], verbose=0)[0], rel=1e-5)


def test_shuffling_draws_another_order_each_epoch_and_depends_on_the_seed():
    def curve(seed, shuffle=True):
        model = classifier()
        random.seed(seed)
        return model.fit(X, LABELS, batch_size=10, epochs=2, shuffle=shuffle, verbose=0).history["loss"]

    assert curve(1) == curve(1)
    assert curve(1) != curve(2)
    assert curve(1, shuffle=False) == curve(2, shuffle=False)


def test_targets_of_every_shape_that_means_the_same():
    curves = [
        classifier(loss).fit(X, y, shuffle=False, verbose=0).history["loss"][0]
        for loss, y in (
            ("sparse_categorical_crossentropy", LABELS),
            ("sparse_categorical_crossentropy", LABELS[:, None]),
            ("sparse_categorical_crossentropy", LABELS.tolist()),
            ("sparse_categorical_crossentropy", LABELS.astype(float)),
            ("categorical_crossentropy", HOT),
            ("categorical_crossentropy", HOT.astype(np.uint8)),
        )
    ]
    np.testing.assert_allclose(curves, curves[0], rtol=1e-6)


def test_inputs_of_every_kind():
    """Other dtypes and layouts are converted without scaling, and never written to."""
    model = classifier()
    whole = np.round(X * 10)
    expected = model.predict(whole)
    fortran = np.asfortranarray(whole)
    fortran.setflags(write=False)
    for same in (whole.astype(np.float64), whole.astype(np.int8), whole.tolist(), fortran, whole[::-1][::-1]):
        np.testing.assert_array_equal(model.predict(same), expected)
    model.fit(fortran, LABELS, verbose=0)
    np.testing.assert_array_equal(fortran, whole)


def test_sample_and_class_weights():
    weights = RNG.uniform(0, 2, 50)
    per_class = {0: 0.5, 1: 2.0, 2: 1.0}
    factors = np.array([per_class[label] for label in LABELS])
    model = classifier()
    per_sample = losses.SparseCategoricalCrossentropy(reduction=None)(LABELS, model.predict(X))
    assert model.evaluate(X, LABELS, sample_weight=weights, verbose=0)[0] == pytest.approx(
        (per_sample * weights).mean(), rel=1e-5
    )
    still = classifier(optimizer=optimizers.SGD(1e-30))
    for keywords, expected in (
        ({"sample_weight": weights}, weights),
        ({"class_weight": per_class}, factors),
        ({"sample_weight": weights, "class_weight": per_class}, weights * factors),
    ):
        loss = still.fit(X, LABELS, verbose=0, **keywords).history["loss"][0]
        assert loss == pytest.approx((per_sample * expected).mean(), rel=1e-5)


def test_samples_of_weight_zero_teach_nothing():
    mask = np.arange(50) < 25
    poisoned = np.where(mask, LABELS, 2 - LABELS)
    first, second = classifier(), classifier()
    for model, y in ((first, LABELS), (second, poisoned)):
        model.fit(X, y, sample_weight=mask.astype(float), shuffle=False, batch_size=10, epochs=3, verbose=0)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_iterables_of_batches():
    batches = [(X[i : i + 10], LABELS[i : i + 10]) for i in range(0, 50, 10)]
    arrays, listed, endless = classifier(), classifier(), classifier()
    expected = arrays.fit(X, LABELS, batch_size=10, epochs=2, shuffle=False, verbose=0).history

    def forever():
        while True:
            yield from batches

    class Loader:
        def __iter__(self):
            return iter(batches)

        def __len__(self):
            return 5

    assert listed.fit(Loader(), epochs=2, verbose=0).history == expected
    assert endless.fit(forever(), epochs=2, steps_per_epoch=5, verbose=0).history == expected
    assert listed.evaluate(Loader(), verbose=0) == arrays.evaluate(X, LABELS, batch_size=10, verbose=0)
    np.testing.assert_array_equal(listed.predict(iter(batches)), arrays.predict(X))


def test_a_loader_of_torch():
    torch = pytest.importorskip("torch", reason="a PyTorch DataLoader; pip install torch")
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(LABELS))
    loader = torch.utils.data.DataLoader(dataset, batch_size=10)
    first, second = classifier(), classifier()
    expected = first.fit(X, LABELS, batch_size=10, shuffle=False, verbose=0).history
    assert second.fit(loader, verbose=0).history == expected


def test_a_batch_like_the_one_before_is_checked_all_the_same():
    model = classifier()
    for _ in range(2):
        model.train_on_batch(X, LABELS)
    for x, y in ((X, LABELS + 100), (X, LABELS - 100), (X, LABELS[:-1]), (X[:, :-1], LABELS), (X[:0], LABELS[:0])):
        with pytest.raises(ValueError, match=r"train_on_batch|sparse_categorical_crossentropy"):
            model.train_on_batch(x, y)
    with pytest.raises(TypeError):
        model.train_on_batch(X, LABELS + 0.5)
    assert np.isfinite(model.train_on_batch(X.astype(np.float64), LABELS.astype(np.uint8))).all()


def test_train_on_batch_is_one_step():
    model = classifier()
    before = model.get_weights()
    assert isinstance(model.evaluate(X, LABELS, verbose=0), list)
    expected = model.evaluate(X, LABELS, batch_size=50, verbose=0)
    assert model.train_on_batch(X, LABELS) == pytest.approx(expected)
    assert model.optimizer.iterations == 1
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert set(model.train_on_batch(X, LABELS, return_dict=True)) == {"loss", "accuracy"}
    assert isinstance(classifier(metrics=()).train_on_batch(X, LABELS), float)


def test_no_samples():
    """Predicting nothing gives nothing of the right shape; there is nothing to learn from nothing."""
    model = classifier()
    assert model.predict(X[:0]).shape == (0, 3)
    assert [y.shape for y in build("branches").predict([X[:0, :1].repeat(5, 1)] * 2)] == [(0, 3), (0, 2)]
    with pytest.raises(ValueError, match="at least 1 row"):
        model.fit(X[:0], LABELS[:0], verbose=0)


def test_before_compile_and_before_data():
    model = models.Sequential([layers.Dense(3)])
    for use in (
        lambda: model.fit(X, LABELS),
        lambda: model.evaluate(X, LABELS),
        lambda: model.train_on_batch(X, LABELS),
    ):
        with pytest.raises(RuntimeError, match="compile"):
            use()
    assert model.predict(X).shape == (50, 3)  # the weights are made from the first data
    assert model.count_params() == 15


def test_a_loss_that_is_not_finite_stops_before_the_step():
    model = classifier(optimizer="sgd")
    model.fit(X, LABELS, verbose=0)
    before = model.get_weights()
    bad = X.copy()
    bad[33, 2] = np.inf
    with pytest.raises(NonFiniteLossError, match="epoch 1, batch 4"):
        model.fit(bad, LABELS, batch_size=10, shuffle=False, epochs=3, verbose=0)
    after = model.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert not np.array_equal(before[0], after[0])  # three good steps were taken
    steps = model.optimizer.iterations
    with pytest.raises(NonFiniteLossError):
        model.train_on_batch(bad, LABELS)
    assert model.optimizer.iterations == steps
    for a, b in zip(after, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(X, LABELS, verbose=0)


def test_an_interrupted_fit_can_be_followed_by_another():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, verbose=0, callbacks=[Stop()])
    model.fit(X, LABELS, verbose=0)


def test_callbacks_can_stop_and_predict():
    class Half(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.seen = self.model.predict(X)
            self.model.stop_training = epoch == 1

    half = Half()
    history = classifier().fit(X, LABELS, epochs=10, verbose=0, callbacks=[half])
    assert len(history.history["loss"]) == 2
    assert half.seen.shape == (50, 3)


def test_several_inputs_and_outputs():
    model = build("branches")
    model.compile("adam", ["categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]], loss_weights=[1, 0.5])
    x, y = inputs_for(model, 30), targets_for(model, 30)
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert list(history) == ["loss", "output_0_loss", "output_1_loss", "accuracy", "output_1_mae"]
    total, first, second, *_ = model.evaluate(x, y, verbose=0)
    assert total == pytest.approx(first + second, rel=1e-6)
    with pytest.raises(ValueError, match="2 arrays"):
        model.fit(x[:1], y, verbose=0)
    model.compile("adam", "mse")  # for both
    total, first, second = model.evaluate(x, y, verbose=0)
    expected = [losses.MeanSquaredError()(a, b) for a, b in zip(y, model.predict(x), strict=True)]
    np.testing.assert_allclose([total, first, second], [sum(expected), *expected], rtol=1e-5)
    with pytest.raises(ValueError, match="one entry per output: expected 2, got 1"):
        model.compile("adam", ["mse"])


def test_freezing_keeps_weights_to_the_last_bit():
    """Transfer learning: compile again after changing trainable."""
    model = classifier()
    model.fit(X, LABELS, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(X, LABELS, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_activations_and_layers_by_name():
    model = build("cnn")
    (x,) = inputs_for(model, 3)
    found = model.activations(x)
    assert list(found)[-11:] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(found[model.layers[-1].name], model.predict(x), rtol=1e-6)
    first = model.layers[0]
    np.testing.assert_allclose(found[first.name], x * 0.5 + 0.1, rtol=1e-6)
    assert model.get_layer(first.name) is first
    assert model.get_layer(index=-1) is model.layers[-1]
    with pytest.raises(ValueError, match="no layer has this name"):
        model.get_layer("nothing")


def test_gradients_change_nothing():
    model = classifier()
    before = model.get_weights()
    loss, found = model.gradients(X, LABELS)
    assert loss == pytest.approx(model.evaluate(X, LABELS, batch_size=50, verbose=0)[0])
    assert list(found) == list(model.weights_by_path())
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_three_linear_layers_are_one():
    """002-8: y = x w0 w1 w2 = x w."""
    model = models.Sequential([layers.Input((4,)), *(layers.Dense(n, use_bias=False) for n in (5, 6, 2))])
    w0, w1, w2 = model.get_weights()
    np.testing.assert_allclose(model.predict(X), X @ (w0 @ w1 @ w2), rtol=1e-4, atol=1e-5)


def test_convolution_is_a_small_network_on_every_tile():
    """004-45: a dense layer applied to the tiles of an image."""
    image = layers.Input((6, 5, 2), dtype="float64")
    model = models.Model(image, layers.Conv2D(3, (3, 2), dtype="float64")(image))
    kernel, bias = model.get_weights()
    (x,) = inputs_for(model, 2)
    tiles = np.lib.stride_tricks.sliding_window_view(x, (3, 2), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    dense = models.Sequential([layers.Input((12,), dtype="float64"), layers.Dense(3, dtype="float64")])
    dense.set_weights([kernel.reshape(12, 3), bias])
    np.testing.assert_allclose(model.predict(x), dense.predict(tiles.reshape(-1, 12)).reshape(2, 4, 4, 3), rtol=1e-12)


def test_zeros_as_initial_weights_keep_hidden_units_alike():
    """004-23: why weights are drawn at random."""
    model = models.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(5, "tanh", kernel_initializer="zeros"),
            layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(X, LABELS.astype(float), epochs=3, verbose=0)
    kernel = model.get_weights()[0]
    assert np.abs(kernel).max() > 0
    np.testing.assert_array_equal(kernel, kernel[:, :1].repeat(5, 1))


def test_a_network_fits_the_sine():
    """003-58, universal approximation."""
    random.seed(0)
    x = np.linspace(0, 2 * np.pi, 256)[:, None]
    model = models.Sequential([layers.Input((1,)), layers.Dense(32, "tanh"), layers.Dense(32, "tanh"), layers.Dense(1)])
    model.compile(optimizers.Adam(0.01), "mse")
    model.fit(x, np.sin(x), epochs=150, batch_size=64, verbose=0)
    assert model.evaluate(x, np.sin(x), verbose=0) < 1e-3


def test_keywords_are_checked():
    model = classifier()
    with pytest.raises(TypeError, match="did you mean `epochs`"):
        model.fit(X, LABELS, epoch=3)
    with pytest.raises(TypeError, match="epochs"):
        model.fit(X, LABELS, epochs=2.0)
    with pytest.raises(ValueError, match="batch_size"):
        model.fit(X, LABELS, batch_size=0)
    with pytest.raises(ValueError, match="rows"):
        model.fit(X, LABELS[:-1])
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        model.predict(X[:, :3])


def test_what_one_batch_passed_says_nothing_about_the_next():
    """predict_on_batch does not check again what has the shape and dtype of the array before; all else it does."""
    model = classifier()
    wanted = model.predict_on_batch(X)
    np.testing.assert_array_equal(model.predict_on_batch(X), wanted)
    for same in (X.astype(np.float64), X.tolist(), np.asfortranarray(X), X[::-1].copy()[::-1]):
        np.testing.assert_array_equal(model.predict_on_batch(same), wanted)
        model.predict_on_batch(X)
    assert model.predict_on_batch(X[:2]).shape[0] == 2
    assert model.predict_on_batch(X[:0]).shape[0] == 0
    for wrong, error in ((X[..., :-1], ValueError), (X[0], ValueError), (X.astype(str), TypeError), (None, TypeError)):
        model.predict_on_batch(X)
        with pytest.raises(error, match=r"\[predict_on_batch\] x"):
            model.predict_on_batch(wrong)
