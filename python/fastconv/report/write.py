"""Writes the report of a training."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from typing import Any

import numpy as np

from fastconv import _html, config
from fastconv.datasets import describe
from fastconv.diagram import graph_svg, history_svgs, numbers_of
from fastconv.metrics import confusion_matrix
from fastconv.models.summary import summary_table
from fastconv.report.page import Section, page, scrolling
from fastconv.report.scores import confusion_table, mistake_figures, per_class_table
from fastconv.saving.atomic import atomic_write

__all__ = ["write"]

_BATCH = 128
_OPEN_GRAPH = 16  # layers up to which the graph is shown without a click


def write(
    path: str | os.PathLike[str],
    model: Any,
    history: Any = None,
    test_data: tuple[Any, Any] | None = None,
    *,
    train_data: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    images_per_second: float | None = None,
    mistakes: int = 24,
    title: str | None = None,
) -> None:
    """Writes one HTML file: what was trained, on what, how it went, and what it gets wrong. What is not given is left out.

    The file holds all its pictures, loads nothing and has no script; it follows the reader's light or dark setting.

    Args:
        path: of the file, replaced atomically.
        model: the trained model; with ``test_data`` a classifier with outputs (N, classes) or (N, 1).
        history: what ``fit`` returns, or a dict of lists.
        test_data: (x, y): images (N, H, W), (N, H, W, 1) or (N, H, W, 3) and class numbers (N,), for scores and mistakes.
        train_data: (x, y), to be described.
        class_names: one per class; the numbers by default.
        settings: of the training: names and values, shown as they are.
        images_per_second: of the training.
        mistakes: how many wrongly classified images to show at most.
        title: of the page; "Report of MODEL" by default.

    Raises:
        ValueError: for labels that are none of the model's classes, or another number of names. TypeError: for a history that is
            none. OSError: if the file cannot be written.
    """
    title = f"Report of {model.name}" if title is None else title
    cards: list[tuple[str, str]] = []
    sections: list[Section] = []
    logs = _logs(history)
    if test_data is not None:
        sections += _scored(model, test_data, class_names, mistakes, cards)
    if images_per_second is not None:
        cards.append(("images per second, training", f"{images_per_second:,.0f}"))
    if logs:
        cards.insert(min(1, len(cards)), ("epochs", str(max(map(len, logs.values())))))
        sections.append(_curves(logs))
    cards.append(("parameters", f"{model.count_params():,}"))
    sections.append(_model(model))
    if train_data is not None or test_data is not None:
        sections.append(_data({"training": train_data, "test": test_data}, class_names))
    if settings:
        rows = [(name.replace("_", " "), _shown(value)) for name, value in settings.items()]
        sections.append(Section("settings", "Settings", _listing("settings", rows)))
    sections.append(Section("machine", "Machine", _listing("machine", _machine())))
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    text = page(title, f"{when}, fastconv {config.show_config()['fastconv']}", cards, sections)
    with atomic_write(path) as file:
        file.write(text.encode())


def _logs(history: Any) -> dict[str, list[float]]:
    logs = {} if history is None else getattr(history, "history", history)
    if not isinstance(logs, dict):
        raise TypeError(f"[report] history must be what fit returns, or a dict of lists: got {type(history).__name__}.")
    return numbers_of(logs)


def _curves(logs: dict[str, list[float]]) -> Section:
    names = [name for name in logs if not name.startswith("val_")]
    header = ["measure", "last epoch", "best epoch", "last, validation", "best, validation"]
    rows = [[name, *_last_and_best(logs, name), *_last_and_best(logs, f"val_{name}")] for name in names]
    body = f'<div class="figures" style="grid-template-columns:repeat(auto-fill,minmax(20rem,1fr))">{"".join(history_svgs(logs))}</div>'
    return Section("curves", "Learning curves", body + scrolling("measures", _html.table(header, rows)))


def _last_and_best(logs: dict[str, list[float]], name: str) -> list[str]:
    if name not in logs:
        return ["", ""]
    values = np.asarray(logs[name], float)
    lower = any(word in name for word in ("loss", "error"))
    if not np.isfinite(values).any():
        return [f"{values[-1]:.4g}", ""]
    best = int(np.nanargmin(values) if lower else np.nanargmax(values))
    return [f"{values[-1]:.4g}", f"{values[best]:.4g} in epoch {best + 1}"]


def _scored(
    model: Any, data: tuple[Any, Any], class_names: Sequence[str] | None, limit: int, cards: list[tuple[str, str]]
) -> list[Section]:
    x, y = np.asarray(data[0]), np.asarray(data[1]).reshape(-1)
    start = time.perf_counter()
    scores = np.asarray(model.predict(x, batch_size=_BATCH, verbose=0))
    rate = len(x) / max(time.perf_counter() - start, 1e-9)
    if scores.ndim != 2:
        raise ValueError(f"[report] the model must be a classifier: expected outputs (N, classes), got {scores.shape}.")
    classes = max(scores.shape[1], 2)
    predicted = scores.argmax(1) if scores.shape[1] > 1 else (scores[:, 0] > 0.5).astype(int)
    names = [str(i) for i in range(classes)] if class_names is None else [str(name) for name in class_names]
    if len(names) != classes:
        raise ValueError(f"[report] class_names must name every class: expected {classes}, got {len(names)}.")
    matrix = confusion_matrix(y, predicted, classes)
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    cards += [("test accuracy", f"{100 * accuracy:.2f} %"), ("images per second, prediction", f"{rate:,.0f}")]
    sections = [
        Section("confusion", "Confusion matrix", confusion_table(matrix, names)),
        Section("classes", "Classes", scrolling("scores of classes", per_class_table(matrix, names))),
    ]
    if x.ndim == 3 or (x.ndim == 4 and x.shape[-1] in (1, 3)):
        sections.append(Section("mistakes", "Mistakes", mistake_figures(x, y, scores, names, limit)))
    return sections


def _model(model: Any) -> Section:
    graph = ""
    if getattr(model, "_calls", None):
        opened = " open" if len(model.layers) <= _OPEN_GRAPH else ""
        graph = f"<details{opened}><summary>Graph of layers</summary>{scrolling('graph', graph_svg(model))}</details>"
    return Section("model", "Model", scrolling("layers", summary_table(model)) + graph)


def _data(parts: Mapping[str, tuple[Any, Any] | None], class_names: Sequence[str] | None) -> Section:
    found = {name: describe(*part, class_names) for name, part in parts.items() if part is not None}
    header = ("part", "images", "shape", "dtype", "least", "greatest", "mean", "not finite", "copies")
    rows = [
        (
            name,
            f"{d.samples:,}",
            " × ".join(map(str, d.shape)),
            d.dtype,
            *(f"{value:.4g}" for value in (d.low, d.high, d.mean)),
            f"{d.nan + d.infinite:,}",
            f"{d.duplicates:,}",
        )
        for name, d in found.items()
    ]
    body = scrolling("parts of the data", _html.table(header, rows, left=(0, 2, 3)))
    classes = list(dict.fromkeys(name for d in found.values() for name in d.classes))
    if classes:
        counts = [(name, *(f"{d.classes.get(name, 0):,}" for d in found.values())) for name in classes]
        table = _html.table(("class", *found), counts)
        body += f"<details><summary>Images of each class</summary>{scrolling('classes', table)}</details>"
    return Section("data", "Data", body)


def _machine() -> list[tuple[str, str]]:
    settings = config.show_config()
    chosen = ("fastconv", "numpy", "python", "machine", "isa", "threads", "device", "precision", "dtype_policy")
    rows = [(name.replace("_", " "), _shown(settings[name])) for name in chosen]
    return [*rows, ("system", f"{platform.system()} {platform.release()}"), ("processor", _processor())]


def _processor() -> str:
    """As the kernel calls it; platform.processor() is often empty on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _listing(label: str, rows: Sequence[tuple[str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(a)}</th><td>{escape(b)}</td></tr>' for a, b in rows
    )
    return scrolling(label, f"<table><tbody>{body}</tbody></table>")


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "default" if value is None else str(value)
