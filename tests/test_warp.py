"""Random rotations, zooms, shears, contrast, brightness and noise: the reference's numbers on every instruction set, the same
bits on the GPU, and what turning and zooming by known amounts must give."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pytest

from fastconv import Sequential, _cpu, layers, models, ops
from fastconv import reference as ref
from fastconv.testing.memory import guarded

RNG = np.random.default_rng(20261123)
FILLS = ("constant", "nearest", "wrap", "reflect", "mirror")
WARPS = {
    "turn": {"angle": (-1, 1), "seed": 7},
    "zoom": {"zoom_rows": (0.3, 1.9), "zoom_columns": (0.5, 2), "seed": 2**63 + 5},
    "zoom alike": {"zoom_rows": (0.3, 1.9), "one_zoom": True, "seed": 1},
    "shear": {"shear_x": (-1, 1), "shear_y": (0, 0.7), "either_way": True, "centred": False, "seed": 2},
    "the first": {"angle": (0.1, 0.9), "zoom_rows": (0.5, 2)},
    **{
        f"everything: {mode}": {
            "angle": (-0.4, 0.6),
            "zoom_rows": (0.4, 2),
            "zoom_columns": (0.4, 2),
            "shear_x": (-0.9, 0.9),
            "shear_y": (-0.9, 0.9),
            "seed": 3,
            "fill_mode": mode,
            "fill_value": -1.5,
        }
        for mode in FILLS
    },
}
SHAPES = [(5, 7, 8, 3), (2, 1, 1, 1), (3, 2, 30, 17), (0, 4, 4, 2)]
ADJUSTMENTS = {
    "contrast": {"contrast": (0.3, 1.8), "limits": (-1.5, 1.2), "seed": 4},
    "brightness": {"brightness": (-0.7, 0.7), "limits": (-1.5, 1.2), "seed": 5},
    "both": {"contrast": (0.3, 1.8), "brightness": (-0.7, 0.7), "limits": (-9, 9), "seed": 6},
    "the first": {"contrast": (0.5, 2), "brightness": (0.25, 1)},
}


def images(shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("attrs", WARPS.values(), ids=WARPS)
def test_warps_give_the_reference(attrs, isa, guarded_results):
    """Places are off by up to 2e-5 cells: by the rounding to 1/65536 on either side of a tie, and that of sine and cosine."""
    for i, shape in enumerate(SHAPES):
        for dtype in (np.float32, np.float64)[i % 2 :]:
            x = images(shape, dtype)
            bound = 4e-5 * 2 * max(np.abs(x).max(initial=0), 1.5)
            np.testing.assert_allclose(ops.warp2d(guarded(x), **attrs), ref.warp2d(x, **attrs), rtol=0, atol=bound)
            nearest = {**attrs, "interpolation": "nearest"}
            same = ops.warp2d(guarded(x), **nearest) == ref.warp2d(x, **nearest)
            assert same.mean() > 0.99 if x.size else True  # but for places between two cells


@pytest.mark.parametrize("attrs", ADJUSTMENTS.values(), ids=ADJUSTMENTS)
def test_adjustments_give_the_reference(attrs, isa, guarded_results):
    for shape in SHAPES:
        for dtype in (np.float32, np.float64):
            x = images(shape, dtype)
            bound = 30 * np.finfo(dtype).eps * 10
            np.testing.assert_allclose(ops.adjust2d(guarded(x), **attrs), ref.adjust2d(x, **attrs), rtol=0, atol=bound)


def test_the_gpu_gives_the_bits_of_the_cpu(gpu):
    for shape in SHAPES:
        x = images(shape)
        for attrs in WARPS.values():
            for interpolation in ("bilinear", "nearest"):
                kw = {**attrs, "interpolation": interpolation}
                np.testing.assert_array_equal(ops.warp2d(gpu.asarray(x), **kw).get(), ops.warp2d(x, **kw))
        for name in ("brightness", "the first", "both"):
            actual, wanted = (ops.adjust2d(a, **ADJUSTMENTS[name]) for a in (gpu.asarray(x), x))
            np.testing.assert_allclose(actual.get(), wanted, rtol=0, atol=0 if name == "brightness" else 1e-5)
        for multiply in (False, True):
            kw = {"stddev": 0.7, "seed": 12, "multiply": multiply}
            np.testing.assert_array_equal(ops.gaussian_noise(gpu.asarray(x), **kw).get(), ops.gaussian_noise(x, **kw))


def test_noise_has_one_set_of_bits(isa, threads):
    z = ops.gaussian_noise(np.zeros(9, np.float32), 1.0, seed=2026)
    whole = ops.gaussian_noise(np.zeros(70_001, np.float32), 1.0, seed=2026)
    np.testing.assert_array_equal(whole[:9], z)
    np.testing.assert_allclose(z, ref.gaussian_noise(np.zeros(9), 1.0, seed=2026), rtol=1e-6)
    _cpu.select_isa("baseline")
    np.testing.assert_array_equal(ops.gaussian_noise(np.zeros(70_001, np.float32), 1.0, seed=2026), whole)
    _cpu.select_isa(isa)
    threads(3)
    np.testing.assert_array_equal(ops.gaussian_noise(np.zeros(70_001, np.float32), 1.0, seed=2026), whole)


def test_noise_is_normal():
    n = 400_000
    z = ops.gaussian_noise(np.zeros(n), 1.0, seed=5)
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert abs((z[0::2] * z[1::2]).mean()) < 5 / np.sqrt(n / 2)  # the two of a pair
    below = np.sort(z)[np.array([n // 1000, n // 2, n - n // 1000])]
    np.testing.assert_allclose(below, [-3.0902, 0, 3.0902], atol=0.08)


@pytest.mark.parametrize("quarters", (1, 2, 3))
@pytest.mark.parametrize("interpolation", ("bilinear", "nearest"))
def test_quarter_turns_are_exact(quarters, interpolation):
    for n in (6, 7):
        x = images((2, n, n, 3))
        layer = layers.RandomRotation((quarters / 4, quarters / 4), interpolation=interpolation)
        np.testing.assert_array_equal(layer(x, training=True), np.rot90(x, quarters, (1, 2)))


def test_half_zoom_shows_the_middle_twice_as_large():
    """Cell i of 7 shows 3 + (i - 3) / 2: every second one is a cell, the others means of two."""
    x = images((2, 7, 7, 3))
    y = layers.RandomZoom((-0.5, -0.5))(x, training=True)
    np.testing.assert_array_equal(y[:, 1::2, 1::2], x[:, 2:5, 2:5])
    np.testing.assert_allclose(y[:, 1::2, 2:5:2], (x[:, 2:5, 2:4] + x[:, 2:5, 3:5]) / 2, rtol=0, atol=1e-6)
    board = (
        np.indices((8, 8)).sum(0)[None, :, :, None].astype(np.float32) % 2
    )  # out: every second cell, at the edges nothing
    seen = layers.RandomZoom((1, 1), fill_mode="constant", interpolation="nearest")(board, training=True)
    assert not seen[0, :2].any() and not seen[0, :, 6:].any()


def test_shear_moves_rows():
    x = images((1, 4, 6, 1))
    y = ops.warp2d(x, shear_x=(1, 1), centred=False, fill_value=9)
    for p in range(4):
        np.testing.assert_array_equal(y[0, p], np.concatenate([x[0, p, p:], np.full((p, 1), 9, np.float32)]))


@pytest.mark.filterwarnings("ignore")  # Keras's own
def test_known_amounts_are_those_of_keras():
    keras = pytest.importorskip("keras", reason="compares with Keras 3")
    pytest.importorskip("torch", reason="Keras's backend")
    x = RNG.uniform(0, 255, (2, 9, 12, 3)).astype(np.float32)
    for fill_mode in ("constant", "nearest", "reflect"):
        for make in (
            lambda la, mode: la.RandomRotation((0.07, 0.07), fill_mode=mode, fill_value=3.0),
            lambda la, mode: la.RandomRotation((-0.3, -0.3), fill_mode=mode),
            lambda la, mode: la.RandomZoom((0.3, 0.3), (-0.4, -0.4), fill_mode=mode),
            lambda la, mode: la.RandomZoom((0.3, 0.3), fill_mode=mode),
        ):
            theirs = np.asarray(make(keras.layers, fill_mode)(x, training=True).detach().cpu())
            mode = "mirror" if fill_mode == "reflect" and not _reflects(keras) else fill_mode
            np.testing.assert_allclose(make(layers, mode)(x, training=True), theirs, rtol=0, atol=0.02)  # of 255
    for name in ("RandomContrast", "RandomBrightness"):
        ours, theirs = (getattr(la, name)((0.2, 0.2))(x, training=True) for la in (layers, keras.layers))
        if name == "RandomBrightness":
            np.testing.assert_allclose(ours, np.asarray(theirs.detach().cpu()), rtol=0, atol=1e-3)


def _reflects(keras):
    """Whether Keras's backend has reflect as its documentation says: d c b a|a b c d; on PyTorch it may be mirror."""
    ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    moved = keras.ops.image.affine_transform(
        ramp, np.array([1, 0, -1, 0, 1, 0, 0, 0], np.float32), fill_mode="reflect", interpolation="nearest"
    )
    return float(moved[0, 0, 0, 0]) == 0


def test_draws_are_uniform_and_each_images_own():
    x = np.zeros((4000, 1, 1, 1), np.float32)
    shift = layers.RandomBrightness((-0.5, 1), value_range=(-100, 100))(x, training=True).ravel() / 200
    low, high = shift.min(), shift.max()
    assert -0.5 <= low < -0.49 and 0.49 < high <= 0.5  # clipped at 100
    free = ops.adjust2d(x, brightness=(2, 5), limits=(-9, 9), seed=3).ravel()
    assert abs(free.mean() - 3.5) < 5 * 3 / np.sqrt(12 * 4000) and abs(np.std(free) - 3 / np.sqrt(12)) < 0.03
    ramp = np.broadcast_to(np.arange(201, dtype=np.float32)[:, None, None], (3000, 201, 201, 1))[:, :, 100:101]
    places = ops.warp2d(ramp, zoom_rows=(0.5, 1.5), seed=8)[:, 0, 0, 0]  # 100 - 100 * zoom, where that is in the image
    zoom = (100 - places[places > 0]) / 100
    assert abs(zoom.mean() - 0.75) < 0.02 and abs((places > 0).mean() - 0.5) < 0.05


def test_layers_pass_in_inference_and_repeat_by_seed():
    x = RNG.uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
    makers = (
        lambda: layers.RandomRotation(0.3, seed=1),
        lambda: layers.RandomZoom(0.3, 0.2, seed=1),
        lambda: layers.RandomShear(0.3, 0.2, seed=1),
        lambda: layers.RandomContrast(0.4, seed=1),
        lambda: layers.RandomBrightness(0.3, seed=1),
        lambda: layers.GaussianNoise(0.3, seed=1),
        lambda: layers.GaussianDropout(0.3, seed=1),
        lambda: layers.AlphaDropout(0.3, seed=1),
        lambda: layers.SpatialDropout2D(0.3, seed=1),
    )
    for make in makers:
        losses = []
        for _ in range(2):
            model = Sequential([layers.Input((8, 8, 3)), make(), layers.Flatten(), layers.Dense(1)])
            model.set_weights([np.full(w.shape, 0.01, np.float32) for w in model.weights])
            np.testing.assert_array_equal(model.layers[0](x), x)
            model.compile("sgd", "mean_squared_error")
            losses.append([model.train_on_batch(x, np.zeros((6, 1))) for _ in range(2)])
            model.set_weights([np.full(w.shape, 0.01, np.float32) for w in model.weights])
            losses[-1].append(model.train_on_batch(x, np.zeros((6, 1))))
        assert np.array_equal(losses[0], losses[1])  # by the seed
        assert losses[0][0] != losses[0][2]  # another draw for every step


def test_alpha_dropout_keeps_mean_and_variance_of_what_selu_gives():
    x = ops.selu(RNG.normal(size=(2000, 100)).astype(np.float32))
    y = layers.AlphaDropout(0.2)(x, training=True)
    assert abs(y.mean() - x.mean()) < 0.02 and abs(y.var() - x.var()) < 0.03
    a = (0.8 * (1 + 0.2 * 1.7580993408473766**2)) ** -0.5
    dropped = np.isclose(y, a * -1.7580993408473766 + a * 1.7580993408473766 * 0.2, atol=1e-6)
    assert abs(dropped.mean() - 0.2) < 0.01
    np.testing.assert_allclose(y[~dropped], (a * x + a * 1.7580993408473766 * 0.2)[~dropped], atol=1e-5)


def test_spatial_dropout_drops_whole_channels():
    x = np.ones((50, 4, 5, 8), np.float32)
    y = layers.SpatialDropout2D(0.25)(x, training=True)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)} and (y == y[:, :1, :1]).all()
    assert 0.15 < (y[:, 0, 0] == 0).mean() < 0.35
    z = layers.SpatialDropout1D(0.5)(np.ones((20, 6, 4), np.float32), training=True)
    assert (z == z[:, :1]).all() and 0 < (z == 0).mean() < 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layers.RandomRotation(2), "factor must be a share"),
        (lambda: layers.RandomRotation(0.1, fill_mode="edge"), "fill_mode is not known"),
        (lambda: layers.RandomContrast((-0.1, 0.5)), "factor must not be negative"),
        (lambda: layers.RandomZoom(0.1, data_format="channels_first"), "channels come last"),
        (lambda: layers.GaussianDropout(1.0), "rate must be in"),
        (lambda: layers.SpatialDropout2D(0.5)(np.zeros((2, 3), np.float32)), "rank 4 expected"),
        (lambda: ops.warp2d(images((1, 2, 2, 1)), zoom_rows=(0.5, 3)), "zoom_rows must be a range"),
        (lambda: ops.adjust2d(images((1, 2, 2, 1)), limits=(1, 0)), "limits must be a range"),
        (lambda: ops.gaussian_noise(images((3,)), -1.0, seed=0), "stddev must not be negative"),
        (lambda: ops.dropout(images((3, 4)), 0.5, seed=0, noise_shape=(3, 2)), "noise_shape must broadcast"),
    ],
)
def test_refusals(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_weights_before_an_augmentation_cannot_be_trained():
    model = models.Sequential(
        [layers.Input((4, 4, 1)), layers.Conv2D(2, 1), layers.RandomRotation(0.1), layers.Flatten()]
    )
    model.compile("sgd", "mean_squared_error")
    with pytest.raises(ValueError, match="there is no gradient"):
        model.fit(np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 32)), verbose=0)
