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

    def read_settings(self) -> dict[str, Any]:
        """What :meth:`write_settings` wrote; empty if the folder has no run.json (a model from elsewhere).

        Raises:
            CheckpointError: if the file is damaged.
        """
        try:
            settings = json.loads(self.settings.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):  # bytes that are no UTF-8 are ValueErrors too
            settings = None
        if not isinstance(settings, dict):
            raise CheckpointError(f"[run] {self.settings} must be the JSON that 'fastconv train' wrote. Train again.")
        return settings

    def read_history(self) -> dict[str, list[float]]:
        """The columns of history.csv by name, without the epoch's number."""
        with open(self.history, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in (rows[0] if rows else {}) if name != "epoch"]
        return {name: [float(row[name]) for row in rows] for name in names}

    def cut_history(self, epochs: int) -> None:
        """Drops rows of epochs after the last saved model: a run may end between the table and the model."""
        lines = self.history.read_bytes().splitlines(keepends=True)
        with atomic_write(self.history) as file:
            file.writelines(lines[: 1 + epochs])
