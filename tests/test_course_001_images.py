"""Deck 001, convolutional networks in Keras: its second half, about images."""

import numpy as np
import pytest

from fastconv import callbacks, filters, layers, models, ops, optimizers, random
from fastconv.testing.small import assert_gradients, normal

SMILE = np.zeros((7, 7))
for at in ((1, 1), (1, 5), (3, 3), (4, 1), (4, 5), (5, 2), (5, 3), (5, 4)):
    SMILE[at] = 1
DETECTOR = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 1]])
FEATURES = [[0, 1, 0, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 2, 1], [1, 4, 2, 1, 0], [0, 0, 1, 2, 1]]


def test_001_18_weights_of_one_neuron_on_an_image():
    """One neuron on 200 x 200 x 3 has 120,000 weights; a 3 x 3 filter has 27."""
    with layers.sizes_only():
        image = layers.Input((200, 200, 3))
        assert models.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(image))).count_params() == 120_000
        assert models.Model(image, layers.Conv2D(1, 3, use_bias=False)(image)).count_params() == 27


def test_001_19_an_object_may_be_anywhere(example):
    """On digits moved by up to two pixels a CNN loses less accuracy than a dense network."""
    found = example("pixels_or_features", epochs=10)
    lost = {name: accuracy["in_place"] - accuracy["moved"] for name, accuracy in found.items()}
    assert lost["cnn"] < lost["dense"] / 2


def five_steps():
    kinds = [layers.Conv2D(3, 3), layers.ReLU(), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)]
    return models.Sequential([layers.Input((6, 6, 1)), *kinds]), kinds


def test_001_20_convolution_relu_pooling_flattening_full_connection():
    """One Sequential of exactly these five runs, and its gradients equal differences."""
    random.seed(1)
    with_double = [
        layers.Input((6, 6, 1), dtype="float64"),
        layers.Conv2D(3, 3, dtype="float64"),
        layers.ReLU(dtype="float64"),
        layers.MaxPooling2D(dtype="float64"),
        layers.Flatten(dtype="float64"),
        layers.Dense(2, dtype="float64"),
    ]
    model, x, y = models.Sequential(with_double), normal(3, 6, 6, 1), normal(3, 2, seed=1)
    model.compile("sgd", "mse")
    assert_gradients(model, x, y, rtol=1e-6, atol=1e-8)


BORDERS = ("reflect", "constant", "nearest", "mirror", "wrap")


def test_001_21_convolution_and_correlation():
    """`flip=True` is the convolution of mathematics, the default correlation, as layers do it: N1b and N1 on the same image."""
    np.testing.assert_array_equal(filters.apply(SMILE, DETECTOR, "valid"), FEATURES)
    turned = [[0, 0, 0, 1, 0], [1, 1, 0, 1, 1], [0, 2, 0, 0, 0], [0, 0, 2, 3, 1], [2, 2, 1, 0, 1]]
    np.testing.assert_array_equal(filters.apply(SMILE, DETECTOR, "valid", flip=True), turned)


@pytest.mark.parametrize("size", [(3, 3), (2, 4), (5, 1)])
def test_001_21_equals_scipy(size):
    """The same as SciPy's, for odd and even filters, whatever stands beyond the border."""
    ndimage = pytest.importorskip("scipy.ndimage", reason="compares with SciPy; pip install scipy")
    from scipy import signal

    rng = np.random.default_rng(0)
    kernel = rng.integers(-3, 4, size).astype(float)
    for image in (rng.integers(0, 256, (7, 9)).astype(float), rng.integers(0, 256, (5, 6, 3)).astype(float)):
        window = kernel if image.ndim == 2 else kernel[:, :, None]
        for border in BORDERS:
            np.testing.assert_array_equal(
                filters.apply(image, kernel, border), ndimage.correlate(image, window, mode=border)
            )
            np.testing.assert_array_equal(
                filters.apply(image, kernel, border, flip=True), ndimage.convolve(image, window, mode=border)
            )
    image = rng.integers(0, 256, (7, 9)).astype(float)
    np.testing.assert_array_equal(filters.apply(image, kernel, "valid"), signal.correlate2d(image, kernel, "valid"))
    flipped = filters.apply(image, kernel, "valid", flip=True)
    np.testing.assert_array_equal(flipped, signal.convolve2d(image, kernel, "valid"))


def fixed(kernel, **keywords):
    """A model that is one convolution with this filter, which is not trained."""
    layer = layers.Conv2D(1, kernel.shape, use_bias=False, trainable=False, **keywords)
    model = models.Sequential([layers.Input((7, 7, 1)), layer])
    model.set_weights([kernel[:, :, None, None]])
    return model


def test_001_22_worked_convolution():
    """The slide's image and detector through `Conv2D` give its map, but for the centre, where the slide is wrong (T1)."""
    np.testing.assert_array_equal(fixed(DETECTOR).predict(SMILE[None, :, :, None])[0, :, :, 0], FEATURES)


def test_001_23_many_feature_maps():
    """`Conv2D(filters=k)` gives k maps."""
    for k in (1, 5, 32):
        assert layers.Conv2D(k, 3)(np.zeros((2, 7, 7, 1), np.float32)).shape == (2, 5, 5, k)


def test_001_23_filters_and_maps_as_pictures(tmp_path):
    """`plots.filters` and `plots.feature_maps` show them."""
    pytest.importorskip("matplotlib", reason="draws; pip install 'fastconv[plots]'")
    from fastconv import plots

    layer = layers.Conv2D(4, 3, name="first")
    model = models.Sequential([layers.Input((7, 7, 1)), layer])
    plots.filters(layer, path=tmp_path / "filters.png")
    plots.feature_maps(model, SMILE[:, :, None], path=tmp_path / "maps.png")
    assert all((tmp_path / name).read_bytes()[:4] == b"\x89PNG" for name in ("filters.png", "maps.png"))


def test_001_24_strides():
    """Stride 2 keeps every second cell of every second row."""
    strided = fixed(DETECTOR, strides=2).predict(SMILE[None, :, :, None])[0, :, :, 0]
    np.testing.assert_array_equal(strided, np.array(FEATURES)[::2, ::2])


def test_001_25_relu_breaks_linearity():
    """A convolution with relu inside gives what relu behind it gives; relu(a + b) is not relu(a) + relu(b)."""
    x, w = normal(2, 7, 7, 3), normal(3, 3, 3, 8, seed=1)
    np.testing.assert_array_equal(ops.conv2d(x, w, activation="relu"), ops.relu(ops.conv2d(x, w)))
    assert (ops.relu(x - x) != ops.relu(x) + ops.relu(-x)).any()


def test_001_26_each_map_is_pooled_by_itself():
    """What happens in map d leaves pooled map c alone."""
    x = normal(1, 6, 6, 4)
    changed = x.copy()
    changed[..., 2] += 10
    different = ops.max_pool2d(x, 2) != ops.max_pool2d(changed, 2)
    assert different[..., 2].all() and not different[..., [0, 1, 3]].any()


def test_001_27_pooling_saves():
    """Behind a 2 x 2 pooling a dense layer has a quarter of the weights; `summary()` shows a quarter of its operations."""

    def dense(*pooling):
        body = [layers.Input((8, 8, 4)), *pooling, layers.Flatten(), layers.Dense(10, use_bias=False, name="dense")]
        model, lines = models.Sequential(body), []
        model.summary(print_fn=lines.append)
        (line,) = [line for line in "\n".join(lines).splitlines() if line.startswith("dense (Dense)")]
        return [int(number.replace(",", "")) for number in line.split()[-2:]]

    assert dense() == [2560, 5120] and dense(layers.MaxPooling2D()) == [640, 1280]


def test_001_28_max_or_subsampling(example):
    """Maximum, average and LeNet's trainable subsampling are there, and compared on the digits, after Scherer et al. 2010."""
    found = example("pooling", epochs=3)
    assert found["subsampling"]["parameters"] == found["average"]["parameters"] + 32
    assert all(result["test_accuracy"] > 60 for result in found.values())


def test_001_29_flattening():
    """The pooled map becomes the vector 1 1 0 4 2 1 0 2 1."""
    model = models.Sequential(
        [layers.Input((7, 7, 1)), *fixed(DETECTOR).layers, layers.MaxPooling2D(padding="same"), layers.Flatten()]
    )
    assert model.predict(SMILE[None, :, :, None]).tolist() == [[1, 1, 0, 4, 2, 1, 0, 2, 1]]


def test_001_30_the_gradient_reaches_the_filters():
    """Through the full connection, flattening and pooling, gradients of the filters are not zero."""
    model, _ = five_steps()
    model.compile("sgd", "mse")
    norms = model.gradient_norms(normal(4, 6, 6, 1), normal(4, 2))
    assert min(norms.values()) > 0 and next(iter(norms)).startswith("conv2d")


def test_001_31_spatial_invariance():
    """A spot that moves by a pixel within a pooling window leaves the pooled map as it was."""
    x = np.zeros((2, 6, 6, 1))
    x[0, 2, 2], x[1, 3, 3] = 1, 1
    pooled = ops.max_pool2d(x, 2)
    np.testing.assert_array_equal(pooled[0], pooled[1])


def test_001_32_the_last_layer_votes():
    """Softmax sums to 1 within 1e-6; the class is its largest."""
    model = models.Sequential([layers.Input((5,)), layers.Dense(7, activation="softmax")])
    y = model.predict(10 * normal(50, 5))
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(model.predict_classes(10 * normal(50, 5)), y.argmax(1))


def test_001_33_filters_are_learned():
    """`fit` changes the filters, and finds the slide's detector from examples of what it does."""
    random.seed(0)
    model = models.Sequential([layers.Input((7, 7, 1)), layers.Conv2D(1, 3, use_bias=False)])
    model.compile(optimizers.Adam(0.05), "mse")
    x = normal(64, 7, 7, 1)
    y = ops.conv2d(x, DETECTOR[:, :, None, None])
    start = model.get_weights()[0]
    model.fit(x, y, epochs=60, verbose=0)
    found = model.get_weights()[0]
    assert (found != start).all()
    np.testing.assert_allclose(found[:, :, 0, 0], DETECTOR, atol=1e-2)


def test_001_34_tuned_by_scikit_learn():
    """The wrapper goes through cross_val_score and GridSearchCV."""
    selection = pytest.importorskip("sklearn.model_selection", reason="the real one; pip install scikit-learn")
    from fastconv.sklearn import FastconvClassifier

    x = normal(90, 4)
    y = (x[:, 0] > 0).astype(int)
    one = FastconvClassifier(hidden_layer_sizes=(8,), learning_rate=0.05, epochs=8, random_state=0)
    assert selection.cross_val_score(one, x, y, cv=3).mean() > 0.85
    grid = selection.GridSearchCV(one, {"hidden_layer_sizes": [(2,), (8,)]}, cv=2).fit(x, y)
    assert grid.best_params_["hidden_layer_sizes"] in [(2,), (8,)] and grid.score(x, y) > 0.8


def test_001_34_improve_and_tune(example):
    """Dropout and early stopping improve a network; a grid finds hyper-parameters."""
    found = example("tune", epochs=4)
    assert len(found["validation"]) == 6 and found["best"] in found["validation"] and found["test_accuracy"] > 85
    model = models.Sequential([layers.Input((4,)), layers.Dropout(0.2), layers.Dense(1)])
    model.compile("sgd", "mse")
    stop = callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    history = model.fit(normal(8, 4), normal(8), epochs=50, callbacks=[stop], verbose=0)
    assert len(history.epoch) == 2
