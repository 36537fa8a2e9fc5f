"""The folder that ``fastconv train`` writes: which file is where, and the settings that it remembers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from fastconv.errors import CheckpointError
from fastconv.saving.atomic import atomic_write

__all__ = ["RunFolder"]


class RunFolder:
    """``model.safetensors``, ``history.csv``, ``run.json`` (settings and class names) and the pictures of one training."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.model = self.path / "model.safetensors"
        self.history = self.path / "history.csv"
        self.settings = self.path / "run.json"
        self.learning_curve = self.path / "learning_curve.png"
        self.report = self.path / "report.html"
        self.confusion_matrix = self.path / "confusion_matrix.png"

    @classmethod
    def of_model(cls, model_path: str) -> RunFolder:
        """The folder that a model file lies in."""
        return cls(Path(model_path).parent)

    def write_settings(self, settings: dict[str, Any]) -> None:
        """Replaces run.json, atomically; makes the folder where it is missing."""
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.settings) as file:
            file.write((json.dumps(settings, indent=2) + "\n").encode())

    def forget_training(self) -> None:
        """Removes the model and its history."""
        for path in (self.model, self.history):
            path.unlink(missing_ok=True)

    def read_settings(self) -> dict[str, Any]:
        """What :meth:`write_settings` wrote; empty if the folder has no run.json (a model from elsewhere).

        Raises:
            CheckpointError: if the file is damaged.
        """
        try:
            settings = json.loads(self.settings.read_bytes().decode("utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):  # bytes that are no UTF-8, too
            settings = None
        if not isinstance(settings, dict):
            raise CheckpointError(f"[run] {self.settings} must be the JSON that 'fastconv train' wrote. Train again.")
        return settings

    def read_history(self) -> dict[str, list[float]]:
        """The columns of history.csv by name, without the epoch's number.

        Raises:
            CheckpointError: if the table is damaged.
        """
        try:
            with open(self.history, newline="", encoding="utf-8") as file:
                names, *rows = list(csv.reader(file)) or [[]]
            columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
            missing = ("NA",) * len(rows)  # what CSVLogger writes where there was no validation
            values = {name: [float(v) for v in column] for name, column in columns.items() if column != missing}
        except (ValueError, csv.Error) as error:  # no number, rows of unequal lengths, no UTF-8
            raise CheckpointError(
                f"[run] {self.history} must be the table that 'fastconv train' wrote: got {error}. Delete it, or train again."
            ) from None
        values.pop("epoch", None)
        return values

    def cut_history(self, epochs: int) -> None:
        """Drops rows of epochs after the last saved model: a run may end between the table and the model."""
        lines = self.history.read_bytes().splitlines(keepends=True)
        with atomic_write(self.history) as file:
            file.writelines(lines[: 1 + epochs])
