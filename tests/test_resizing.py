"""Resizing as Pillow and PyTorch have it, what it must give by symmetry, and Normalization; agreement with the reference is in
test_ops.py, with onnxruntime in test_onnx_export.py, with Keras in test_keras_parity.py."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import Sequential, layers, models, ops

RNG = np.random.default_rng(20261122)
EXTENTS = st.integers(1, 14)
KINDS = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5")


def images(shape):
    return RNG.normal(size=shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.tuples(EXTENTS, EXTENTS), st.tuples(EXTENTS, EXTENTS), st.sampled_from(KINDS), st.booleans())
def test_weights_sum_to_one_and_lead_back(extents, size, kind, antialias):
    """A constant stays one; <y, R x> = <R' y, x>; an image upside down is the result upside down."""
    kw = {"interpolation": kind, "antialias": antialias}
    x, dy = images((2, *extents, 3)).astype(np.float64), images((2, *size, 3)).astype(np.float64)
    np.testing.assert_allclose(ops.resize2d(np.ones_like(x), size, **kw), 1, rtol=1e-12)
    y = ops.resize2d(x, size, **kw)
    (dx,) = ops.resize2d_backward(dy, x, size, **kw)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-9, abs=1e-9)
    if kind != "nearest":  # which rounds up
        flipped = ops.resize2d(np.ascontiguousarray(x[:, ::-1, ::-1]), size, **kw)
        np.testing.assert_allclose(flipped, y[:, ::-1, ::-1], rtol=0, atol=1e-12)
    if extents == size:
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 7), (31, 40), (12, 3)])
def test_antialiased_images_are_pillows(size):
    image = pytest.importorskip("PIL.Image", reason="compares with Pillow")
    x = RNG.uniform(0, 255, (17, 23)).astype(np.float32)
    kinds = {"bilinear": image.BILINEAR, "bicubic": image.BICUBIC, "lanczos3": image.LANCZOS}
    for kind, resample in kinds.items():
        theirs = np.asarray(image.fromarray(x, "F").resize(size[::-1], resample))
        ours = ops.resize2d(x[None, :, :, None], size, interpolation=kind, antialias=True)[0, :, :, 0]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)  # of 255
    theirs = np.asarray(image.fromarray(x, "F").resize(size[::-1], image.NEAREST))
    np.testing.assert_array_equal(ops.resize2d(x[None, :, :, None], size, interpolation="nearest")[0, :, :, 0], theirs)
    whole = RNG.uniform(0, 255, (12, 20)).astype(np.float32)
    theirs = np.asarray(image.fromarray(whole, "F").resize((5, 3), image.BOX))
    ours = ops.resize2d(whole[None, :, :, None], (3, 5), interpolation="area")[0, :, :, 0]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)


def test_the_other_words_are_pytorchs():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    x = images((2, 7, 9, 3))
    for size in ((14, 27), (3, 4), (10, 5)):
        for kind, corners, kw in (
            ("nearest", None, {"interpolation": "nearest", "coordinates": "asymmetric", "rounding": "floor"}),
            ("nearest-exact", None, {"interpolation": "nearest"}),
            ("bilinear", False, {}),
            ("bilinear", True, {"coordinates": "align_corners"}),
            ("bicubic", False, {"interpolation": "bicubic", "cubic_coeff_a": -0.75, "exclude_outside": False}),
        ):
            tensor = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
            theirs = torch.nn.functional.interpolate(tensor, size=size, mode=kind, align_corners=corners)
            np.testing.assert_allclose(
                ops.resize2d(x, size, **kw), theirs.detach().numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-5
            )
            dy = images((2, *size, 3))
            theirs.backward(torch.tensor(dy.transpose(0, 3, 1, 2)))
            (dx,) = ops.resize2d_backward(dy, x, size, **kw)
            np.testing.assert_allclose(dx, tensor.grad.numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-5)


def test_repeating_is_exact_and_backward_adds():
    x = images((2, 3, 4, 5))
    x[0, 0, 0, 0], x[1, 2, 3, 4] = np.nan, np.inf
    y = layers.UpSampling2D((2, 3))(x)
    np.testing.assert_array_equal(y, x.repeat(2, 1).repeat(3, 2))
    np.testing.assert_array_equal(layers.UpSampling1D(3)(x[0]), x[0].repeat(3, 1))
    dy = RNG.integers(-4, 5, (2, 6, 12, 5)).astype(np.float32)
    (dx,) = ops.upsample_backward(dy, x, (2, 3))
    np.testing.assert_array_equal(dx, dy.reshape(2, 3, 2, 4, 3, 5).sum((2, 4)))


def test_bits_do_not_depend_on_threads_or_the_batch(threads):
    x = images((5, 40, 37, 6))
    for kind in KINDS:
        y = ops.resize2d(x, (61, 23), interpolation=kind, antialias=True)
        (dx,) = ops.resize2d_backward(y, x, (61, 23), interpolation=kind, antialias=True)
        for count in (1, 3, 8):
            threads(count)
            np.testing.assert_array_equal(ops.resize2d(x, (61, 23), interpolation=kind, antialias=True), y)
            np.testing.assert_array_equal(
                ops.resize2d_backward(y, x, (61, 23), interpolation=kind, antialias=True)[0], dx
            )
        np.testing.assert_array_equal(ops.resize2d(x[3:4], (61, 23), interpolation=kind, antialias=True), y[3:4])


def test_aspect_ratios_stay():
    x = images((2, 8, 12, 3))
    cropped = layers.Resizing(4, 4, crop_to_aspect_ratio=True)(x)
    np.testing.assert_array_equal(cropped, ops.resize2d(np.ascontiguousarray(x[:, :, 2:10]), (4, 4)))
    padded = layers.Resizing(6, 6, pad_to_aspect_ratio=True, fill_value=7.0)(x)
    assert (padded[:, 0] == 7).all() and (padded[:, -1] == 7).all()
    np.testing.assert_array_equal(padded[:, 1:5], ops.resize2d(x, (4, 6)))
    np.testing.assert_array_equal(layers.CenterCrop(4, 5)(x), x[:, 2:6, 3:8])


@pytest.mark.parametrize(
    ("axis", "kept"), [(-1, (0, 1, 2)), (None, (0, 1, 2, 3)), ((1, 2, 3), (0,)), ((2, 3), (0, 1)), (3, (0, 1, 2))]
)
def test_normalization_adapts(axis, kept, tmp_path):
    x = RNG.normal(3, 2, (50, 4, 5, 3)).astype(np.float32)
    mean, std = x.mean(kept, dtype=np.float64), x.std(kept, dtype=np.float64)
    layer = layers.Normalization(axis)
    layer.adapt([x[:7], (x[7:30], None), x[30:]])  # batches, some with labels
    np.testing.assert_allclose(layer.get_weights()[0], mean, rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[1], std**2, rtol=1e-5)
    np.testing.assert_allclose(layer(x), (x - mean) / std, rtol=0, atol=1e-5)
    np.testing.assert_allclose(layers.Normalization(axis, mean, std**2)(x), (x - mean) / std, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        layers.Normalization(axis, mean, std**2, invert=True)(x), x * std + mean, rtol=1e-4, atol=1e-4
    )
    model = Sequential([layers.Input((4, 5, 3)), layer])
    model.compile("sgd", "mean_squared_error")
    before = model.predict(x, verbose=0)
    layer.adapt(x * 2)  # the plan sees it
    np.testing.assert_allclose(model.predict(2 * x, verbose=0), before, rtol=0, atol=1e-5)
    model.save(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_colours_are_learned(example):
    results = example("colorize")
    assert results["test loss"] < results["test loss of grey"] / 3 and results["cells with the right colour"] > 90


@pytest.mark.filterwarnings("ignore")  # Keras's own
def test_an_adapted_layer_of_keras(tmp_path):
    keras = pytest.importorskip("keras", reason="compares with Keras 3")
    pytest.importorskip("h5py", reason="reads Keras's weights")
    x = RNG.normal(3, 2, (50, 4, 5, 3)).astype(np.float32)
    theirs = keras.layers.Normalization()
    theirs.adapt(x)
    model = keras.Sequential([keras.Input((4, 5, 3)), theirs])
    model.save(tmp_path / "theirs.keras")
    ours = models.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(ours.predict(x, verbose=0), model.predict(x, verbose=0), rtol=0, atol=1e-5)
    ours.save(tmp_path / "ours.keras")
    again = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: ops.resize2d(images((1, 2, 2, 1)), (0, 3)), ValueError, "size must be at least 1"),
        (lambda: ops.resize2d(images((1, 2, 2, 1)), (2**21, 3)), ValueError, "images must be at most"),
        (lambda: ops.resize2d(images((2, 2, 1)), (2, 3)), ValueError, "must have 4 dimensions"),
        (
            lambda: ops.resize2d(images((1, 2, 2, 1)), 2, interpolation="cubic"),
            ValueError,
            "interpolation is not known",
        ),
        (lambda: ops.resize2d(images((1, 2, 2, 1)), 2, coordinates="tf"), ValueError, "coordinates is not known"),
        (lambda: ops.resize2d(images((1, 2, 2, 1)), 2, scales=1.5), TypeError, "scales must be two numbers"),
        (
            lambda: ops.resize2d(images((1, 2, 2, 1)), 2, interpolation="area", coordinates="asymmetric"),
            ValueError,
            "area knows cells as intervals",
        ),
        (lambda: ops.upsample(images((2, 2, 1))), ValueError, "must have 4 dimensions"),
        (lambda: layers.UpSampling2D(0), ValueError, "size must be at least 1"),
        (lambda: layers.UpSampling2D(interpolation="area"), ValueError, "interpolation is not known"),
        (
            lambda: layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            ValueError,
            "cropped or padded",
        ),
        (lambda: layers.Resizing(2, 2, fill_mode="reflect"), ValueError, "fill_mode is not known"),
        (lambda: layers.Normalization(mean=1.0), ValueError, "come together"),
        (lambda: layers.Normalization(1)(images((1, 2, 2, 1))), ValueError, "axis must name the last axes"),
        (lambda: layers.Normalization(mean=0.0, variance=1.0).adapt(images((3, 2))), RuntimeError, "are given"),
        (lambda: layers.Normalization().adapt([]), ValueError, "must not be empty"),
    ],
)
def test_refusals(make, error, says):
    with pytest.raises(error, match=says):
        make()
