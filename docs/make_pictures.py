"""Draws the pictures of docs/tutorials into docs/tutorials/pictures.

    python docs/make_pictures.py                    all of them
    python docs/make_pictures.py --only digits      those of one page
    python docs/make_pictures.py --only iris.png    one

Most are drawn by the Python of the page that shows them, as readers would: the page is run from top to bottom in an empty folder. The
others belong to pages whose code is a program in examples/, and have a function here. Seeds are fixed, so that the same machine
draws the same pictures. MNIST and Iris are looked for in FASTCONV_DATA. Needs matplotlib and Pillow.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from fastconv import datasets, layers, models, optimizers, plots, random

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/tutorials"
PICTURES = PAGES / "pictures"
COLOURS = 128  # of a PNG's palette: enough for anything drawn here, and a third of the bytes
sys.path.insert(0, str(ROOT / "examples"))

INK, BLUE, ORANGE, PALE = "#2b2f36", "#2563a8", "#e07b28", "#c9ced6"


def pictures_of(page: Path) -> list[str]:
    """The names of the pictures that a page shows."""
    return re.findall(r"!\[[^\]]*\]\(pictures/([^)]+)\)", page.read_text("utf-8"))


def run_page(page: Path) -> None:
    """Its blocks of Python, in the folder of the day."""
    names: dict[str, object] = {}
    for code in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(code, page.name, "exec"), names)


def logistic(path: str) -> None:
    """The curve of one neuron over one length of the flowers."""
    import iris

    x, y = iris.load()
    width, virginica = x[y > 0][:, 3:], y[y > 0] - 1
    random.seed(0)
    model = models.Sequential([layers.Input((1,)), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizers.Adam(0.2), "binary_crossentropy")
    model.fit(width, virginica, batch_size=len(width), epochs=500, verbose=0)
    axis = np.linspace(0.8, 2.7, 200)[:, None]
    picture = Figure(figsize=(6, 3.2), dpi=120, layout="constrained")
    axes = picture.subplots()
    aside = np.random.default_rng(0).uniform(-0.02, 0.02, len(width))  # flowers of one width stay apart
    axes.scatter(width[:, 0], virginica + aside, s=18, color=np.where(virginica == 1, ORANGE, BLUE), alpha=0.7)
    axes.plot(axis, model.predict(axis, verbose=0), color=INK, lw=2)
    axes.axhline(0.5, color=PALE, lw=1)
    axes.set(xlabel="petal width, cm", ylabel="probability of virginica")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(path)


def iris_regions(path: str) -> None:
    """The species by two of the four lengths, which a plane can show."""
    import iris

    x, y = iris.load()
    random.seed(0)
    network = [layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]
    scaling = layers.Normalization()
    scaling.adapt(x[:, 2:])
    model = models.Sequential([layers.Input((2,)), scaling, *network])
    model.compile(optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(x[:, 2:], y, batch_size=16, epochs=100, verbose=0)
    names = {"class_names": ("setosa", "versicolor", "virginica"), "feature_names": ("petal length", "petal width")}
    plots.decision_boundary(model, x[:, 2:], y, path=path, **names)


def mnist_mistakes(path: str) -> None:
    """What two layers of 512 get wrong after three epochs of a third of the digits."""
    random.seed(0)
    (x, y), (x_test, y_test) = datasets.mnist.load_data()
    hidden = [layers.Dense(512, activation="relu"), layers.Dense(512, activation="relu")]
    model = models.Sequential(
        [layers.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten(), *hidden, layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:20000], y[:20000], batch_size=128, epochs=3, verbose=0)
    plots.misclassified(x_test, y_test, model.predict(x_test, verbose=0), limit=16, path=path)


def guessing(path: str) -> None:
    """Accuracies of examples/results beside those of the best answer that never looks."""

    def result(name: str, *measure: str) -> float:
        found = json.loads((ROOT / f"examples/results/{name}.json").read_text("utf-8"))["results"]
        for key in measure:
            found = found[key]
        return found

    rows = {
        "an 8 or not": (result("eight_or_not", "test_accuracy"), result("eight_or_not", "always_not_eight")),
        "MNIST, dense": (result("mnist_dense", "test_accuracy"), 11.35),  # 1,135 of the 10,000 are ones
        "CIFAR-10": (result("cifar10_cnn", "test_accuracy"), 10.0),
        "cats and dogs": (result("cats_dogs", "fine_tuned", "accuracy"), result("cats_dogs", "always_dog")),
    }
    picture = Figure(figsize=(6.4, 2.8), dpi=120, layout="constrained")
    axes = picture.subplots()
    for row, values in enumerate(rows.values()):
        for value, shift, colour in zip(values, (-0.19, 0.19), (BLUE, PALE), strict=True):
            axes.barh(row + shift, value, 0.36, color=colour)
            axes.text(value + 1, row + shift, f"{value:.1f} %", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlim=(0, 112), xlabel="test accuracy, % (grey: one answer for all)")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(path)


def odd_mistakes(path: str) -> None:
    """What a body that knows the digits gets wrong of odd and even, after ten answered pictures of each digit."""
    import transfer

    (x, y), (x_test, y_test) = datasets.digits.load_data()
    random.seed(0)
    transfer.learned(x, y, "body.safetensors")
    few = transfer.some_of_each(y, 10, np.random.default_rng(0))
    known = transfer.body()
    known.load_weights("body.safetensors")
    model = transfer.under(known, 2)
    transfer.fit(model, x[few], y[few] % 2, rate=0.0005)
    scores = model.predict(x_test, verbose=0)
    plots.misclassified(x_test, y_test % 2, scores, class_names=["even", "odd"], limit=8, path=path)


def reading(path: str) -> None:
    """What the recurrent network thinks after each row of a digit."""
    import digits_rnn

    random.seed(0)
    (x, y), (x_test, y_test) = datasets.digits.load_data()
    model = digits_rnn.network(layers.GRU(48))
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=32, epochs=25, verbose=0)
    steps = layers.GRU(48, return_sequences=True)
    opinions = models.Sequential(
        [layers.Input((8, 8)), layers.Rescaling(1 / 16), steps, layers.Dense(10, activation="softmax")]
    )
    opinions.set_weights(model.get_weights())  # the last layer asks the state after every row
    shown = np.flatnonzero(y_test == 5)[1]
    picture = Figure(figsize=(7.2, 3), dpi=120, layout="constrained")
    left, right = picture.subplots(1, 2, width_ratios=(1, 1.5))
    left.imshow(x_test[shown], cmap="gray")
    left.set_axis_off()
    image = right.imshow(opinions.predict(x_test[shown : shown + 1], verbose=0)[0], cmap="viridis", vmin=0, vmax=1)
    right.set_xticks(range(10))
    right.set_yticks(range(8), range(1, 9))
    right.set(xlabel="probability of the digit", ylabel="rows read")
    picture.colorbar(image, ax=right)
    picture.savefig(path)


def colours(path: str) -> None:
    """Grey, painted, true, for eight shapes that the network has not seen."""
    import colorize

    random.seed(0)
    rng = np.random.default_rng(0)
    x, y, _ = colorize.draw(1500, rng)
    x_test, y_test, _ = colorize.draw(8, rng)
    model = colorize.network()
    model.compile("adam", "mean_squared_error")
    model.fit(x, y, batch_size=32, epochs=8, verbose=0)

    def rgb(chroma: np.ndarray) -> np.ndarray:
        blue, red = x_test[..., 0] + chroma[..., 0], x_test[..., 0] + chroma[..., 1]
        share = colorize.TO_LUMA
        green = (x_test[..., 0] - share[0] * red - share[2] * blue) / share[1]
        return np.stack([red, green, blue], axis=-1).clip(0, 1)

    rows = [rgb(np.zeros_like(y_test)), rgb(model.predict(x_test, verbose=0)), rgb(y_test)]
    plots.image_grid(np.concatenate(rows), columns=8, path=path)


DRAWN: dict[str, Callable[[str], None]] = {
    "logistic.png": logistic,
    "iris.png": iris_regions,
    "mnist_mistakes.png": mnist_mistakes,
    "guessing.png": guessing,
    "odd_mistakes.png": odd_mistakes,
    "reading.png": reading,
    "colorize.png": colours,
}


def keep(name: str) -> None:
    """A picture of the current folder goes to its place; a PNG with a palette."""
    PICTURES.mkdir(exist_ok=True)
    if name.endswith(".png"):
        with Image.open(name) as drawn:
            drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)
    else:
        shutil.copy(name, PICTURES / name)
    print(f"{(PICTURES / name).stat().st_size:7,} bytes  {name}")


def draw(page: Path, wanted: list[str]) -> None:
    """These pictures of a page."""
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            if set(wanted) - set(DRAWN):
                run_page(page)
            for name in wanted:
                if name in DRAWN:
                    DRAWN[name](name)
                keep(name)
        finally:
            os.chdir(here)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", help="a page (digits) or a picture (iris.png)")
    only = parser.parse_args().only
    found = {page: pictures_of(page) for page in sorted(PAGES.glob("*.md"))}
    if only:
        found = {page: [n for n in names if only in (page.stem, n)] for page, names in found.items()}
    if not any(found.values()):
        parser.error(f"NAME must be a page of docs/tutorials or a picture that one shows: got {only!r}.")
    for page, names in found.items():
        if names:
            draw(page, names)


if __name__ == "__main__":
    main()
