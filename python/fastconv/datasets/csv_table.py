"""Tables from CSV files: numbers as features, one column as the target."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np

from ..errors import DatasetError
from ..utils._checks import as_int
from ._files import as_path, open_regular

__all__ = ["load_csv"]


def load_csv(path: Any, target: str | int | None = -1) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Samples in the rows, features in the columns of a CSV file.

    The first line is taken for names where it has text in a column that has a number in the second line. Empty lines are
    passed over.

    Args:
        path: of the file, UTF-8.
        target: column of the labels or targets, by name or number (-1 is the last); None takes all columns as features.

    Returns:
        x float64 (N, D); y (N,): integers if the column holds whole numbers, else float64, else strings (see
        ``utils.LabelEncoder``), or None; the names of the D features ("0", "1", ... without a line of names).

    Raises:
        DatasetError: an empty file, rows of unequal lengths, or a feature that is no number, named by line and column.
        ValueError: there is no such column.
    """
    op = "load_csv"
    file = as_path(op, "path", path)
    with open_regular(file) as binary:
        try:
            text = binary.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"[{op}] {file} is no text: {error.reason} at byte {error.start}. Save it as UTF-8."
            ) from None
    try:
        lines = [(i, row) for i, row in enumerate(csv.reader(text.splitlines()), 1) if row]
    except csv.Error as error:  # a field beyond csv's limit
        raise DatasetError(f"[{op}] {file} is no table: {error}. Look at its quotation marks.") from None
    if not lines:
        raise DatasetError(f"[{op}] {file} must hold rows: got an empty file.")
    named = _has_names([row for _, row in lines[:2]])
    names = [field.strip() for field in lines[0][1]] if named else [str(i) for i in range(len(lines[0][1]))]
    rows = lines[named:]
    for number, row in rows:
        if len(row) != len(names):
            raise DatasetError(f"[{op}] {file}, line {number}: expected {len(names)} fields, got {len(row)}.")
    at = None if target is None else _column(op, names, target)
    features = [i for i in range(len(names)) if i != at]
    x = np.empty((len(rows), len(features)))
    for out, (number, row) in zip(x, rows, strict=True):
        for k, i in enumerate(features):
            if not _is_number(row[i]):
                raise DatasetError(
                    f"[{op}] {file}, line {number}, column {names[i]!r} must be a number: got {row[i][:40]!r}. Encode text "
                    "columns first."
                )
            out[k] = float(row[i])
    y = None if at is None else _labels([row[at].strip() for _, row in rows])
    return x, y, tuple(names[i] for i in features)


def _has_names(first: list[list[str]]) -> bool:
    below = first[1] if len(first) > 1 else []
    return any(_is_number(number) and not _is_number(name) for name, number in zip(first[0], below, strict=False))


def _column(op: str, names: list[str], target: Any) -> int:
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"[{op}] target must name a column: expected one of {names[:20]}, got {target!r}.")
        return names.index(target)
    number = as_int(op, "target", target)
    if not -len(names) <= number < len(names):
        raise ValueError(f"[{op}] target must be a column's number: expected < {len(names)}, got {number}.")
    return number % len(names)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _labels(fields: list[str]) -> np.ndarray:
    if not all(_is_number(field) for field in fields):
        return np.array(fields)
    values = np.array([float(field) for field in fields])
    whole = np.isfinite(values).all() and (values == np.floor(values)).all() and np.abs(values).max() < 2**53
    return values.astype(np.int64) if whole else values
