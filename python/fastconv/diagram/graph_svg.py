"""The graph of a model as SVG: boxes and arrows in light and dark, text that can be searched, nothing from outside."""

from __future__ import annotations

from typing import Any

from fastconv.diagram.boxes import Box, Drawing, Shown, drawing_of
from fastconv.diagram.layers import Placement, Point, place
from fastconv.diagram.text import xml_text

__all__ = ["graph_svg"]

# The strip at a box's side. Okabe and Ito's colours, which the colour-blind tell apart; the type stands beside it in words.
_COLOURS = {
    "input": "#999999",
    "weights": "#0072b2",
    "pooling": "#009e73",
    "normalization": "#cc79a7",
    "activation": "#e69f00",
    "merging": "#d55e00",
    "model": "#56b4e9",
    "other": "#8a7fd0",
}
_STYLE = (
    ".fc-g text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;fill:#3d4450}"
    ".fc-g .t{font-weight:600;font-size:13px;fill:#16191d}"
    ".fc-g .b{fill:#fff;stroke:#c3c9d1}.fc-g .i{fill:#f4f6f8}"
    ".fc-g .e{fill:none;stroke:#6b7480;stroke-width:1.3}.fc-g .h{fill:#6b7480}"
    "@media(prefers-color-scheme:dark){"
    ".fc-g text{fill:#c4ccd6}.fc-g .t{fill:#f2f4f7}.fc-g .b{fill:#22272e;stroke:#57606c}.fc-g .i{fill:#1b1f25}"
    ".fc-g .e{stroke:#9aa4b1}.fc-g .h{fill:#9aa4b1}}"
)
_PAD, _LINE, _STRIP = 12.0, 16.0, 5.0
_MARGIN, _HEAD = 10.0, 5.0


def graph_svg(model: Any, shown: Shown | None = None, rankdir: str = "TB") -> str:
    """The graph of ``model`` as the text of an SVG file.

    Args:
        model: a ``Sequential`` with an input shape, or ``Model(inputs, outputs)``.
        shown: what the boxes tell.
        rankdir: "TB" (inputs at the top) or "LR" (at the left).

    Raises:
        ValueError: for a model without a graph of layers.
    """
    drawing = drawing_of(model, Shown() if shown is None else shown)
    body, width, height = _draw(drawing, rankdir == "LR")
    width, height = width + 2 * _MARGIN, height + 2 * _MARGIN
    title = xml_text(f"Graph of the model {model.name}")
    words = xml_text("; ".join(" ".join((box.title, *box.lines)) for box in drawing.boxes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fc-g" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}"><title>{title}</title><desc>{words}</desc><style>{_STYLE}</style>'
        f'<g transform="translate({_MARGIN:g} {_MARGIN:g})">{body}</g></svg>\n'
    )


def _draw(drawing: Drawing, sideways: bool) -> tuple[str, float, float]:
    """The elements of a drawing that begins at (0, 0), and its extents."""
    insides = [None if box.inner is None else _draw(box.inner, sideways) for box in drawing.boxes]
    sizes = [_size(box, inside) for box, inside in zip(drawing.boxes, insides, strict=True)]
    placed = place([(h, w) for w, h in sizes] if sideways else sizes, drawing.edges)
    if sideways:
        placed = _turned(placed)
    parts = [_edge(route, sideways) for route in placed.routes]
    for box, inside, (width, height), (x, y) in zip(drawing.boxes, insides, sizes, placed.centres, strict=True):
        at = f"translate({x - width / 2:.1f} {y - height / 2:.1f})"
        parts.append(f'<g transform="{at}">{_box(box, inside, width, height)}</g>')
    return "".join(parts), placed.width, placed.height


def _turned(placed: Placement) -> Placement:
    """With what leads downwards leading to the right."""
    routes = [[(y, x) for x, y in route] for route in placed.routes]
    return Placement([(y, x) for x, y in placed.centres], routes, placed.height, placed.width)


def _text_width(text: str, pixels: float) -> float:
    """A little more than the text takes: nothing here knows the font. Beyond Latin letters, a full square each."""
    return sum((0.58 if ord(c) < 0x250 or c == "×" else 1.0) * pixels for c in text)


def _size(box: Box, inside: tuple[str, float, float] | None) -> tuple[float, float]:
    width = max([_text_width(box.title, 14), *(_text_width(line, 12) for line in box.lines)]) + 2 * _PAD + _STRIP
    height = 2 * _PAD + _LINE * (1 + len(box.lines)) - 4
    if inside is not None:
        width, height = max(width, inside[1] + 2 * _PAD + _STRIP), height + inside[2] + _PAD
    return width, height


def _box(box: Box, inside: tuple[str, float, float] | None, width: float, height: float) -> str:
    dashes = ' stroke-dasharray="5 3"' if box.shared else ""
    kind = "b i" if inside else "b"
    parts = [
        f'<rect class="{kind}" width="{width:.1f}" height="{height:.1f}" rx="5"{dashes}/>',
        f'<rect width="{_STRIP:g}" height="{height:.1f}" rx="2" fill="{_COLOURS[box.kind]}"/>',
    ]
    for i, line in enumerate((box.title, *box.lines)):
        style = ' class="t"' if i == 0 else ""
        parts.append(f'<text x="{_PAD + _STRIP:g}" y="{_PAD + 10 + _LINE * i:g}"{style}>{xml_text(line)}</text>')
    if inside is not None:
        body, inner_width, inner_height = inside
        left, top = _STRIP + (width - _STRIP - inner_width) / 2, height - inner_height - _PAD
        parts.append(f'<g transform="translate({left:.1f} {top:.1f})">{body}</g>')
    return "".join(parts)


def _edge(route: list[Point], sideways: bool) -> str:
    """A curve along the route that leaves and arrives at right angles, with a head."""
    (x, y), (end_x, end_y) = route[0], route[-1]
    end = (end_x - _HEAD, end_y) if sideways else (end_x, end_y - _HEAD)
    path = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in [*route[1:-1], end]:
        if sideways:
            middle = (x + to_x) / 2
            path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    back, side = _HEAD + 2, 3.5
    corners = [(end_x, end_y), (end_x - side, end_y - back), (end_x + side, end_y - back)]
    if sideways:
        corners = [(end_x, end_y), (end_x - back, end_y - side), (end_x - back, end_y + side)]
    head = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return f'<path class="e" d="{"".join(path)}"/><polygon class="h" points="{head}"/>'
