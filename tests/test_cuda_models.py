"""Whole models on an emulated GPU: they train, predict, save and fail as on the CPU, within rounding."""

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, layers, losses, optimizers
from fastconv.errors import DeviceError, NonFiniteLossError
from fastconv.plan import late

RNG = np.random.default_rng(20261121)
IMAGES = RNG.normal(size=(12, 8, 8, 3)).astype(np.float32)
LABELS = RNG.integers(0, 4, 12)


def mlp():
    return [layers.Flatten(), layers.Dense(10, activation="relu"), layers.Dropout(0.3), layers.Dense(4)]


def cnn():
    return [
        layers.Conv2D(6, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(5, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4),
    ]


def images():
    """Random changes of images, other sizes, and noise: by the CPU's draws."""
    return [
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.2),
        layers.RandomBrightness(0.1, value_range=(-3, 3)),
        layers.Conv2D(4, 3, activation="selu"),
        layers.AlphaDropout(0.2),
        layers.UpSampling2D(),
        layers.SpatialDropout2D(0.3),
        layers.Resizing(5, 9),
        layers.GaussianDropout(0.2),
        layers.UpSampling2D((1, 2), interpolation="bilinear"),
        layers.GaussianNoise(0.1),
        layers.Flatten(),
        layers.Dense(4),
    ]


def built(stack, optimizer="adam"):
    fastconv.utils.set_random_seed(5)
    model = Sequential([layers.Input((8, 8, 3)), *stack()])
    model.compile(optimizer, losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def trained(device, stack, optimizer="adam", epochs=2):
    fastconv.set_device(device)
    model = built(stack, optimizer)
    history = model.fit(IMAGES, LABELS, batch_size=4, epochs=epochs, verbose=0)
    return model, history


@pytest.mark.parametrize(
    ("stack", "optimizer"), [(mlp, "sgd"), (mlp, "adam"), (cnn, "sgd"), (cnn, "adam"), (images, "sgd")]
)
def test_training_follows_the_cpu(on_gpu, stack, optimizer):
    expected, cpu_history = trained("cpu", stack, optimizer)
    actual, gpu_history = trained("cuda", stack, optimizer)
    np.testing.assert_allclose(gpu_history.history["loss"], cpu_history.history["loss"], rtol=1e-4)
    assert gpu_history.history["accuracy"] == cpu_history.history["accuracy"]
    for a, e in zip(actual.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        actual.predict(IMAGES, verbose=0), expected.predict(IMAGES, verbose=0), rtol=1e-3, atol=1e-3
    )


def test_gradients_wait_for_their_updates(on_gpu, monkeypatch):
    """As those of large weights do: the same bits as side by side."""
    models = []
    for least, updates in ((late._LEAST, 1), (0, 2)):
        monkeypatch.setattr(late, "_LEAST", least)
        models.append(trained("cuda", mlp)[0])
        assert [name for name, _ in models[-1]._plan("train", 4).plan.program.steps].count("adam_update") == updates
    expected, actual = models
    for a, e in zip(actual.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_adafactor_takes_a_row_and_a_column_without_gradients(on_gpu, device):
    """A feature that is always 0, and a unit that never answers: the product of their mean squares is no float32."""
    fastconv.set_device(device)
    model = Sequential([layers.Input((4,)), layers.Dense(6, activation="relu"), layers.Dense(4)])
    model.compile("adafactor", losses.SparseCategoricalCrossentropy(from_logits=True))
    model.layers[0].bias.array[2] = -100
    x = IMAGES.reshape(12, -1)[:, :4] * [1, 0, 1, 1]
    before = model.get_weights()[0]
    model.fit(x, LABELS, batch_size=4, epochs=2, verbose=0)
    after = model.get_weights()[0]
    assert np.isfinite(after).all() and after[1, 2] == before[1, 2] and after[0, 1] != before[0, 1]


def test_weights_follow_a_model_from_device_to_device(on_gpu):
    model, _ = trained("cuda", cnn)
    there = model.predict(IMAGES, verbose=0)
    fastconv.set_device("cpu")
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), there, rtol=1e-4, atol=1e-5)
    model.fit(IMAGES, LABELS, batch_size=4, epochs=1, verbose=0)
    here = model.predict(IMAGES, verbose=0)
    assert not np.allclose(here, there, atol=1e-3)
    fastconv.set_device("cuda")
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), here, rtol=1e-4, atol=1e-5)


def test_what_is_assigned_on_the_host_arrives(on_gpu):
    model, _ = trained("cuda", mlp)
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), np.zeros((12, 4), np.float32))
    model.layers[-1].weights[1].array[...] = [1, 2, 3, 4]
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0)[0], np.float32([1, 2, 3, 4]))


def test_a_saved_model_goes_on_anywhere(on_gpu, tmp_path):
    model, _ = trained("cuda", cnn)
    model.save(tmp_path / "model.fastconv")
    again = fastconv.models.load_model(tmp_path / "model.fastconv")
    model.fit(IMAGES, LABELS, batch_size=4, epochs=1, shuffle=False, verbose=0)
    again.fit(IMAGES, LABELS, batch_size=4, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_not_finite_changes_no_weight(on_gpu):
    model, _ = trained("cuda", cnn)
    before = model.get_weights()
    spoilt = IMAGES.copy()
    spoilt[0, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteLossError, match="finite"):
        model.train_on_batch(spoilt[:4], LABELS[:4])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.train_on_batch(IMAGES[:4], LABELS[:4])[0])


def test_clipping_and_gradients(on_gpu):
    fastconv.set_device("cpu")
    expected = built(cnn, optimizers.SGD(0.1, momentum=0.9, clipnorm=0.01))
    fastconv.set_device("cuda")
    actual = built(cnn, optimizers.SGD(0.1, momentum=0.9, clipnorm=0.01))
    loss, found = actual.gradients(IMAGES, LABELS)
    actual.train_on_batch(IMAGES, LABELS)
    fastconv.set_device("cpu")
    cpu_loss, wanted = expected.gradients(IMAGES, LABELS)
    expected.train_on_batch(IMAGES, LABELS)
    assert loss == pytest.approx(cpu_loss, rel=1e-5)
    for (name, a), e in zip(found.items(), wanted.values(), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-5, err_msg=name)
    for a, e in zip(actual.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-3, atol=1e-5)


def test_scaled_outputs_are_the_cpus(on_gpu):
    """Rescaling becomes the end of the convolution or dense product before it."""

    def scaled():
        scale = layers.Rescaling
        return [layers.Conv2D(6, 3), scale(0.25, 3.0), layers.Flatten(), layers.Dense(4), scale(1 / 9)]

    expected, there = trained("cpu", scaled, "sgd")[0], trained("cuda", scaled, "sgd")[0]
    answers = there.predict(IMAGES, verbose=0)
    fastconv.set_device("cpu")
    np.testing.assert_allclose(answers, expected.predict(IMAGES, verbose=0), rtol=1e-3, atol=1e-4)


def test_steps_are_the_same_bits_each_time(on_gpu):
    first, _ = trained("cuda", cnn)
    second, _ = trained("cuda", cnn)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_device_that_is_not_there(on_gpu):
    fastconv.set_device("cpu")
    with pytest.raises(DeviceError, match=r"cuda:7.*N < 1"):
        fastconv.set_device("cuda:7")
    assert fastconv.show_config()["device"] == "cpu"
    assert fastconv.show_config()["cuda"][0]["name"] == "host emulation"


def test_host_and_gpu_arrays_do_not_mix(gpu):
    x = gpu.asarray(np.ones((2, 3), np.float32))
    with pytest.raises(DeviceError, match="b on the GPU"):
        fastconv.ops.add(x, np.ones((2, 3), np.float32))


def test_labels_that_are_no_class_are_refused(gpu):
    labels, logits = gpu.asarray(np.array([0, 4])), gpu.asarray(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"y_true.*value 4 at index 1"):
        fastconv.ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def test_explain_is_of_the_cpu(on_gpu):
    fastconv.set_device("cuda")
    with pytest.raises(DeviceError, match="set_device"):
        fastconv.explain(built(mlp))
    fastconv.set_device("cpu")
    assert fastconv.explain(built(mlp)).rows
