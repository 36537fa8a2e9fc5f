"""Writes the files that every later version must load, in the formats of this version: tests/test_golden_files.py reads them.

python tests/golden/make.py     once for each version of a format; needs h5py and onnx. Files that exist are never replaced.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import fastconv
from fastconv import callbacks, layers, models, optimizers
from fastconv.saving.header import FORMAT_VERSION

X = np.linspace(-1, 1, 4 * 6 * 6, dtype=np.float32).reshape(4, 6, 6, 1)
Y = np.array([0, 1, 2, 1])


def train(model: Any, *given: Any) -> float:
    """The loss of one more step."""
    return model.fit(X, Y, batch_size=4, epochs=1, shuffle=False, verbose=0, callbacks=list(given)).history["loss"][0]


def make() -> Any:
    """A model with state of many kinds, after two steps."""
    fastconv.random.seed(5)
    parts = [
        layers.Input((6, 6, 1), name="image"),
        layers.Conv2D(2, 3, activation="relu", name="conv"),
        layers.BatchNormalization(name="norm"),
        layers.MaxPooling2D(2, name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(3, activation="softmax", name="head"),
    ]
    model = models.Sequential(parts, name="golden")
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    train(model)
    train(model)
    return model


def main() -> None:
    folder = Path(__file__).parent / ".".join(map(str, FORMAT_VERSION))
    folder.mkdir(exist_ok=True)
    model = make()
    names = (
        "model.safetensors",
        "model.keras",
        "model.onnx",
        "latest.safetensors",
        "expected.json",
    )
    if taken := [name for name in names if (folder / name).exists()]:
        raise SystemExit(f"[golden] {folder} has {', '.join(taken)} already: files of a version stay as they are.")
    model.save(folder / "model.safetensors")
    model.save(folder / "model.keras")
    fastconv.onnx.export(model, folder / "model.onnx")
    predictions = model.predict(X, verbose=0).tolist()
    next_losses = [train(model), train(model)]
    again = make()
    train(again, callbacks.BackupAndRestore(folder, delete_checkpoint=False))  # after three steps
    expected = {"predictions": predictions, "next_losses": next_losses}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
