"""The HTML report: one file that loads nothing, is well formed, and says what is true."""

import base64
import importlib.util
import io
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fastconv import _png, layers, models, random, report
from fastconv.cli import main
from fastconv.metrics import confusion_matrix
from fastconv.report.scores import _shade, per_class_table

VOID = {"meta", "img", "link", "br", "input", "hr"}
LOADS = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href", "formaction"}


class Page(HTMLParser):
    """Reads a page, and refuses what is not closed, not described, or would load something."""

    def __init__(self, path):
        super().__init__()
        self.open, self.ids, self.links, self.images, self.words = [], [], [], [], []
        text = Path(path).read_text("utf-8")
        self.feed(text)
        self.close()
        assert self.open == [] and text.startswith("<!DOCTYPE html>")
        assert len(set(self.ids)) == len(self.ids) and set(self.links) <= set(self.ids)
        assert not re.search(r"@import|url\(|expression\(", text)

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form"), tag
        given = dict(attrs)
        assert not any(name.startswith("on") for name in given), given
        for name in LOADS & set(given):
            assert given[name].startswith(("#", "data:image/png;base64,")), given[name]
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"].removeprefix("#"))
        if tag == "img":
            assert given["alt"]
            self.images.append(given)
        if given.get("class") == "wide":  # what scrolls must be reached by the keyboard, and have a name (axe-core)
            assert given["tabindex"] == "0" and given["role"] == "group" and given["aria-label"]
        if tag == "svg":
            assert given["role"] == "img"
        if tag == "html":
            assert given["lang"] == "en"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data.strip())


@pytest.fixture(scope="module")
def trained():
    """A classifier of three classes with hostile names, data for it, and what it predicts."""
    random.seed(0)
    x = np.random.default_rng(0).uniform(size=(40, 5, 4)).astype(np.float32)
    y = np.arange(40) % 3
    model = models.Sequential(
        [layers.Input((5, 4)), layers.Flatten(name="<b>"), layers.Dense(3, activation="softmax")], name="m"
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, model.fit(x, y, epochs=2, validation_split=0.2, verbose=0), x, y, model.predict(x, verbose=0)


NAMES = ["cat", "<script>alert(1)</script>", '"&']


def test_a_report_says_what_is_true_and_loads_nothing(trained, tmp_path):
    model, history, x, y, scores = trained
    path = tmp_path / "r.html"
    settings = {"learning_rate": None, "dataset": "</td><img src=x>"}
    report.write(
        path,
        model,
        history,
        (x, y),
        train_data=(x, y),
        class_names=NAMES,
        settings=settings,
        images_per_second=1234.4,
        title="<t>",
    )
    page = Page(path)
    matrix = confusion_matrix(y, scores.argmax(1), 3)
    wrong = int((scores.argmax(1) != y).sum())
    assert f"{100 * np.trace(matrix) / 40:.2f} %" in page.words and "1,234" in page.words and "63" in page.words
    assert len(page.images) == min(wrong, 24) and f"{history.history['val_loss'][-1]:.4g}" in page.words
    for words in ("<b> (Flatten)", "</td><img src=x>", "default", *NAMES, "5 × 4", "float32"):
        assert words in page.words, words
    start = page.words.index("Rows: true class. Columns: predicted class. Darker: a larger share of the row.")
    cells = [int(word) for word in page.words[start:] if re.fullmatch(r"\d+", word)][:9]
    assert cells == matrix.reshape(-1).tolist()
    assert page.links == ["confusion", "classes", "mistakes", "curves", "model", "data", "settings", "machine"]


def test_numbers_of_classes_are_those_of_their_formulas(trained):
    """Checked by hand: class a has 2 of 4 found, and 2 of 3 that are called so."""
    html = per_class_table(np.array([[2, 2, 0], [1, 5, 0], [0, 0, 0]]), ["a", "b", "c"])
    rows = [re.findall(r"<td[^>]*>([^<]*)", row) for row in html.split("<tr>")[2:]]
    assert rows[0] == ["a", "4", "66.7 %", "50.0 %", "57.1 %"]
    assert rows[1] == ["b", "6", "71.4 %", "83.3 %", "76.9 %"]
    assert rows[2] == ["c", "0", "0.0 %", "0.0 %", "0.0 %"]
    assert rows[3] == ["mean of classes", "10", "46.0 %", "44.4 %", "44.7 %"]


def test_what_is_not_given_is_left_out(trained, tmp_path):
    model, *_ = trained
    report.write(tmp_path / "r.html", model)
    assert Page(tmp_path / "r.html").links == ["model", "machine"]


def test_many_classes_are_a_picture_and_the_worst_pairs(tmp_path):
    model = models.Sequential([layers.Input((30,)), layers.Activation("softmax")])
    x = np.eye(30, dtype=np.float32)
    report.write(tmp_path / "r.html", model, test_data=(x, (np.arange(30) + 1) // 2))
    page = Page(tmp_path / "r.html")
    assert "Confusion matrix of 30 classes" in page.images[0]["alt"] and "predicted class" in page.words


def test_two_classes_and_one_output(tmp_path):
    model = models.Sequential([layers.Input((2, 2, 3)), layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(0).uniform(size=(6, 2, 2, 3))
    y = (model.predict(x, verbose=0)[:, 0] <= 0.5).astype(int)  # all wrong
    report.write(tmp_path / "r.html", model, test_data=(x, y))
    page = Page(tmp_path / "r.html")
    assert "0.00 %" in page.words and len(page.images) == 6


def test_pictures_are_png_of_the_right_pixels():
    image = pytest.importorskip("PIL.Image", reason="decodes PNG")
    rng = np.random.default_rng(0)
    for shape in ((3, 5), (4, 2, 3)):
        pixels = rng.integers(0, 256, shape).astype(np.uint8)
        data = base64.b64decode(_png.data_uri(pixels).removeprefix("data:image/png;base64,"))
        np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(data))), pixels)
    np.testing.assert_array_equal(_png.as_pixels(np.array([[[[-1.0]], [[1.0]]]])), [[[0], [255]]])
    np.testing.assert_array_equal(_png.as_pixels(np.array([[[[0.0, 0.5, 1.0]]]])), [[[[0, 128, 255]]]])
    np.testing.assert_array_equal(_png.as_pixels(np.array([[[[0, 128, 255]]]], np.float32)), [[[[0, 128, 255]]]])


def luminance(red, green, blue):
    """WCAG 2.1's relative luminance."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red / 255, green / 255, blue / 255)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_numbers_on_every_shade_can_be_read():
    """WCAG 2.1, 1.4.3: a contrast of 4.5 at least."""
    for share in np.linspace(0, 1, 101):
        style = _shade(share)
        paper = luminance(*map(int, re.search(r"rgb\((\d+),(\d+),(\d+)\)", style).groups()))
        ink = luminance(255, 255, 255) if "#fff" in style else 0.0
        contrast = (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05)
        assert contrast >= 4.5, (share, contrast)


def test_what_cannot_be_reported(trained, tmp_path):
    model, _, x, y, _ = trained
    path = tmp_path / "r.html"
    for error, words, call in (
        (TypeError, "history must be", lambda: report.write(path, model, [1])),
        (ValueError, "class_names must", lambda: report.write(path, model, test_data=(x, y), class_names=["a"])),
        (ValueError, "y_true", lambda: report.write(path, model, test_data=(x, y + 5))),
    ):
        with pytest.raises(error, match=words):
            call()
    assert not path.exists()


def test_the_commands_write_reports_without_matplotlib(small_set, capsys, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    common = ["--dataset", small_set, "--model", "mlp", "--epochs", "2", "--output", "run"]
    assert main(["train", *common, "--report"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = Page("run/report.html")
    assert "mlp on small" in page.words and {"mistakes", "curves", "data", "settings"} <= set(page.links)
    assert main(["evaluate", "run/model.safetensors", "--report", "e.html"]) == 0
    assert "model.safetensors on small" in Page("e.html").words


@pytest.mark.nightly
def test_chromium_opens_it_without_a_word(trained, tmp_path):
    """The browser's console stays empty: no error, and nothing that the page's own policy had to stop."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    model, history, x, y, _ = trained
    report.write(tmp_path / "r.html", model, history, (x, y))
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    switches += ["--enable-logging=stderr", f"--user-data-dir={tmp_path}/profile", f"--screenshot={tmp_path}/r.png"]

    def console(page):
        result = subprocess.run([chromium, *switches, f"file://{page}"], capture_output=True, text=True, timeout=120)
        return [line for line in result.stderr.splitlines() if "CONSOLE" in line]

    assert console(tmp_path / "r.html") == [] and os.path.getsize(tmp_path / "r.png") > 10_000
    bad = (tmp_path / "r.html").read_text("utf-8").replace("</main>", '<img src="https://localhost/x.png"></main>')
    (tmp_path / "bad.html").write_text(bad, "utf-8")
    assert console(tmp_path / "bad.html")
