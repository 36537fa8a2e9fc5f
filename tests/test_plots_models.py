"""Pictures of what a model has learned and looks at: their contents, read from the axes, and real files."""

import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="draws with the plots extra")

from matplotlib.colors import to_hex

from fastconv import attribution, layers, models, plots, random

X = np.random.default_rng(0).uniform(size=(5, 8, 7, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def cnn():
    random.seed(0)
    return models.Sequential(
        [
            layers.Input((8, 7, 1)),
            layers.Conv2D(6, 3, activation="relu", name="first"),
            layers.Conv2D(4, 3, name="last"),
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )


def drawn(figure):
    """The arrays of all images of a figure, in order."""
    return [image.get_array() for axes in figure.axes for image in axes.get_images()]


def check_file(path):
    data = path.read_bytes()
    if path.suffix == ".svg":
        assert ET.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
    else:
        assert data.startswith(b"\x89PNG\r\n\x1a\n") and min(struct.unpack(">II", data[16:24])) > 100


def test_every_picture_is_written(cnn, tmp_path):
    paths = [tmp_path / "picture.png", tmp_path / "picture.svg"]
    y, scores = np.arange(5) % 3, cnn.predict(X, verbose=0)
    square = np.array([[0.0, 0], [1, 1], [0, 1]])
    for i, draw in enumerate(
        (
            lambda path: plots.filters(cnn.get_layer("first"), path=path),
            lambda path: plots.feature_maps(cnn, X[0], path=path),
            lambda path: plots.saliency_map(cnn, X, path=path),
            lambda path: plots.grad_cam(cnn, X, path=path),
            lambda path: plots.misclassified(X, y, scores, path=path),
            lambda path: plots.misclassified(X, scores.argmax(1), scores, path=path),
            lambda path: plots.activation_functions(["relu", "tanh"], path=path),
            lambda path: plots.heat_map(X[0], path=path),
            lambda path: plots.decision_boundary(lambda p: p[:, :1], square, [0, 1, 1], steps=20, path=path),
            lambda path: plots.trajectory(lambda a, b: a * a + b * b, square, steps=20, path=path),
        )
    ):
        draw(paths[i % 2])
        check_file(paths[i % 2])
        paths[i % 2].unlink()


def test_filters_of_one_channel_are_each_a_picture_on_one_scale(cnn):
    kernel = cnn.get_layer("first").get_weights()[0]
    figure = plots.filters(cnn.get_layer("first"), columns=3)
    assert figure.get_suptitle() == "first: 3x3x1x6"
    np.testing.assert_array_equal(drawn(figure)[:6], np.moveaxis(kernel[:, :, 0], -1, 0))
    limits = {image.get_clim() for axes in figure.axes[:6] for image in axes.get_images()}
    assert limits == {(-np.abs(kernel).max(), np.abs(kernel).max())}


def test_filters_of_many_channels_have_a_row_each_and_three_channels_are_colours(cnn):
    kernel = cnn.get_layer("last").get_weights()[0]
    shown = drawn(plots.filters(kernel, limit=5))[: 4 * 5]
    np.testing.assert_array_equal(shown[7], kernel[:, :, 2, 1])  # the second filter's third channel
    colours = drawn(plots.filters(np.zeros((2, 2, 3, 4))))
    assert len(colours) == 4 and np.all(colours[0] == 0.5)


def test_feature_maps_are_the_layers_output(cnn):
    maps = cnn.activations(X[:1])
    figure = plots.feature_maps(cnn, X[0])
    assert figure.get_suptitle() == "first: 6x5x6"
    np.testing.assert_array_equal(drawn(figure)[:6], np.moveaxis(maps["first"][0], -1, 0))
    np.testing.assert_array_equal(drawn(plots.feature_maps(cnn, X[0], "last", limit=2))[1], maps["last"][0, ..., 1])


def test_saliency_and_grad_cam_stand_beside_their_images(cnn):
    shown = drawn(plots.saliency_map(cnn, X))
    np.testing.assert_array_equal(shown[::2], X[..., 0])
    np.testing.assert_allclose(shown[1::2], attribution.saliency(cnn, X))
    shown = drawn(plots.grad_cam(cnn, X, layer="last"))
    np.testing.assert_allclose(shown[2::3], attribution.grad_cam(cnn, X, layer="last"))


def test_the_boundary_lies_where_the_model_says():
    """XOR: each corner's region has its class's hue, and every sample is drawn once."""
    x, y = np.array([[0, 0], [1, 1], [0, 1], [1, 0]]), np.array([0, 0, 1, 1])
    figure = plots.decision_boundary(lambda p: ((p[:, :1] > 0.5) != (p[:, 1:] > 0.5)).astype(float), x, y, steps=51)
    (axes,) = figure.axes
    (image,) = axes.get_images()
    pixels = image.get_array()
    assert pixels.shape == (51, 51, 3)
    assert np.array_equal(pixels[5, 5], pixels[-5, -5]) and np.array_equal(pixels[5, -5], pixels[-5, 5])
    assert pixels[5, 5, 2] > pixels[5, 5, 0] and pixels[5, -5, 2] < pixels[5, -5, 0]  # blue is 0, orange 1
    scatters = [c for c in axes.collections if hasattr(c, "get_sizes") and len(c.get_offsets())]
    assert sum(len(c.get_offsets()) for c in scatters) == 4
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["0", "1"]


def test_boundaries_of_several_classes_and_of_signs():
    def far(points):
        return -np.abs(points[:, :1] - np.arange(3))

    def perceptron(points):
        return np.sign(points[:, :1] - 0.5)

    x = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert plots.decision_boundary(far, x, [0, 1, 2], steps=9).get_suptitle() == "3 of 3 right"
    assert plots.decision_boundary(far, x, [0, 1, 1], steps=9).get_suptitle() == "2 of 3 right"
    assert plots.decision_boundary(perceptron, x, [-1, 1, 1], steps=9).get_suptitle() == "3 of 3 right"


def test_activation_functions_show_the_value_and_the_slope():
    figure = plots.activation_functions(["relu", "linear"], low=-1, high=1)
    relu, linear = figure.axes[:2]
    value, slope = (line.get_ydata() for line in relu.get_lines()[-2:])
    x = relu.get_lines()[-1].get_xdata()
    np.testing.assert_array_equal(value, np.maximum(x, 0))
    np.testing.assert_array_equal(slope, x > 0)
    assert linear.get_title(loc="left") == "linear"
    for axes in plots.activation_functions().axes[:11]:  # slopes are slopes
        value, slope = (line.get_ydata() for line in axes.get_lines()[-2:])
        x = axes.get_lines()[-1].get_xdata()
        steps = np.diff(value) / np.diff(x)
        assert np.all(
            (steps >= np.minimum(slope[1:], slope[:-1]) - 0.06) & (steps <= np.maximum(slope[1:], slope[:-1]) + 0.06)
        )


def test_misclassified_shows_the_surest_mistakes_first():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    figure = plots.misclassified(X[:4], [0, 1, 1, 1], scores, class_names=["cat", "dog"], columns=2)
    assert figure.get_suptitle() == "2 of 4 wrong"
    np.testing.assert_array_equal(drawn(figure), X[[3, 1], ..., 0])
    assert [axes.get_title() for axes in figure.axes] == ["cat (is dog)"] * 2
    assert plots.misclassified(X[:4], [0, 0, 1, 0], scores).get_suptitle() == "0 of 4 wrong"
    assert len(drawn(plots.misclassified(X[:4], [1, 1, 0, 1], scores, limit=3))) == 3


def test_a_trajectory_ends_where_its_weights_do():
    ways = {"sgd": [[0, 0], [1, 1]], "adam": [[0, 0], [0.5, 1], [2, 2]]}
    (axes,) = plots.trajectory(lambda a, b: (a - 2) ** 2 + (b - 2) ** 2, ways, steps=10).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["sgd"] == ways["sgd"] and lines["adam"] == ways["adam"]
    assert len({to_hex(line.get_color()) for line in axes.get_lines()[:4]}) == 2


def test_a_heat_map_tells_its_numbers_and_signs():
    (axes, _) = plots.heat_map([[-1, -0.25], [0, 1]]).axes
    assert [text.get_text() for text in axes.texts] == ["-1", "-.25", "0", "1"]
    assert axes.get_images()[0].get_clim() == (-1, 1)
    assert not plots.heat_map(np.zeros((30, 30))).axes[0].texts


def test_text_images_need_no_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert plots.text_image(np.eye(2)) == "@@\n  @@"
    assert plots.text_image(np.zeros((1, 2, 1))) == ""


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m: plots.filters(m.get_layer("flat")), "filters"),
        (lambda m: plots.filters(np.zeros((3, 3))), "filters"),
        (lambda m: plots.feature_maps(m, X[0], "dense"), "maps"),
        (lambda m: plots.decision_boundary(m, np.zeros((3, 4)), [0, 1, 1]), "Choose two features"),
        (lambda m: plots.decision_boundary(lambda p: p, np.zeros((2, 2)), [0, 2]), "class numbers"),
        (lambda m: plots.decision_boundary(lambda p: p[:, :1], np.zeros((3, 2)), [0, 1, 2]), "2 labels"),
        (lambda m: plots.activation_functions(["softmax"]), "Softmax is none"),
        (lambda m: plots.activation_functions(low=1, high=1), "below high"),
        (lambda m: plots.heat_map(np.zeros(3)), "matrix"),
        (lambda m: plots.trajectory(lambda a, b: a, [[0, np.nan]]), "diverges"),
        (lambda m: plots.trajectory(lambda a, b: 0, [[0, 1]]), "value per point"),
        (lambda m: plots.misclassified(X, [0], np.ones((1, 2))), "x must have"),
        (lambda m: plots.misclassified(X, [0], np.ones((2, 2))), "row per class number"),
    ],
)
def test_what_cannot_be_drawn(cnn, call, words):
    with pytest.raises(ValueError, match=words):
        call(cnn)
