"""Pictures: right contents, real files, no global state of matplotlib."""

import struct
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="draws with the plots extra")

from fastconv import plots
from fastconv.callbacks import History

HISTORY = {"accuracy": [0.5, 0.8], "loss": [1.0, 0.4], "val_accuracy": [0.4, 0.7], "val_loss": [1.1, 0.6]}


def png_size(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def lines_of(axes):
    return {line.get_label().split(" ")[0]: line.get_ydata().tolist() for line in axes.get_lines()}


def test_learning_curve_has_a_panel_per_measure_with_both_curves(tmp_path):
    path = tmp_path / "curve.png"
    figure = plots.learning_curve(HISTORY, path)
    panels = {axes.get_title(loc="left"): lines_of(axes) for axes in figure.axes}
    assert list(panels) == ["loss", "accuracy"]
    assert panels["loss"] == {"training": [1.0, 0.4], "validation": [1.1, 0.6]}
    assert panels["accuracy"] == {"training": [0.5, 0.8], "validation": [0.4, 0.7]}
    width, height = png_size(path)
    assert width > 2 * height > 600


def test_learning_curve_fills_the_gap_between_training_and_validation():
    axes = plots.learning_curve({**HISTORY, "lr": [0.1, 0.01]}).axes
    assert [len(a.collections) for a in axes] == [1, 1, 0]
    (corners,) = {tuple(map(tuple, path.vertices.tolist())) for path in axes[0].collections[0].get_paths()}
    assert {(1, 1.0), (2, 0.4), (1, 1.1), (2, 0.6)} <= set(corners)


def test_learning_curve_takes_what_fit_returns():
    history = History()
    history.history = {"loss": [3.0]}
    (axes,) = plots.learning_curve(history).axes
    assert lines_of(axes) == {"training": [3.0]}


def test_a_loss_that_spans_decades_is_logarithmic():
    (axes,) = plots.learning_curve({"loss": [10.0, 1.0, 0.01]}).axes
    assert axes.get_yscale() == "log"


def test_confusion_matrix_shows_counts_and_accuracy(tmp_path):
    path = tmp_path / "matrix.png"
    figure = plots.confusion_matrix([[8, 2], [0, 10]], ["cat", "dog"], path)
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["10", "2", "8"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert figure.get_suptitle() == "18 of 20 right: accuracy 90.00%"
    assert min(png_size(path)) > 400


def test_confusion_matrix_of_many_classes_stays_readable():
    axes = plots.confusion_matrix(np.eye(100, dtype=int)).axes[0]
    assert not axes.texts and len(axes.get_xticklabels()) <= 50


def test_confusion_matrix_without_any_sample():
    assert plots.confusion_matrix(np.zeros((2, 2), int)).get_suptitle() == ""


def test_image_grid_marks_what_is_wrong():
    x = np.arange(3 * 4 * 4).reshape(3, 4, 4, 1)
    figure = plots.image_grid(x, [0, 1, 1], [0, 1, 0], class_names=["cat", "dog"], columns=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cat", "dog", "cat (is dog)", ""]
    colours = {axes.title.get_color() for axes in figure.axes[:2]}
    assert len(colours) == 1 and figure.axes[2].title.get_color() not in colours


def test_long_names_of_classes_take_two_lines():
    figure = plots.image_grid(np.zeros((2, 4, 4)), [0, 1], [1, 1], class_names=["automobile", "airplane"])
    assert [axes.get_title() for axes in figure.axes] == ["airplane\n(is automobile)", "airplane"]


@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 5, 6, 1), (2, 5, 6, 3)])
def test_image_grid_takes_grey_and_colour(shape, tmp_path):
    plots.image_grid(np.zeros(shape, np.uint8), path=tmp_path / "grid.png")
    png_size(tmp_path / "grid.png")


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: plots.learning_curve({}), ValueError, "Train first"),
        (lambda: plots.learning_curve([1, 2]), TypeError, "got list"),
        (lambda: plots.confusion_matrix(np.zeros((2, 3))), ValueError, "square"),
        (lambda: plots.confusion_matrix(np.zeros((2, 2)), ["a"]), ValueError, "got 1"),
        (lambda: plots.image_grid(np.zeros((2, 5))), ValueError, "got x.shape=\\(2, 5\\)"),
        (lambda: plots.image_grid(np.zeros((0, 5, 5))), ValueError, "N >= 1"),
        (lambda: plots.image_grid(np.zeros((2, 5, 5)), [1]), ValueError, "y must have"),
    ],
)
def test_what_cannot_be_drawn(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="fastconv\\[plots\\]"):
        plots.learning_curve(HISTORY)


def test_pyplot_is_never_touched(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it would raise
    plots.learning_curve(HISTORY)
    plots.confusion_matrix(np.eye(2))
    plots.image_grid(np.zeros((1, 4, 4)))
