"""Lines over epochs as SVG: small enough for a notebook, readable in light and dark, without matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from fastconv.diagram.text import xml_text

__all__ = ["history_svgs", "lines_svg", "numbers_of"]

_STYLE = (
    ".fc-l text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:11px;fill:#3d4450}"
    ".fc-l .t{font-weight:600;font-size:13px;fill:#16191d}.fc-l .g{stroke:#d8dde3}.fc-l .c{fill:none;stroke-width:2}"
    ".fc-l .c0{stroke:#0072b2}.fc-l .c1{stroke:#d55e00;stroke-dasharray:6 3}"
    "@media(prefers-color-scheme:dark){.fc-l text{fill:#c4ccd6}.fc-l .t{fill:#f2f4f7}.fc-l .g{stroke:#424a55}"
    ".fc-l .c0{stroke:#56b4e9}.fc-l .c1{stroke:#f0a060}}"
)
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 40.0, 34.0


def lines_svg(
    title: str, lines: Mapping[str, Sequence[float]], *, width: int = 380, height: int = 230, x_label: str = "epoch"
) -> str:
    """One or two lines of values over 1, 2, 3, ….

    Args:
        title: above the lines.
        lines: values by name; those that are not finite are left out, and the line is broken there.
        width, height: of the picture.
        x_label: what is counted along the x axis.

    Returns:
        The text of an ``svg`` element; a logarithmic y axis where positive values span more than a factor of ten.

    Raises:
        ValueError: for no line, or more than two.
    """
    if not 1 <= len(lines) <= 2:
        raise ValueError(f"[lines_svg] lines must be one or two, got {len(lines)}. Draw several pictures.")
    known = [v for values in lines.values() for v in values if math.isfinite(v)]
    count = max(map(len, lines.values()))
    log = bool(known) and min(known) > 0 and max(known) > 10 * min(known)
    ticks = _ticks([math.log10(v) for v in known] if log else known)
    low, high = ticks[0], ticks[-1]
    inner_width, inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def x(epoch: float) -> float:
        return _LEFT + inner_width * ((epoch - 1) / (count - 1) if count > 1 else 0.5)

    def y(value: float) -> float:
        return _TOP + inner_height * (1 - ((math.log10(value) if log else value) - low) / (high - low))

    parts = [f'<text class="t" x="{_LEFT:g}" y="16">{xml_text(title)}</text>']
    for tick in ticks:
        value = 10**tick if log else tick
        parts.append(f'<path class="g" d="M{_LEFT:g} {y(value):.1f}H{width - _RIGHT:g}"/>')
        parts.append(f'<text x="{_LEFT - 6:g}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for epoch in _epochs(count):
        parts.append(f'<text x="{x(epoch):.1f}" y="{height - _BOTTOM + 16:g}" text-anchor="middle">{epoch}</text>')
    parts.append(
        f'<text x="{_LEFT + inner_width / 2:g}" y="{height - 4}" text-anchor="middle">{xml_text(x_label)}</text>'
    )
    for i, (name, values) in enumerate(lines.items()):
        points = [(x(k), y(v)) if math.isfinite(v) else None for k, v in enumerate(values, 1)]
        legend = f"{name} {values[-1]:.4g}" if len(values) else name
        left = _LEFT + i * inner_width / 2
        parts.append(f'<path class="c c{i}" d="{_path(points)}M{left:g} 29h18"/>')
        parts.append(f'<text x="{left + 23:g}" y="33">{xml_text(legend)}</text>')
    words = xml_text(f"{title}: " + ", ".join(f"{n} {v[-1]:.4g} at the end" for n, v in lines.items() if len(v)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="fc-l" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title>{words}</title><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def history_svgs(history: Mapping[str, Sequence[float]]) -> list[str]:
    """A picture per measure of a training, the loss first: training beside validation."""
    logs = numbers_of(history)
    pictures = []
    for name in sorted((name for name in logs if not name.startswith("val_")), key=lambda name: name != "loss"):
        lines = {"training": logs[name]}
        if f"val_{name}" in logs:
            lines["validation"] = logs[f"val_{name}"]
        pictures.append(lines_svg(name.replace("_", " "), lines))
    return pictures


def numbers_of(history: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    """The measures of a training that are one number per epoch; a callback may have noted others."""
    return {
        name: [float(v) for v in values]
        for name, values in history.items()
        if len(values) and all(isinstance(v, Real) for v in values)
    }


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """The line through the points, broken at gaps; a point alone is a short dash."""
    parts: list[str] = []
    for previous, point, following in zip([None, *points], points, [*points[1:], None], strict=False):
        if point is None:
            continue
        parts.append(f"{'M' if previous is None else 'L'}{point[0]:.1f} {point[1]:.1f}")
        if previous is None and following is None:
            parts.append("h4")
    return "".join(parts)


def _ticks(values: Sequence[float]) -> list[float]:
    """Three to seven round numbers from below the least value to above the greatest."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    span = (high - low) or abs(high) or 1.0
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, max(last, first + 1) + 1)]


def _epochs(count: int) -> list[int]:
    """Up to seven whole numbers from 1 to ``count``, evenly apart."""
    step = max(1, -(-(count - 1) // 6))
    return list(range(1, count + 1, step)) if count else []
