"""Pictures without matplotlib: the layout of graphs, and what stands in the SVG."""

import re
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import layers, models, utils, zoo
from fastconv.diagram import Shown, graph_svg, lines_svg
from fastconv.diagram.layers import place

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def graphs(draw):
    """Boxes of any size, and edges from lower to higher numbers."""
    count = draw(st.integers(1, 14))
    sizes = draw(st.lists(st.tuples(st.floats(20, 200), st.floats(20, 90)), min_size=count, max_size=count))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    return sizes, draw(st.lists(st.sampled_from(pairs), max_size=24)) if pairs else []


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_keep_apart_and_edges_lead_down_without_touching_others(graph):
    sizes, edges = graph
    placed = place(sizes, edges)
    assert placed == place(sizes, edges)
    boxes = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (w, h), (x, y) in zip(sizes, placed.centres, strict=True)]
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert left > -1e-6 and top > -1e-6 and right < placed.width + 1e-6 and bottom < placed.height + 1e-6
        for other in boxes[:i]:
            assert left > other[2] + 9 or other[0] > right + 9 or top > other[3] + 9 or other[1] > bottom + 9
    for (source, target), route in zip(edges, placed.routes, strict=True):
        heights = [y for _, y in route]
        assert heights == sorted(heights) and boxes[source][3] < boxes[target][1]
        assert heights[0] == pytest.approx(boxes[source][3]) and heights[-1] == pytest.approx(boxes[target][1])
        assert boxes[source][0] < route[0][0] < boxes[source][2] and boxes[target][0] < route[-1][0] < boxes[target][2]
        for x, y in route[1:-1]:
            assert not any(left - 1 < x < right + 1 and top <= y <= bottom for left, top, right, bottom in boxes)


def test_a_chain_is_straight_and_a_diamond_symmetric():
    chain = place([(100, 40), (60, 40), (80, 40)], [(0, 1), (1, 2)])
    assert {x for x, _ in chain.centres} == {50.0}
    diamond = place([(40, 40)] * 4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    (top, _), (left, _), (right, _), (end, _) = diamond.centres
    assert top == end == (left + right) / 2 and left < right


def test_edges_do_not_cross_where_they_need_not():
    """Two pairs, written crosswise."""
    placed = place([(40, 40)] * 4, [(0, 3), (1, 2)])
    x = [x for x, _ in placed.centres]
    assert (x[0] < x[1]) == (x[3] < x[2])


def siamese():
    tower = models.Sequential([layers.Input((6, 6, 3)), layers.Conv2D(4, 3), layers.Flatten()], name="tower")
    a, b = layers.Input((6, 6, 3), name="a"), layers.Input((6, 6, 3), name='<b> & "c"')
    y = layers.Concatenate(name="both")([tower(a), tower(b)])
    return models.Model([a, b], layers.Dense(2, activation="relu", name="head")(y), name="<&>\x01")


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_graph_has_a_box_per_call_and_an_arrow_per_tensor():
    svg = graph_svg(siamese())
    root = ET.fromstring(svg)
    words = texts(svg)
    assert words.count("tower (shared)") == 2 and words.count("Sequential") == 2
    assert '<b> & "c"' in words and "6 × 6 × 3" in words and "258 parameters" in words
    assert len(list(root.iter(f"{SVG}polygon"))) == 5
    dashed = [r for r in root.iter(f"{SVG}rect") if r.get("stroke-dasharray")]
    assert len(dashed) == 2
    assert "Dense head 2 258 parameters" in root.find(f"{SVG}desc").text


def test_models_inside_are_opened_on_demand():
    assert "Conv2D" not in texts(graph_svg(siamese()))
    opened = graph_svg(siamese(), Shown(expand_nested=True))
    assert texts(opened).count("Conv2D") == 2
    assert len(list(ET.fromstring(opened).iter(f"{SVG}polygon"))) == 5 + 2 * 2


@pytest.mark.parametrize(
    "switch, words",
    [
        ("show_shapes", "6 × 6 × 3"),
        ("show_dtype", "float32"),
        ("show_layer_names", "head"),
        ("show_layer_activations", "activation: relu"),
        ("show_trainable", "trainable"),
        ("show_params", "258 parameters"),
        ("expand_nested", "Flatten"),
    ],
)
def test_each_switch_of_plot_model_shows_one_thing(tmp_path, switch, words):
    shown = {}
    for value in (False, True):
        utils.plot_model(siamese(), tmp_path / "m.svg", **{switch: value})
        shown[value] = texts((tmp_path / "m.svg").read_text("utf-8"))
    assert words in shown[True] and words not in shown[False]


def test_sideways_is_the_same_graph_from_left_to_right(tmp_path):
    model = zoo.build("cnn", (8, 8, 1), 10)
    sizes = {}
    for rankdir in ("TB", "LR"):
        model.plot(tmp_path / "m.svg", rankdir=rankdir)
        root = ET.parse(tmp_path / "m.svg").getroot()
        sizes[rankdir] = int(root.get("width")), int(root.get("height"))
    assert sizes["TB"][0] < sizes["TB"][1] and sizes["LR"][0] > sizes["LR"][1]


def test_deep_networks_with_many_branches_are_drawn():
    svg = graph_svg(zoo.build("resnet20", (32, 32, 3), 10))
    assert texts(svg).count("Add") == 9


def test_what_has_no_graph(tmp_path):
    class Own(models.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="graph of 'own"):
        Own(name="own").plot(tmp_path / "m.svg")
    with pytest.raises(ValueError, match="Add layers"):
        utils.plot_model(models.Sequential([layers.Dense(2)]), tmp_path / "m.svg")
    with pytest.raises(ValueError, match=re.escape("*.svg")):
        siamese().plot(tmp_path / "m.png")
    with pytest.raises(ValueError, match="rankdir"):
        siamese().plot(tmp_path / "m.svg", rankdir="BT")
    with pytest.raises(TypeError, match="got int"):
        utils.plot_model(3, tmp_path / "m.svg")
    assert not list(tmp_path.iterdir())


def test_lines_break_at_what_is_not_finite_and_grow_logarithmic():
    root = ET.fromstring(lines_svg("<loss>", {"training": [100.0, np.nan, 1.0, 0.1], "validation": [50.0, 2.0]}))
    curves = [p.get("d") for p in root.iter(f"{SVG}path") if p.get("class", "").startswith("c ")]
    assert [d.count("M") for d in curves] == [3, 2]  # two parts and the legend's stroke; one part and its stroke
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", curves[0])][:3]
    assert heights[1] - heights[0] == pytest.approx(2 * (heights[2] - heights[1]), abs=0.2)  # two decades, one decade
    labels = [t.text for t in root.iter(f"{SVG}text")]
    assert labels[0] == "<loss>" and "validation 2" in labels and "epoch" in labels


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=40))
def test_any_values_make_a_picture(values):
    root = ET.fromstring(lines_svg("m", {"training": values}))
    for path in root.iter(f"{SVG}path"):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+(?:e[+-]\d+)?", path.get("d"))]
        assert all(-1 <= n <= 500 for n in numbers), path.get("d")


def test_pictures_need_no_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    siamese().plot(tmp_path / "m.svg")
    with pytest.raises(ValueError, match="one or two"):
        lines_svg("m", {})
