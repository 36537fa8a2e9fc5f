"""Volumes and the layers around them: what 3-D convolution and pooling are made of, and that clips can be told apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv
from fastconv import layers, models, ops
from fastconv import reference as ref
from fastconv.testing import parity_volumes
from fastconv.testing.networks import build, inputs_for, targets_for

POOLS = ("max", "min", "avg", "sum")


@st.composite
def windows(draw):
    """A volume's extents and a window that fits: (shape, pool_size, stride, padding)."""
    size = [draw(st.integers(1, 3)) for _ in range(3)]
    shape = [draw(st.integers(n, 6)) for n in size]
    stride = [draw(st.integers(1, 3)) for _ in range(3)]
    pads = [(draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))) for n in size]
    padding = draw(st.sampled_from(("valid", "same", "same_lower", tuple(pads))))
    return (draw(st.integers(1, 2)), *shape, draw(st.integers(1, 5))), tuple(size), tuple(stride), padding


@settings(max_examples=60, deadline=None)
@given(windows(), st.sampled_from(POOLS), st.integers(0, 2**32 - 1))
def test_two_poolings_of_images_are_one_of_volumes(window, kind, seed):
    """Exactly, ties included: of a few small integers most windows have several largest cells."""
    shape, size, stride, padding = window
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, shape).astype(np.float64)
    settings = {"stride": stride, "padding": padding}
    expected = getattr(ref, f"{kind}_pool3d")(x, size, **settings)
    actual = getattr(ops, f"{kind}_pool3d")(x, size, **settings)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 if kind == "avg" else 0)
    dy = rng.integers(1, 9, expected.shape).astype(np.float64)
    (wanted,) = getattr(ref, f"{kind}_pool3d_backward")(dy, x, size, **settings)
    (found,) = getattr(ops, f"{kind}_pool3d_backward")(dy, x, size, **settings)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 if kind == "avg" else 0)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 3),
    st.tuples(*[st.integers(1, 3)] * 3),
    st.sampled_from(("valid", "same")),
    st.booleans(),
)
def test_a_transposed_convolution_is_the_adjoint(kernel, strides, padding, dilated):
    """Of the same kernel: <conv(x), y> = <x, transposed(y)>, wherever the convolution maps back to the same extents."""
    dilation = 2 if dilated and max(strides) == 1 else 1
    y = np.random.default_rng(0).standard_normal((2, 3, 2, 4, 3))
    layer = layers.Conv3DTranspose(2, kernel, strides, padding, dilation_rate=dilation, use_bias=False, dtype="float64")
    painted = layer(y)
    x = np.random.default_rng(1).standard_normal(painted.shape)
    seen = ops.conv3d(x, layer.kernel.array, stride=strides, padding=padding, dilation=dilation)
    assert seen.shape == y.shape
    np.testing.assert_allclose(np.vdot(seen, y), np.vdot(x, painted), rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 5), st.lists(st.integers(1, 20), min_size=5, max_size=5))
def test_transpose_is_numpys(axes, rank, extents):
    axes, extents = [axis for axis in axes if axis < rank], [min(n, 9) if rank > 3 else n for n in extents[:rank]]
    x = np.arange(np.prod(extents, dtype=int), dtype=np.float32).reshape(extents)
    y = ops.transpose(x, axes)
    np.testing.assert_array_equal(y, np.transpose(x, axes))
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(ops.transpose_backward(y, x, axes)[0], x)


def _every_kernel(rng):
    x = rng.standard_normal((3, 5, 37, 41, 19)).astype(np.float32)
    yield from (ops.transpose(x, (4, 0, 2, 1, 3)), ops.unfold_depth(x, 3, padding=1), ops.max_pool3d(x))
    yield from ops.unfold_depth_backward(np.concatenate([x] * 3, -1), x, 3, padding=1)
    gamma = rng.standard_normal(19).astype(np.float32)
    yield from (ops.group_norm(x, gamma, gamma, 19), *ops.group_norm_backward(x, x, gamma, gamma, 1))
    yield from (ops.mish(x), ops.squareplus_backward(x, x)[0], ops.maximum(x, gamma))


def test_same_bits_for_any_number_of_threads(threads):
    results = []
    for count in (1, 3, 8):
        threads(count)
        results.append([y.tobytes() for y in _every_kernel(np.random.default_rng(0))])
    assert all(result == results[0] for result in results)


def test_a_large_mean_does_not_cancel(isa):
    """float32 numbers around 1e4, apart by 1e-2: their normal form is that of their differences."""
    rng = np.random.default_rng(0)
    x = (1e4 + 1e-2 * rng.integers(-50, 50, (2, 30, 30, 8))).astype(np.float32)
    centred = x.astype(np.float64) - x.astype(np.float64).reshape(2, -1, 2, 4).mean((1, 3)).repeat(4, 1)[:, None, None]
    expected = centred / np.sqrt(
        np.square(centred).reshape(2, -1, 2, 4).mean((1, 3)).repeat(4, 1)[:, None, None] + 1e-9
    )
    np.testing.assert_allclose(ops.group_norm(x, None, None, 2, epsilon=1e-9), expected, atol=2e-5)


@pytest.mark.parametrize("name", parity_volumes.__all__)
@pytest.mark.parametrize("ending", ("safetensors", "keras"))
def test_models_come_back_from_files(name, ending, tmp_path):
    if ending == "keras":
        pytest.importorskip("h5py", reason="writes HDF5; pip install 'fastconv[keras]'")
    model = getattr(parity_volumes, name)(fastconv)
    model.save(tmp_path / f"m.{ending}")
    again = fastconv.load_model(tmp_path / f"m.{ending}")
    (x,) = inputs_for(model, 2)
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_lambda_computes_and_learns_and_cannot_be_saved(tmp_path):
    x = layers.Input((3,))
    scaled = layers.Lambda(lambda t, factor: ops.scale(t, factor), arguments={"factor": 2.0}, name="twice")(x)
    model = models.Model(x, layers.Dense(1, name="out")(scaled))
    model.compile("sgd", "mse")
    data = np.eye(3, dtype=np.float32)
    before = model.evaluate(data, data[:, :1], verbose=0)
    model.fit(data, data[:, :1], epochs=5, verbose=0)
    assert model.evaluate(data, data[:, :1], verbose=0) < before
    np.testing.assert_allclose(layers.Lambda(lambda t, training: t if training else t * 0)(data, training=True), data)
    for ending in ("safetensors", "keras"):
        with pytest.raises(ValueError, match=r"Lambda layer cannot be saved.*class from"):
            model.save(tmp_path / f"m.{ending}")
    assert not list(tmp_path.iterdir())


def test_arithmetic_of_symbolic_tensors_is_layers():
    a, b = layers.Input((4,)), layers.Input((4,))
    model = models.Model([a, b], [a + b, a - b, a * b, 2 * a + 1, 1.5 - a, -a, a / 4, np.float32(3) * a])
    x, y = np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    wanted = [x + y, x - y, x * y, 2 * x + 1, 1.5 - x, -x, x / 4, 3 * x]
    for actual, expected in zip(model.predict([x, y], verbose=0), wanted, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
    for wrong in (lambda: a / b, lambda: a + x, lambda: a * True, lambda: a / 0, lambda: "text" + a):
        with pytest.raises(TypeError):
            wrong()


def test_joins_and_up_sampling():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(layers.Maximum()([a, b, c]), np.maximum(np.maximum(a, b), c))
    np.testing.assert_array_equal(layers.Minimum()([a, b, c[:, :1]]), np.minimum(np.minimum(a, b), c[:, :1]))
    np.testing.assert_allclose(layers.Average()([a, b, c]), (a + b + c) / 3, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(layers.Dot(-1)([a, b]), (a * b).sum(1, keepdims=True), rtol=1e-5)
    x = rng.standard_normal((2, 2, 3, 1, 4)).astype(np.float32)
    np.testing.assert_array_equal(layers.UpSampling3D((3, 1, 2))(x), x.repeat(3, 1).repeat(2, 3))
    dy = rng.integers(-4, 4, (2, 6, 4, 3)).astype(np.float32)
    dx = ops.repeat_pixels_backward(dy, np.zeros((2, 2, 2, 3), np.float32), (3, 2))[0]
    np.testing.assert_array_equal(dx, dy.reshape(2, 2, 3, 2, 2, 3).sum((2, 4)))
    glu = layers.Activation("glu")(x)
    np.testing.assert_allclose(glu, x[..., :2] / (1 + np.exp(-x[..., 2:])), rtol=1e-6)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (
            lambda: ops.transpose(np.ones((2, 3), np.float32), (0, 0)),
            r"\[transpose\] axes must name every axis of x once",
        ),
        (lambda: ops.unfold_depth(np.ones((1, 2, 2, 2, 1), np.float32), 3), r"\[unfold_depth\] kernel .* larger than"),
        (lambda: ops.unfold_depth(np.ones((1, 2, 2, 2, 4), np.float32), 1, groups=3), "divisible by groups"),
        (
            lambda: ops.fold_depth(np.ones((1, 2, 2, 2, 4), np.float32), 9, 2),
            r"\[fold_depth\] columns has the wrong shape",
        ),
        (lambda: ops.fold_depth(np.ones((1, 2, 2, 2, 3), np.float32), 3, 2), "channels divisible by taps"),
        (lambda: ops.conv3d(np.ones((2, 2, 2, 1), np.float32), np.ones((1, 1, 1, 1, 1), np.float32)), "x must have 5"),
        (lambda: ops.conv3d(np.ones((1, 2, 2, 2, 1)), np.ones((1, 1, 1, 1, 1)), stride=(1, 2)), "3 ints"),
        (lambda: ops.group_norm(np.ones((2, 3, 4), np.float32), None, None, 3), "channels must be divisible by groups"),
        (lambda: ops.group_norm(np.ones((2, 0, 4), np.float32), None, None, 2), "samples must have cells"),
        (lambda: ops.group_norm(np.ones((4,), np.float32), None, None, 2), "batch axis and a channel axis"),
        (lambda: ops.clip(np.ones(3, np.float32), 2.0, 1.0), "low must not be above high"),
        (lambda: ops.squareplus(np.ones(3, np.float32), 0.0), "b must be positive"),
        (lambda: ops.repeat_pixels(np.ones((2, 2, 3), np.float32), 2), r"\[repeat_pixels\] x must have 4"),
        (lambda: layers.Permute((2, 3)), "permutation of 1 to 2"),
        (lambda: layers.Permute((2, 1))(layers.Input((4,))), "rank 3 expected"),
        (lambda: layers.GroupNormalization(3)(layers.Input((4, 4))), "Use a divisor of 4"),
        (lambda: layers.Conv3D(2, 3)(layers.Input((8, 8, 3))), "rank 5 expected"),
        (lambda: layers.Conv3DTranspose(2, 3, padding="same_lower"), "padding is not known"),
        (lambda: layers.DepthwiseConv1D(3)(layers.Input((8, 8, 3))), "rank 3 expected"),
        (lambda: layers.Dot(2), "axes must be that of vectors"),
        (lambda: layers.Dot(1, normalize=True), "cosines are not supported"),
        (lambda: layers.Dot(1)([layers.Input((3,)), layers.Input((4,))]), "two vectors of one length"),
        (lambda: layers.ReLU(threshold=-1), "threshold must not be negative"),
        (lambda: layers.Softmax(axis=0)(layers.Input((3,))), "axis must be one of a sample's"),
        (lambda: layers.Lambda(lambda t: t, mask=1), "mask is not supported"),
        (lambda: layers.Activation("glu")(np.ones((2, 3), np.float32)), "two halves"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def clips(count, rng):
    """Clips of 6 frames of 8 x 8: a bright square of 3 x 3 that moves by a pixel a frame, or stays; one frame alone tells
    nothing."""
    x = rng.normal(0, 0.1, (count, 6, 8, 8, 1)).astype(np.float32)
    moving = rng.integers(0, 2, count)
    for clip, moves in zip(x, moving, strict=True):
        row, column = rng.integers(0, 6), rng.integers(0, 6)
        for t, frame in enumerate(clip):
            at = (column + moves * t) % 6
            frame[row : row + 3, at : at + 3] += 1
    return x, moving.astype(np.float32)[:, None]


def test_a_network_tells_moving_from_still_clips():
    """003-55: video by Conv3D."""
    fastconv.random.seed(3)
    rng = np.random.default_rng(3)
    (x, y), (test_x, test_y) = clips(256, rng), clips(128, rng)
    model = models.Sequential(
        [
            layers.Input((6, 8, 8, 1)),
            layers.Conv3D(8, (2, 3, 3), activation="relu"),
            layers.MaxPooling3D((1, 2, 2)),
            layers.Conv3D(8, (2, 2, 2), activation="relu"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(fastconv.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=12, verbose=0)
    assert model.evaluate(test_x, test_y, verbose=0)[1] >= 0.95


@pytest.mark.parametrize("name", ("volumes", "joins"))
def test_a_gpu_computes_the_same(name, on_gpu):
    """Predictions and gradients of whole networks."""
    fastconv.set_device("cpu")
    model = build(name)
    (x,), (y,) = inputs_for(model, 3), targets_for(model, 3)
    model.compile("sgd", "mse")
    expected, (loss, wanted) = model.predict(x, verbose=0), model.gradients(x, y)
    fastconv.set_device("cuda")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)
    found_loss, found = model.gradients(x, y)
    assert found_loss == pytest.approx(loss, rel=1e-4)
    for path, gradient in wanted.items():
        np.testing.assert_allclose(found[path], gradient, rtol=1e-3, atol=1e-5, err_msg=path)
