"""What summary() prints, and what notebooks show of models, histories and data sets."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from fastconv import datasets, explain, layers, models, zoo
from fastconv.callbacks import History


def text_of(model, **keywords):
    texts = []
    model.summary(print_fn=texts.append, **keywords)
    (text,) = texts
    return text


def rows_of(text):
    """The lines between the second and the third rule, cell by cell."""
    parts = re.split(r"^[- ]+$", text, flags=re.MULTILINE)
    return [re.split(r" {2,}", line) for line in parts[2].splitlines() if line]


def lenet():
    """LeNet-5's shapes: 156 + 2,416 + 48,120 + 10,164 + 850 parameters."""
    return models.Sequential(
        [
            layers.Input((32, 32, 1)),
            layers.Conv2D(6, 5, name="c1"),
            layers.AveragePooling2D(name="s2"),
            layers.Conv2D(16, 5, name="c3"),
            layers.AveragePooling2D(name="s4"),
            layers.Flatten(name="flat"),
            layers.Dense(120, name="f5"),
            layers.Dense(84, name="f6"),
            layers.Dense(10, name="out"),
        ],
        name="lenet",
    )


def test_a_row_per_layer_with_shape_parameters_and_operations():
    text = text_of(lenet())
    rows = {row[0]: row[1:] for row in rows_of(text)}
    assert rows["c1 (Conv2D)"][:2] == ["(None, 28, 28, 6)", "156"]
    assert rows["f5 (Dense)"][:2] == ["(None, 120)", "48,120"]
    assert rows["flat (Flatten)"] == ["(None, 400)", "0", "0"]
    # two for each multiply-add: 28 * 28 * 6 outputs of 5 * 5 products; 400 * 120
    assert int(rows["c1 (Conv2D)"][2].replace(",", "")) == pytest.approx(2 * 28 * 28 * 6 * 25, rel=0.03)
    assert int(rows["f5 (Dense)"][2].replace(",", "")) == pytest.approx(2 * 400 * 120, rel=0.01)
    assert "Total params: 61,706 (241.0 KiB), weights 61,470, biases 236" in text
    total = sum(int(row[2].replace(",", "")) for row in rows.values())
    assert f"Operations for a sample: {total:,} FLOP" in text


def branched():
    inner = models.Sequential([layers.Input((4,)), layers.Dense(3, name="deep")], name="inner")
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    frozen = layers.Dense(2, name="head", trainable=False)
    return models.Model([a, b], frozen(layers.Add(name="sum")([inner(a), inner(b)])), name="branched")


def test_branches_say_what_they_are_connected_to():
    rows = {row[0]: row[1:] for row in rows_of(text_of(branched()))}
    assert rows["sum (Add)"][-1] == "inner, inner" and rows["inner (Sequential)"][-1] == "a, b"
    assert rows["a (InputLayer)"][-1] == "-"
    assert "Connected to" not in text_of(lenet())
    assert int(rows["inner (Sequential)"][2]) >= 2 * 2 * 4 * 3  # both calls


def test_keras_arguments_of_summary():
    text = text_of(branched(), expand_nested=True, show_trainable=True)
    rows = {row[0] or row[1]: row for row in rows_of(text)}
    assert "\n  deep (Dense)" in text and "deep (Dense)" not in text_of(branched())
    assert rows["head (Dense)"][-1] == "no" and rows["sum (Add)"][-1] == "-" and rows["inner (Sequential)"][-1] == "yes"
    assert [row[0] for row in rows_of(text_of(lenet(), layer_range=("c3", "f.*")))] == [
        *("c3 (Conv2D)", "s4 (AveragePooling2D)", "flat (Flatten)", "f5 (Dense)", "f6 (Dense)")
    ]
    narrow = text_of(lenet(), line_length=48).split("Total params")[0]
    assert max(map(len, narrow.splitlines())) <= 48 and "(None, 28, 28,  " in narrow
    for keywords, words in (
        ({"positions": [0.5, 1]}, "line_length"),
        ({"layer_range": "c1"}, "two layers"),
        ({"layer_range": ("x", "y")}, "must name layers"),
    ):
        with pytest.raises(ValueError, match=words):
            text_of(lenet(), **keywords)


def test_summary_prints_by_default(capsys):
    lenet().summary()
    assert capsys.readouterr().out.startswith('Model: "lenet"\n')


def well_formed(html):
    """The HTML as XML, which ours is; no scripts, nothing from elsewhere."""
    root = ET.fromstring(html.replace("<br>", "<br/>"))
    assert not any(e.tag.endswith("script") for e in root.iter())
    assert not any(name.startswith("on") or name in ("src", "href") for e in root.iter() for name in e.attrib)
    return root


def test_a_notebook_shows_models():
    model = models.Sequential([layers.Input((2,)), layers.Dense(3, name="<i>")], name="<script>")
    root = well_formed(model._repr_html_())
    cells = [cell.text for cell in root.iter("td")]
    assert cells[:3] == ["<i> (Dense)", "(None, 3)", "9"]
    assert root.find("table/caption").text == "Sequential <script>"
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polygon"))) == 1
    model.compile("sgd", "mse")
    assert "training step" in model._repr_html_()
    assert "<svg" not in models.Sequential([layers.Dense(2)])._repr_html_()
    well_formed(zoo.build("cnn", (8, 8, 1), 10)._repr_html_())


def test_a_notebook_shows_histories():
    history = History()
    assert "no epoch" in history._repr_html_()
    history.history = {
        "accuracy": [0.5, np.float32(0.8)],
        "loss": [1.0, np.nan],
        "val_loss": [2.0, 1.0],
        "kernel": [np.eye(2)],
        "none": [],
    }
    root = well_formed(history._repr_html_())
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text") if e.get("class") == "t"]
    assert titles == ["loss", "accuracy"]


def test_a_notebook_shows_data_sets_and_explanations():
    data = datasets.Dataset(np.zeros((10, 3, 2), np.uint8), np.zeros(10, int))
    root = well_formed(data.shuffle(0).batch(4).map(lambda x, y: (x, y)).prefetch(2)._repr_html_())
    assert [cell.text for cell in root.iter("td")][:3] == ["x", "10 × 3 × 2", "uint8"]
    assert root.find("caption").text == "3 elements, batches of 4, shuffled, 1 mapped, 2 prefetched"
    model = models.Sequential([layers.Input((2,)), layers.Dense(3)])
    well_formed(f"<div>{explain(model, 1, training=False)._repr_html_()}</div>")
