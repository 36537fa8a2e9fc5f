"""Grids of images: data as they are, and what a model gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.plots._figure import INK, WRONG, Path, figure, finish, image_values, tiles
from fastconv.utils._mistakes import mistakes

__all__ = ["image_grid", "misclassified"]

_LINE = 16  # characters that fit above an image


def image_grid(
    x: Any,
    y: Any = None,
    predicted: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """Images side by side with their classes; wrong predictions stand out in red.

    Args:
        x: images (N, H, W), (N, H, W, 1) or (N, H, W, 3); grey ones are stretched from their own least to largest value,
            colours are 0..255 or, as floats, 0..1.
        y: class number of each image.
        predicted: the model's class number of each image.
        class_names: names to show instead of numbers.
        columns: images per row.
        path: where to write the picture.
        title: above the images.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other shapes, or unequal lengths.
    """
    images = image_values("image_grid", x)
    labels = {"y": y, "predicted": predicted}
    for name, given in labels.items():
        if given is not None and len(given) != len(images):
            raise ValueError(
                f"[image_grid] {name} must have a class per image: expected {len(images)}, got {len(given)}."
            )
    columns = min(max(columns, 1), len(images))
    truths, guesses = ([None] * len(images) if v is None else np.ravel(v).astype(int) for v in (y, predicted))
    captions = [_caption(t, g, class_names) for t, g in zip(truths, guesses, strict=True)]
    longest = max(len(text) for text, _ in captions)
    if longest > _LINE:
        captions = [(text.replace(" (is ", "\n(is "), colour) for text, colour in captions]
    height = 0.0 if not longest else 0.24 if longest <= _LINE else 0.38
    picture, grid = tiles(len(images), columns, (1.1, 1.1), caption=height, title=bool(title))
    for axes, image, (text, colour) in zip(grid, images, captions, strict=False):
        axes.imshow(image, cmap="gray", interpolation="nearest")
        axes.set_title(text, fontsize=8, color=colour, pad=3)
    return finish(picture, title, path)


def misclassified(
    x: Any,
    y: Any,
    scores: Any,
    *,
    class_names: Sequence[str] | None = None,
    limit: int = 32,
    columns: int = 8,
    path: Path = None,
    title: str | None = None,
) -> Any:
    """The images that a classifier gets wrong, the surest mistakes first: often wrong labels, or what a class lacks.

    Args:
        x: images, as in :func:`image_grid`.
        y: class number of each image (N,).
        scores: what the model predicts (N, classes), or (N, 1) for the probability of class 1.
        class_names: names to show instead of numbers.
        limit: how many to show at most.
        columns: images per row.
        path: where to write the picture.
        title: default: how many of how many are wrong.

    Returns:
        The figure; without images where nothing is wrong.

    Raises:
        ImportError: matplotlib is not installed. ValueError: for other shapes, or unequal lengths.
    """
    x, y = np.asarray(x), np.asarray(y)
    rows, predicted = mistakes("misclassified", y, scores)
    if len(x) != len(predicted):
        raise ValueError(
            f"[misclassified] x must have an image per row of scores: expected {len(predicted)}, got {len(x)}."
        )
    if title is None:
        title = f"{len(rows):,} of {len(y):,} wrong" + (f", the {limit} surest" if len(rows) > limit else "")
    if not len(rows):
        return finish(figure(4, 1), title, path)
    rows = rows[:limit]
    return image_grid(
        x[rows], y.reshape(-1)[rows], predicted[rows], class_names=class_names, columns=columns, path=path, title=title
    )


def _caption(truth: int | None, guess: int | None, class_names: Sequence[str] | None) -> tuple[str, str]:
    def name(number: int) -> str:
        return str(number) if class_names is None else str(class_names[number])

    if guess is not None and truth is not None and guess != truth:
        return f"{name(guess)} (is {name(truth)})", WRONG
    shown = truth if guess is None else guess
    return ("" if shown is None else name(shown)), INK
