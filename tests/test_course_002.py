"""Deck 002, deep learning and convolutional networks: every row of it that is a technique, a name or a system."""

import numpy as np
import pytest

from fastconv import filters, layers, losses, models, ops, optimizers, plots, random, utils, zoo
from fastconv.testing.small import normal

FEATURES = np.array(
    [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 0, 1, 2, 1], [1, 4, 2, 1, 0], [0, 0, 1, 2, 1]], float
)  # as printed
POOLED = [[1, 1, 0], [4, 2, 1], [0, 2, 1]]
ROWS = "000000000 011100110 011010110 010011100 000000110 011000010 010011100 011100110 000000000"
FACE = np.array([[int(c) for c in row] for row in ROWS.split()], float)


def image(plane):
    return np.asarray(plane, float)[None, :, :, None]


def test_002_1_depth():
    """`len(model.layers)` and `summary()` tell the depth; a residual network of 53 convolutions builds and runs."""
    model = models.Sequential([layers.Input((4,)), *(layers.Dense(4) for _ in range(7))])
    lines = []
    model.summary(print_fn=lines.append)
    assert len(model.layers) == 7 and "Depth: 7 layers" in lines[0]
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(x)
    for _ in range(26):
        y = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(y)])
    deep = models.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    assert sum(isinstance(layer, layers.Conv2D) for layer in deep.layers) == 53
    deep.compile("sgd", "mse")
    assert np.isfinite(deep.train_on_batch(0.1 * normal(2, 8, 8, 3), normal(2, 2)))


def test_002_2_weights_are_parameters():
    """`get_weights` and `set_weights` keep every bit."""
    a, b = (zoo.build("cnn", (8, 8, 1), 10) for _ in range(2))
    b.set_weights(a.get_weights())
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = normal(3, 8, 8, 1)
    np.testing.assert_array_equal(a.predict(x), b.predict(x))


@pytest.mark.parametrize("loss", ["mse", losses.MeanSquaredError(), lambda y, p: ops.mean_squared_error(y, p)])
def test_002_3_objective_function(loss):
    """`compile(loss=...)` takes a name, an object or a function."""
    model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", loss)
    assert model.evaluate(normal(4, 2), [1, 1, 1, 1], verbose=0) == 1


def test_002_4_the_optimizer_loop():
    """On a convex toy gradient descent lowers the loss in every epoch."""
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(0.05), "mse")
    x = normal(32, 3)
    found = model.fit(x, x @ [1, 2, 3] + 4, batch_size=32, epochs=40, verbose=0).history["loss"]
    assert (np.diff(found) < 0).all() and found[-1] < 0.1 * found[0]


def test_002_5_the_input_layer():
    """An input layer has no parameters and passes data on unchanged."""
    x = layers.Input((3,))
    model = models.Model(x, layers.Dense(2, name="out")(x))
    data = normal(4, 3).astype(np.float32)
    assert model.layers[0].count_params() == 0 and [type(la).__name__ for la in model.layers] == ["InputLayer", "Dense"]
    np.testing.assert_array_equal(next(iter(model.activations(data).values())), data)


def test_002_6_a_single_neuron():
    """The sum of x w over three inputs, exact on whole numbers."""
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, use_bias=False)])
    model.set_weights([[[2.0], [-3.0], [5.0]]])
    assert model.predict([[7.0, 11.0, 13.0]]).item() == 2 * 7 - 3 * 11 + 5 * 13


def test_002_7_multi_layer_perceptron(example):
    """A multi-layer perceptron reaches 95 % on digits."""
    assert example("digits", epochs=20, network="dense")["dense"] >= 95


def test_002_8_a_stack_of_linear_layers_is_one():
    """x w0 w1 w2 = x wC: three linear layers equal one with the product of their matrices."""
    stack = models.Sequential([layers.Input((5,)), *(layers.Dense(n, use_bias=False) for n in (4, 6, 3))])
    one = models.Sequential([layers.Input((5,)), layers.Dense(3, use_bias=False)])
    w0, w1, w2 = stack.get_weights()
    one.set_weights([w0 @ w1 @ w2])
    x = normal(20, 5)
    np.testing.assert_allclose(stack.predict(x), one.predict(x), atol=1e-6)


def test_002_9_a_stack_of_bent_layers():
    """y = s(s(s(x w0) w1) w2), as NumPy has it."""
    model = models.Sequential(
        [
            layers.Input((5,), dtype="float64"),
            *(layers.Dense(n, "sigmoid", use_bias=False, dtype="float64") for n in (4, 6, 3)),
        ]
    )
    y = x = normal(20, 5)
    for w in model.get_weights():
        y = 1 / (1 + np.exp(-(y @ w)))
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-14)


def test_002_10_the_simple_example():
    """w = 0.5, rate 0.1, samples (2,4), (1,2), (3,6), one by one: w becomes 2.192."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile(optimizers.SGD(0.1), loss="mse")
    model.set_weights([[[0.5]]])
    model.fit([[2], [1], [3]], [4, 2, 6], batch_size=1, shuffle=False, epochs=1, verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(2.192, abs=1e-12)


def test_002_11_downhill_by_the_sign_of_the_slope():
    """Steps against the sign of the slope that a network gives, halved when it turns, end where the slope is nearly 0."""
    model = models.Sequential([layers.Input((1,), dtype="float64"), layers.Dense(1, use_bias=False, dtype="float64")])
    model.compile("sgd", "mse")
    w, step, slope, taken = 5.3, 1.0, 1.0, 0
    while abs(slope) > 1e-6:
        model.set_weights([[[w]]])
        (new,) = (found.item() for found in model.gradients([[2], [1], [3]], [4, 2, 6])[1].values())
        step, slope, taken = step / 2 if new * slope < 0 else step, new, taken + 1
        if abs(slope) > 1e-6:
            w -= step * np.sign(slope)
        assert taken < 200
    assert w == pytest.approx(2, abs=1e-5)


def test_002_12_random_weights(device):
    """The same seed gives the same weights on the CPU and on a GPU."""
    random.seed(5)
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    found = model.get_weights()[0]
    random.seed(5)
    np.testing.assert_array_equal(found, layers.Dense(2).kernel_initializer((3, 2), dtype="float32"))


def test_002_13_happy_and_sad_faces(example):
    """Two folders, of happy and of sad faces, are learned."""
    assert example("faces", each=250, epochs=12)["accuracy"] >= 90


def test_002_14_input_of_32_by_32_by_3():
    """`Input((32, 32, 3))`, channels last."""
    x = layers.Input((32, 32, 3))
    assert x.shape == (None, 32, 32, 3) and layers.Conv2D(7, 5)(x).shape == (None, 28, 28, 7)


def test_002_15_probabilities_in_words():
    """Rows of predict sum to 1; `decode_predictions(top=k)` and its text say "80 % flower, 15 % sky"."""
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    np.testing.assert_allclose(model.predict(normal(9, 4)).sum(1), 1, atol=1e-6)
    names = ["dog", "flower", "sky"]
    found = utils.decode_predictions([[0.05, 0.8, 0.15], [0.5, 0.2, 0.3]], top=2, class_names=names)
    assert found == [[("flower", 0.8), ("sky", 0.15)], [("dog", 0.5), ("sky", 0.3)]]
    assert utils.prediction_text([0.05, 0.8, 0.15], 2, names) == "80 % flower, 15 % sky"
    assert utils.decode_predictions([[0.25]], class_names=["cat", "dog"]) == [[("cat", 0.75), ("dog", 0.25)]]
    for wrong, message in (({"class_names": ["a"]}, "3 names"), ({"top": 0}, "top >= 1")):
        with pytest.raises(ValueError, match=message):
            utils.decode_predictions([[0.05, 0.8, 0.15]], **wrong)


def test_002_16_what_computers_see():
    """A grid of 20 x 20 two-digit numbers, uint8, prints as its numbers."""
    grid = np.random.default_rng(0).integers(0, 100, (20, 20), np.uint8)
    with np.printoptions(linewidth=200, threshold=1000):
        lines = str(utils.split_channels(grid[..., None])[0]).replace("[", "").replace("]", "").splitlines()
    assert [[int(v) for v in line.split()] for line in lines] == grid.tolist()


def test_002_17_first_and_last_maps():
    """Feature maps of the first and of the last convolution can be had."""
    model = zoo.build("cnn", (16, 16, 1), 10)
    maps = [v for name, v in model.activations(normal(1, 16, 16, 1)).items() if "conv" in name]
    assert maps[0].shape[1] > maps[-1].shape[1] and all(v.ndim == 4 for v in maps)


def test_002_18_the_pipeline(example):
    """Convolution, nonlinearity, pooling, full connection, output: with the shape that each step leaves."""
    shapes = example("cnn_steps", epochs=3)["shapes"]
    assert shapes["pool"] == [4, 4, 32] and shapes["classify: ten probabilities"] == [10]


def test_002_19_values_between_minus_one_and_one():
    """`Rescaling(1 / 127.5, offset=-1)` maps 0..255 to -1..1; `plots.text_image` draws a picture by shades."""
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(np.array([[0, 127.5, 255]], np.float32))
    np.testing.assert_allclose(scaled, [[-1, 0, 1]], atol=1e-6)
    drawn = plots.text_image(FACE).split("\n")
    assert len(drawn) == 9 and drawn[0] == "" and drawn[1] == "  @@@@@@    @@@@"


def test_002_20_four_kernels():
    """Smooth, gaussian, sharpen and intensify: their sums say what they make of a constant image."""
    for name, kernel, total in (
        ("smooth", filters.SMOOTH, 9),
        ("gaussian", filters.GAUSSIAN, 8),
        ("sharpen", filters.SHARPEN, 1),
        ("intensify", filters.INTENSIFY, 1),
    ):
        constant = np.full((5, 6), 3.0)
        np.testing.assert_array_equal(filters.apply(constant, kernel), 3 * total * np.ones((5, 6)))
        np.testing.assert_allclose(filters.apply(constant, name), constant, rtol=1e-6)  # by name: brightness stays
    with pytest.raises(ValueError, match="read-only"):
        filters.SMOOTH[0, 0] = 5
    for wrong, error in (("blur", ValueError), (np.zeros(3), ValueError), ([["a"]], TypeError)):
        with pytest.raises(error, match="kernel"):
            filters.apply(np.zeros((5, 5)), wrong)
    with pytest.raises(ValueError, match="image"):
        filters.apply(np.zeros(5), "smooth")


def variation(x):
    return np.abs(np.diff(x, axis=0)).sum() + np.abs(np.diff(x, axis=1)).sum()


def test_002_21_blurred_and_sharpened():
    """A blur lowers the sum of differences between neighbours, sharpening raises it; dtype and channels stay."""
    x = np.random.default_rng(0).integers(0, 256, (12, 15), np.uint8)
    blurred, sharp = filters.apply(x, "gaussian"), filters.apply(x, "sharpen")
    assert variation(blurred) < variation(x.astype(float)) < variation(sharp)
    assert blurred.dtype == np.float32 and filters.apply(x.astype(float), "gaussian").dtype == np.float64
    colours = np.stack([x, x[::-1], x[:, ::-1]], axis=-1)
    np.testing.assert_array_equal(filters.apply(colours, "gaussian")[..., 0], blurred)
    np.testing.assert_array_equal(filters.apply(colours[None], "gaussian")[0, ..., 0], blurred)
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy; pip install scipy")
    for name, kernel in (("gaussian", filters.GAUSSIAN / 8), ("sharpen", filters.SHARPEN)):
        expected = ndimage.correlate(x.astype(float), kernel, mode="reflect")
        np.testing.assert_allclose(filters.apply(x.astype(float), name), expected, rtol=1e-12, atol=1e-9)


def test_002_22_filters_for_edges():
    """Sobel and Laplace, in a `Conv2D` that is not trained: zero on plain ground, not on edges."""
    x = np.zeros((1, 8, 8, 1))
    x[:, :, 4:] = 1
    bank = np.stack([filters.SOBEL_X, filters.SOBEL_Y, filters.LAPLACE], axis=-1)[:, :, None]
    layer = layers.Conv2D(3, 3, use_bias=False, trainable=False)
    model = models.Sequential([layers.Input((8, 8, 1)), layer, layers.Flatten(), layers.Dense(1)])
    layer.set_weights([bank])
    y = layer(x)[0]
    assert (y[:, 2:4, 0] == 4).all() and not y[:, [0, 1, 4, 5], 0].any() and not y[..., 1].any()
    assert set(np.unique(y[..., 2])) == {-1, 0, 1}
    model.compile("sgd", "mse")
    model.fit(x, [1.0], epochs=2, verbose=0)
    np.testing.assert_array_equal(layer.get_weights()[0], bank)


def test_002_23_every_filter_gives_a_map():
    """Two filters of the slide, in one `Conv2D`, make the two maps printed; ten filters a depth of ten."""
    ring = np.ones((3, 3))
    ring[1, 1] = 0
    layer = layers.Conv2D(2, 3, use_bias=False)
    layer(image(FACE))
    layer.set_weights([np.stack([np.ones((3, 3)), ring], axis=-1)[:, :, None]])
    maps = np.moveaxis(layer(image(FACE))[0], -1, 0).astype(int)
    assert ["".join(map(str, row)) for row in maps[0]] == [
        "4542344",
        "5654665",
        "3333665",
        "3322454",
        "3322454",
        "5643454",
        "3433443",
    ]
    assert ["".join(map(str, row)) for row in maps[1]] == [
        "3432333",
        "4553654",
        "2332555",
        "3322443",
        "2222453",
        "4642344",
        "2323432",
    ]
    assert layers.Conv2D(10, 3)(image(FACE)).shape == (1, 7, 7, 10)


def test_002_24_pooling_halves():
    """Pooling 2 x 2 halves height and width."""
    assert layers.MaxPooling2D()(np.zeros((1, 10, 6, 3), np.float32)).shape == (1, 5, 3, 3)


def test_002_25_pooling_has_no_parameters():
    """`MaxPooling2D()` is 2 x 2 with stride 2, and has no parameters."""
    layer = layers.MaxPooling2D()
    layer(np.zeros((1, 4, 4, 1), np.float32))
    config = layer.get_config()
    assert (
        layer.count_params() == 0
        and list(config["pool_size"]) == [2, 2]
        and config["strides"] in (None, [2, 2], (2, 2))
    )


def test_002_26_max_pooling_worked():
    """The slide's 5 x 5 map pools to its 3 x 3 with padding "same" (T2)."""
    y = layers.MaxPooling2D(padding="same")(image(FEATURES))
    assert y[0, :, :, 0].tolist() == POOLED


def test_002_27_flattening():
    """Row by row."""
    assert layers.Flatten()(image(POOLED)).tolist() == [[1, 1, 0, 4, 2, 1, 0, 2, 1]]


def test_002_28_full_connection():
    """A dense layer on the flattened map: its dot product."""
    vector = layers.Flatten()(image(POOLED))
    w = np.arange(18.0).reshape(9, 2)
    np.testing.assert_array_equal(ops.dense(vector.astype(float), w), np.ravel(POOLED)[None] @ w)
