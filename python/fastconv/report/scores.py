"""What a classifier gets right and wrong on labelled images, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from fastconv import _html, _png
from fastconv.report.page import scrolling
from fastconv.utils._mistakes import mistakes

__all__ = ["confusion_table", "mistake_figures", "per_class_table"]

_MAX_CELLS = 25  # classes up to which every cell holds its number
_PAIRS = 20


def per_class_table(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Precision, recall and F1 of each class; 0 where there is nothing to divide by. The last row is their plain mean."""
    right = np.diag(matrix).astype(float)
    precision = _divided(right, matrix.sum(0))
    recall = _divided(right, matrix.sum(1))
    f1 = _divided(2 * precision * recall, precision + recall)
    numbers = [*zip(precision, recall, f1, strict=True), (precision.mean(), recall.mean(), f1.mean())]
    counts = [*matrix.sum(1), matrix.sum()]
    rows = [
        (name, f"{count:,}", *(f"{100 * v:.1f} %" for v in values))
        for name, count, values in zip([*names, "mean of classes"], counts, numbers, strict=True)
    ]
    return _html.table(("class", "images", "precision", "recall", "F1"), rows)


def confusion_table(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Counts of true class (row) against predicted class (column); the shade is the share of the row. Of many classes a picture
    of the shades, and the pairs that are confused most often."""
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    if len(matrix) > _MAX_CELLS:
        return _many(matrix, share, names)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for name, counts, shares in zip(names, matrix, share, strict=True):
        cells = "".join(f'<td style="{_shade(s)}">{count:,}</td>' for count, s in zip(counts, shares, strict=True))
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    caption = "<caption>Rows: true class. Columns: predicted class. Darker: a larger share of the row.</caption>"
    return scrolling(
        "confusion matrix",
        f'<table class="matrix">{caption}<thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>',
    )


def mistake_figures(x: np.ndarray, y: np.ndarray, scores: np.ndarray, names: Sequence[str], limit: int) -> str:
    """The surest mistakes: image, wrong class with its probability, right class."""
    rows, predicted = mistakes("report", y, scores)
    if not len(rows):
        return "<p>None of the test images is classified wrongly.</p>"
    figures, pixels = [], _png.as_pixels(x)
    for row in rows[:limit]:
        wrong, right = escape(names[predicted[row]]), escape(names[int(y[row])])
        sure = f"{100 * _probability(scores[row], predicted[row]):.0f} %"
        alt = f"Test image {row}, predicted as {wrong}, in truth {right}"
        figures.append(
            f'<figure><img src="{_png.data_uri(pixels[row])}" alt="{alt}"><figcaption><span class="wrong">{wrong}</span> '
            f"({sure}), is {right}</figcaption></figure>"
        )
    more = f", the {limit} surest of them" if len(rows) > limit else ""
    return f'<p>{len(rows):,} of {len(y):,} images are wrong{more}.</p><div class="figures">{"".join(figures)}</div>'


def _many(matrix: np.ndarray, share: np.ndarray, names: Sequence[str]) -> str:
    off = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-off, axis=None, kind="stable")[:_PAIRS]
    pairs = [np.unravel_index(i, off.shape) for i in order]
    rows = [(names[i], names[j], f"{off[i, j]:,}") for i, j in pairs if off[i, j]]
    shades = np.rint(255 * (1 - share)).astype(np.uint8)
    alt = f"Confusion matrix of {len(matrix)} classes; the table below names the pairs confused most often"
    pairs_table = _html.table(("true class", "predicted class", "images"), rows, left=(0, 1))
    return f'<img class="classes" src="{_png.data_uri(shades)}" alt="{alt}">' + scrolling("confused pairs", pairs_table)


def _shade(share: float) -> str:
    """From white to Okabe and Ito's blue, with ink of a contrast above 4.5 (WCAG 2.1, 1.4.3) on every shade."""
    red, green, blue = (round(255 + share * (c - 255)) for c in (0, 90, 146))
    return f"background:rgb({red},{green},{blue});color:{'#fff' if share > 0.79 else '#000'}"


def _probability(scores: np.ndarray, predicted: int) -> float:
    if scores.size > 1:
        return float(scores[predicted])
    return float(scores[0] if predicted else 1 - scores[0])


def _divided(a: np.ndarray, b: Any) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(a), where=np.asarray(b) != 0)
