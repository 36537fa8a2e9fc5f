"""Writes the logs of each epoch to a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv.callbacks.base import Callback, Logs

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """One row per epoch: ``epoch`` (from 0), then the logs by name; "NA" where an epoch lacks one.

    The first epoch decides the columns; if it had no validation, there is a ``val_`` column for each log
    nevertheless. The file is closed between epochs, so that it is complete after each, whatever happens next.

    Args:
        filename: of the table.
        separator: one character between the columns.
        append: whether to continue a table that is there, with its columns, instead of replacing it.

    Raises:
        OSError: if the file cannot be written, when training begins.
        ValueError: if a table to append to lacks a column, or is none.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = _arguments.path("CSVLogger", "filename", filename)
        self.separator = _arguments.text("CSVLogger", "separator", separator)
        if len(separator) != 1:
            raise ValueError(
                f"[CSVLogger] separator must be one character: expected len == 1, "
                f"got separator={separator!r}. Use ',' or ';'."
            )
        self.append = _arguments.boolean("CSVLogger", "append", append)
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        try:
            with open(self.filename, "a+" if self.append else "w", newline="", encoding="utf-8") as file:
                file.seek(0)
                self._columns = next(csv.reader(file, delimiter=self.separator), []) if self.append else []
        except OSError as error:
            raise OSError(
                error.errno,
                f"[CSVLogger] cannot write the table ({error.strerror}). Make its folder or use another",
                self.filename,
            ) from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"[CSVLogger] the file to append to must be a table: expected UTF-8 text, got {error} in filename="
                f"{self.filename!r}. Start a new file with append=False."
            ) from None

    def get_state(self) -> dict[str, Any]:
        with open(self.filename, "a+b") as file:  # makes it where somebody has removed it
            file.seek(0)
            return {"table": np.frombuffer(file.read(), np.uint8), "columns": self._columns}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """The table is what it was then: no row twice, none of an epoch that is trained again."""
        with open(self.filename, "wb") as file:
            file.write(state["table"].tobytes())
        self._columns = list(state["columns"])

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        row = {"epoch": epoch, **{name: _cell(value) for name, value in (logs or {}).items()}}
        header = not self._columns
        if header:
            self._columns = _columns(logs or {})
        elif missing := [name for name in row if name not in self._columns and self.append]:
            raise ValueError(
                f"[CSVLogger] the table to append to has other columns: expected {missing} among "
                f"{self._columns}, got filename={self.filename!r}. Start a new file with append=False."
            )
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, restval="NA", extrasaction="ignore", delimiter=self.separator)
            if header:
                writer.writeheader()
            writer.writerow(row)


def _columns(logs: dict[str, Any]) -> list[str]:
    names = sorted(logs)
    if not any(name.startswith("val_") for name in names):
        names += [f"val_{name}" for name in names]
    return ["epoch", *names]


def _cell(value: Any) -> Any:
    """A number as it is, several as ``[a, b]``."""
    return value if np.ndim(value) == 0 else "[" + ", ".join(map(str, np.ravel(value))) + "]"
