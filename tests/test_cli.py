"""The command line: what each command writes, and that every failure is one line and a status."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv.cli import main
from fastconv.models import load_model

# For commands in a process of their own, which finds the package under test from any folder.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(fastconv.__file__).parents[1])}


def one_line(capsys):
    """The message on stderr, which must be a single line."""
    text = capsys.readouterr().err
    assert text.endswith("\n") and text.count("\n") == 1, text
    return text.strip()


def history_rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_digits_train_to_98_percent_and_leave_everything(in_tmp, capsys):
    assert main(["train"]) == 0
    out = capsys.readouterr().out
    folder = in_tmp / "runs" / "digits-cnn"
    names = {"model.safetensors", "history.csv", "learning_curve.png", "confusion_matrix.png", "run.json"}
    assert {path.name for path in folder.iterdir()} == names
    accuracy = float(out.split("Test accuracy: ")[1].split(" %")[0])
    assert accuracy >= 98
    assert len(history_rows(folder / "history.csv")) == json.loads((folder / "run.json").read_text())["epochs"]
    assert main(["evaluate", str(folder / "model.safetensors")]) == 0
    assert f"Test accuracy: {accuracy:.2f} %" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["mlp", "vgg", "resnet20"])
def test_every_architecture_trains(small_set, model, capsys):
    assert main(["train", "--dataset", small_set, "--model", model, "--epochs", "1", "--output", "out"]) == 0
    assert "Test accuracy: " in capsys.readouterr().out


def test_resume_is_bit_exact(small_set, capsys):
    common = ["train", "--dataset", small_set, "--batch-size", "16"]
    assert main([*common, "--epochs", "4", "--output", "whole"]) == 0
    assert main([*common, "--epochs", "2", "--output", "parts"]) == 0
    assert main(["train", "--resume", "--epochs", "4", "--output", "parts"]) == 0
    whole, parts = (load_model(f"{folder}/model.safetensors") for folder in ("whole", "parts"))
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history_rows("whole/history.csv") == history_rows("parts/history.csv")


def test_resume_drops_an_epoch_whose_model_was_not_saved(small_set, capsys):
    assert main(["train", "--dataset", small_set, "--epochs", "2", "--output", "out"]) == 0
    with open("out/history.csv", "a") as file:
        file.write("2,0,0,0,0\r\n")
    assert main(["train", "--resume", "--epochs", "3", "--output", "out"]) == 0
    assert [row["epoch"] for row in history_rows("out/history.csv")] == ["0", "1", "2"]
    assert history_rows("out/history.csv")[2]["loss"] != "0"


def test_resume_after_a_kill_before_the_first_model_or_after_the_last(small_set, capsys):
    """What is missing then is made: the whole training, or only what comes after it."""
    train = ["train", "--dataset", small_set, "--epochs", "2", "--output", "out"]
    assert main(train) == 0
    whole = load_model("out/model.safetensors").get_weights()
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    settings = json.loads(before["run.json"])
    assert settings.pop("finished") is True
    for lost in (["model.safetensors", "history.csv", "learning_curve.png"], ["learning_curve.png"]):
        Path("out/run.json").write_text(json.dumps(settings))
        for name in lost:
            Path("out", name).unlink()
        assert main(["train", "--resume", "--output", "out"]) == 0
        after = {path.name: path.read_bytes() for path in Path("out").iterdir()}
        assert {**after, "model.safetensors": 0} == {**before, "model.safetensors": 0}
        for a, b in zip(whole, load_model("out/model.safetensors").get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert main([*train[:3], "--epochs", "1", "--output", "out", "--seed", "1"]) == 0  # anew: nothing old is left
    assert len(history_rows("out/history.csv")) == 1


def test_same_seed_same_model(small_set, capsys):
    for folder in ("a", "b"):
        assert main(["train", "--dataset", small_set, "--epochs", "1", "--seed", "5", "--output", folder]) == 0
    a, b = (load_model(f"{folder}/model.safetensors").get_weights() for folder in ("a", "b"))
    assert all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


def test_training_without_matplotlib_says_so_and_goes_on(small_set, capsys, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    assert main(["train", "--dataset", small_set, "--epochs", "1", "--output", "out"]) == 0
    assert "pip install 'fastconv[plots]'" in capsys.readouterr().out
    assert not os.path.exists("out/learning_curve.png")


def test_folder_of_images_train_and_predict(in_tmp, capsys):
    image = pytest.importorskip("PIL.Image", reason="reads image files")
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 20, 20)), ("green", (20, 200, 20))):
        (in_tmp / "set" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(rng.normal(colour, 20, (10, 12, 3)), 0, 255).astype(np.uint8)
            image.fromarray(pixels).save(in_tmp / "set" / name / f"{i}.png")
    arguments = ["--dataset", "set", "--image-size", "8", "--epochs", "15", "--batch-size", "8"]
    assert main(["train", *arguments]) == 0
    assert "Test accuracy: 100.00 %" in capsys.readouterr().out
    model = "runs/set-cnn/model.safetensors"
    assert main(["predict", model, "set/red/0.png", "set/green/0.png", "--top", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("set/red/0.png: red ") and ", green " in first
    assert second.startswith("set/green/0.png: green ")
    assert main(["evaluate", model, "--confusion-matrix", "matrix.png"]) == 0
    assert os.path.getsize("matrix.png") > 1000
    (in_tmp / "broken.png").write_bytes(b"no picture")
    assert main(["predict", model, "broken.png"]) == 1
    capsys.readouterr()
    assert main(["predict", model, "broken.png"]) == 1
    assert "broken.png" in one_line(capsys)


def test_info_and_bench_print_something_useful(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "isa:" in out and "threads:" in out and "cuda:" in out
    assert main(["bench", "--model", "mlp", "--batch-size", "8", "--seconds", "0.01"]) == 0
    assert "img/s" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["train", "--epochs", "0"], "whole number >= 1"),
        (["train", "--epochs", "1.5"], "whole number"),
        (["train", "--learning-rate", "nan"], "number > 0"),
        (["train", "--learning-rate", "-1"], "number > 0"),
        (["train", "--seed", "-1"], "whole number >= 0"),
        (["train", "--model", "alexnet"], "alexnet"),
        (["train", "--threads", "many"], "whole number"),
        (["predict"], "MODEL"),
        (["predict", "model.safetensors"], "IMAGE"),
        (["export", "model.safetensors"], "--to"),
    ],
)
def test_wrong_command_lines_exit_2(in_tmp, capsys, arguments, words):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert words in one_line(capsys)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train", "--dataset", "imagenet"], "'imagenet' is not known"),
        (["train", "--dataset", "missing.npz"], "missing.npz"),
        (["train", "--resume"], "nothing to resume"),
        (["train", "--threads", "100000"], "1024"),
        (["evaluate", "missing.safetensors"], "missing.safetensors"),
        (["predict", "missing.safetensors", "a.png"], "missing.safetensors"),
        (["evaluate", "damaged.safetensors"], "damaged.safetensors"),
        (["export", "missing.safetensors", "--to", "onnx"], "missing.safetensors"),
        (["export", "missing.safetensors", "--to", "keras"], "missing.safetensors"),
    ],
)
def test_failures_are_one_line_and_exit_1(in_tmp, capsys, arguments, words):
    (in_tmp / "damaged.safetensors").write_bytes(b"\xff" * 64)
    assert main(arguments) == 1
    message = one_line(capsys)
    assert message.startswith(f"fastconv {arguments[0]}: error: ") and words in message


@pytest.mark.parametrize(
    "x, y, words",
    [
        (np.zeros((20, 4)), np.arange(20) % 2, "x must hold images"),
        (np.full((20, 4, 4), -1.0), np.arange(20) % 2, "pixels must lie in"),
        (np.full((20, 4, 4), np.nan), np.arange(20) % 2, "pixels must lie in"),
        (np.zeros((20, 4, 4), np.uint8), np.eye(2)[np.arange(20) % 2], "class numbers"),
        (np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2 - 1, "class numbers"),
        (np.zeros((20, 4, 4), np.uint8), np.zeros(20, int), "several classes"),
        (np.zeros((20, 1, 1), np.uint8), np.arange(20) % 2, "does not fit"),
    ],
)
def test_arrays_that_are_no_images(in_tmp, capsys, x, y, words):
    np.savez("set.npz", x=x, y=y)
    assert main(["train", "--dataset", "set.npz", "--epochs", "1"]) == 1
    assert words in one_line(capsys)


def test_resume_refuses_other_settings_and_a_finished_training(small_set, capsys):
    assert main(["train", "--dataset", small_set, "--epochs", "1", "--output", "out"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", "--output", "out", "--batch-size", "7"]) == 1
    assert "--batch-size" in one_line(capsys)
    assert main(["train", "--resume", "--output", "out"]) == 1
    assert "1 of 1 epochs" in one_line(capsys)


def test_a_model_and_a_data_set_that_do_not_fit(small_set, capsys):
    assert main(["train", "--dataset", small_set, "--epochs", "1", "--output", "out"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "out/model.safetensors", "--dataset", "digits"]) == 1
    assert "predict" in one_line(capsys)


def test_debug_shows_the_traceback(in_tmp, monkeypatch):
    monkeypatch.setenv("FASTCONV_DEBUG", "1")
    with pytest.raises(ValueError, match="is not known"):
        main(["train", "--dataset", "imagenet"])


def test_ctrl_c_exits_130_with_one_line(in_tmp, interruptible):
    command = [sys.executable, "-m", "fastconv", "train", "--epochs", "100000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=ENVIRONMENT) as process:
        deadline = time.monotonic() + 30
        while not os.path.exists("runs/digits-cnn/model.safetensors") and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            _, message = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert message.count("\n") == 1 and "fastconv train --resume" in message


def test_a_reader_that_leaves_early_is_no_failure_message(in_tmp):
    command = f"{sys.executable} -m fastconv info | true"
    result = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=30)
    assert result.stderr == ""
