"""Deck 003, a seminar on deep learning: training (rows 28 to 41)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import callbacks, datasets, layers, models, ops, optimizers, random, reference
from fastconv.testing.small import assert_gradients, compiled, normal


def test_003_28_epoch_batch_iterations():
    """1000 samples in batches of 128: 8 iterations in an epoch (the last batch has 104), 400 in 50 epochs (T10)."""
    model, rows = compiled(layers.Input((1,)), layers.Dense(1)), np.arange(1000.0)
    history = model.fit(np.zeros((1000, 1)), np.zeros(1000), batch_size=128, epochs=50, verbose=0)
    assert (history.steps_per_epoch, history.total_steps) == (8, 400)
    batches = [len(x) for x, _ in datasets.Dataset(rows[:, None], rows).batch(128)]
    assert batches == [128] * 7 + [104]
    still = compiled(layers.Input((1,)), layers.Dense(1, kernel_initializer="zeros"), optimizer=optimizers.SGD(1e-30))
    once = still.fit(rows[:, None], rows, batch_size=128, verbose=0)  # the mean over 1000, if the last batch counts 104
    assert once.history["loss"][0] == pytest.approx(np.square(rows).mean(), rel=1e-6)


def test_003_29_overfitting(tmp_path):
    """A large net on few noisy rows: the training loss falls far below the validation loss; History and its plot show the gap."""
    random.seed(0)
    model = compiled(layers.Input((8,)), layers.Dense(64, activation="relu"), layers.Dense(1), optimizer="adam")
    history = model.fit(
        normal(24, 8), normal(24), epochs=120, verbose=0, validation_data=(normal(50, 8, seed=2), normal(50, seed=3))
    )
    assert history.history["loss"][-1] < 0.3 * history.history["val_loss"][-1]
    assert len(history.history["val_loss"]) == len(history.epoch) == 120
    pytest.importorskip("matplotlib", reason="draws; pip install 'fastconv[plots]'")
    from fastconv import plots

    plots.learning_curve(history, tmp_path / "gap.svg")
    assert "<svg" in (tmp_path / "gap.svg").read_text("utf-8")


def test_003_30_dropout():
    """What is left is scaled so that the mean stays; off in inference; the mask is the seed's, also for the gradient."""
    x = np.ones((200, 500), np.float32)
    seed = 7
    y = ops.dropout(x, 0.25, seed=seed)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)} and y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(y, ops.dropout(x, 0.25, seed=seed))
    np.testing.assert_array_equal(y, ops.dropout_backward(np.ones_like(x), x, 0.25, seed=seed)[0])
    np.testing.assert_array_equal(y, reference.dropout(x, 0.25, seed=seed).astype(np.float32))
    np.testing.assert_array_equal(layers.Dropout(0.5)(x), x)


def test_003_30_the_same_mask_on_a_gpu(any_gpu):
    """A seed has one mask, on the CPU and on a GPU, forward and backward."""
    x = normal(40, 30).astype(np.float32)
    there = any_gpu.asarray(x)
    np.testing.assert_array_equal(ops.dropout(there, 0.25, seed=7).get(), ops.dropout(x, 0.25, seed=7))
    back = ops.dropout_backward(there, there, 0.25, seed=7)[0].get()
    np.testing.assert_array_equal(back, ops.dropout_backward(x, x, 0.25, seed=7)[0])


AUGMENTATIONS = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "RandomContrast": {"factor": 0.5, "value_range": (-9, 9)},
    "RandomCrop": {"height": 6, "width": 6},
}


@pytest.mark.parametrize("layer", AUGMENTATIONS)
def test_003_31_augmentation(layer):
    """Flips, turns, moves, zooms, contrasts, crops: others in training, the same for the same seed, none in inference."""

    def made():
        body = [layers.Input((8, 8, 1)), getattr(layers, layer)(**AUGMENTATIONS[layer], seed=3), layers.Flatten()]
        return compiled(*body, layers.Dense(1))

    x = normal(20, 8, 8, 1).astype(np.float32)
    found = []
    for model in (made(), made()):
        model.layers[0].seeds[0].renew(1, 0)
        found.append(model.layers[0](x, training=True))
    np.testing.assert_array_equal(*found)
    if layer != "RandomCrop":
        np.testing.assert_array_equal(made().layers[0](x), x)
        assert (found[0] != x).any()
    random.seed(0)
    assert np.isfinite(made().fit(x, normal(20), epochs=2, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("ends_by", ["patience", "epochs"])
def test_003_32_early_stopping(ends_by):
    """It stops after `patience` epochs without gain, and restores the best weights also when the epochs end first."""
    model = compiled(layers.Input((1,)), layers.Dense(1, use_bias=False), optimizer=optimizers.SGD(1.5))  # diverges
    model.set_weights([[[3.0]]])
    stop = callbacks.EarlyStopping(
        monitor="val_loss", patience=2 if ends_by == "patience" else 50, restore_best_weights=True
    )
    x = np.ones((4, 1), np.float32)
    kept = []
    record = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()[0].item()))
    history = model.fit(x, x, epochs=6, verbose=0, validation_data=(x, x), callbacks=[record, stop])
    assert len(history.epoch) == (3 if ends_by == "patience" else 6)
    assert model.get_weights()[0].item() == kept[0] and len(set(kept)) == len(kept)


def test_003_33_feed_forward():
    """A model's graph has no way back: what a layer takes was made before."""
    x = layers.Input((4,))
    a = layers.Dense(3)(x)
    model = models.Model(x, layers.Add()([layers.Dense(3)(a), a]))
    done = set()
    for call in model._calls:
        assert all(tensor in done for tensor in call.inputs)
        done.update(call.outputs)


def test_003_34_convolutional_architecture(example):
    """Image, convolution, pooling, flattening, dense, classes."""
    assert example("cnn_steps", epochs=3)["test_accuracy"] > 80


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    kinds=st.lists(st.sampled_from(["linear", "tanh", "sigmoid", "softplus", "elu", "silu"]), min_size=3, max_size=3),
    inputs=st.integers(1, 4),
    bias=st.booleans(),
)
def test_003_36_nets_of_every_kind(widths, kinds, inputs, bias):
    """Random widths, depths and activations build, run, and have the gradients of differences."""
    random.seed(0)
    body = [layers.Dense(n, kind, use_bias=bias, dtype="float64") for n, kind in zip(widths, kinds, strict=False)]
    model = compiled(layers.Input((inputs,), dtype="float64"), *body)
    x, y = normal(3, inputs), normal(3, widths[-1], seed=1)
    assert_gradients(model, x, y, rtol=1e-5, atol=1e-8)


def test_003_37_define():
    """`Sequential([...])` and `.add` make the same model."""
    body = [lambda: layers.Dense(3, activation="relu"), lambda: layers.Dense(2)]
    a, b = models.Sequential([layers.Input((4,)), *(make() for make in body)]), models.Sequential()
    b.add(layers.Input((4,)))
    for make in body:
        b.add(make())
    assert [w.shape for w in a.get_weights()] == [w.shape for w in b.get_weights()]
    b.set_weights(a.get_weights())
    np.testing.assert_array_equal(a.predict(normal(5, 4)), b.predict(normal(5, 4)))


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
def test_003_38_compile_first(method):
    """Before compile, fit and its kin say how to compile."""
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    with pytest.raises(RuntimeError, match=r"compile\("):
        getattr(model, method)(np.zeros((4, 2)), np.zeros(4))


def test_003_39_fit_returns_history():
    """`fit` returns a History, with a list per measure."""
    history = compiled(layers.Input((2,)), layers.Dense(1), metrics=["mae"]).fit(
        normal(8, 2), normal(8), epochs=3, verbose=0
    )
    assert type(history).__name__ == "History" and {k: len(v) for k, v in history.history.items()} == {
        "loss": 3,
        "mae": 3,
    }


def test_003_40_evaluate_and_predict(strict):
    """Shapes; and in strict precision predictions do not depend on the batch size, to the last bit."""
    model = compiled(layers.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3), metrics=["mae"])
    x, y = normal(37, 6, 6, 2), normal(37, 3)
    assert len(model.evaluate(x, y, verbose=0)) == 2 and model.predict(x).shape == (37, 3)
    for size in (1, 5, 37, 64):
        np.testing.assert_array_equal(model.predict(x, batch_size=size), model.predict(x))


def test_003_41_prepare_your_data():
    """`fit` warns of raw pixels 0..255 that nothing scales, and only of these."""
    x, y = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), np.uint8), np.zeros(8)
    for raw in (x, x.astype(np.float32)):
        with pytest.warns(UserWarning, match=r"raw pixels.*Rescaling"):
            compiled(layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)).fit(raw, y, verbose=0)
    for scaling in (layers.Rescaling(1 / 255), layers.BatchNormalization()):
        compiled(layers.Input((4, 4, 1)), scaling, layers.Flatten(), layers.Dense(1)).fit(x, y, verbose=0)
    for scaled in (x // 16, x / 255, x - 128.0, x + 0.5):
        compiled(layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)).fit(0.1 * scaled, y, verbose=0)
    compiled(layers.Input((4,)), layers.Dense(1), optimizer=optimizers.SGD(1e-6)).fit(
        x[:, 0, :, 0], y, verbose=0
    )  # a table
