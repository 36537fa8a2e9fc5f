"""Progress on a terminal and in a log file, driven by a fake training loop."""

import builtins
import io
import re
import subprocess
import sys

import numpy as np
import pytest

from fastconv.callbacks import (
    CallbackList,
    ProgressCallback,
)
from fastconv.testing.fake_training import FakeModel, train


class Terminal(io.StringIO):
    def isatty(self):
        return True


LINE = r"Epoch 2/2 - \d+\.\ds - \d+(\.\d+)?(us|ms|s)/step - loss: 0\.2500 - f1: 0\.5000 - val_loss: 2\.0000e-05"
VALUES = {"loss": [0.5, 0.25], "f1": [0.0, np.array([0.25, 0.75])], "val_loss": [1.0, 2e-5]}


@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
def test_a_log_file_gets_one_line_per_epoch(verbose):
    stream = io.StringIO()
    train(FakeModel(), 2, ProgressCallback(verbose, stream), **VALUES)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and re.fullmatch(LINE, lines[1])


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_verbose_0_prints_nothing(stream):
    out = stream()
    train(FakeModel(), 2, ProgressCallback(0, out), **VALUES)
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar():
    pytest.importorskip("tqdm", reason="the bar is tqdm's")
    stream = Terminal()
    train(FakeModel(), 2, ProgressCallback("auto", stream), steps=8, **VALUES)
    last = stream.getvalue().split("\r")[-1]
    assert "Epoch 2/2: 100%" in last and "8/8" in last and "val_loss: 2.0000e-05" in last
    assert stream.getvalue().count("\n") == 2


def test_a_terminal_without_width_gets_lines(monkeypatch):
    monkeypatch.setattr("fastconv.callbacks.progress._width", lambda stream: 0)
    stream = Terminal()
    train(FakeModel(), 2, ProgressCallback(1, stream), **VALUES)
    assert re.fullmatch(LINE, stream.getvalue().splitlines()[1])


def test_a_terminal_without_tqdm_gets_lines(monkeypatch):
    original = builtins.__import__

    def without_tqdm(name, *rest):
        if name == "tqdm":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    stream = Terminal()
    train(FakeModel(), 2, ProgressCallback(1, stream), **VALUES)
    assert re.fullmatch(LINE, stream.getvalue().splitlines()[1])


def test_evaluation_has_a_line_of_its_own_but_validation_has_not():
    stream = io.StringIO()
    progress = ProgressCallback(2, stream)
    every = CallbackList(progress, steps=1)
    for inside in (True, False):
        if inside:
            every.on_train_begin()
            every.on_epoch_begin(0)
        every.on_test_begin()
        every.on_test_batch_end(0, {"loss": 1.0})
        every.on_test_end({"loss": 1.0})
        if inside:
            assert stream.getvalue() == ""
            every.on_epoch_end(0, {"loss": 1.0})
            every.on_train_end()
    every.on_predict_begin()
    every.on_predict_batch_end(0)
    every.on_predict_end()
    first, second, third = stream.getvalue().splitlines()
    assert first.startswith("Epoch 1/?") and second.startswith("Evaluate - ") and third.startswith("Predict - ")


def test_importing_callbacks_does_not_import_tqdm():
    code = "import sys, fastconv.callbacks; assert 'tqdm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
