"""What commands share: help that tells every default, configuration files, JSON for programs, completion in real shells."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastconv import cli
from fastconv.cli import main
from fastconv.cli.config_file import with_config
from fastconv.models import load_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of one epoch on 60 images of 6x6 in two classes."""
    folder = tmp_path_factory.mktemp("trained")
    x = np.random.default_rng(0).integers(0, 256, (60, 6, 6)).astype(np.uint8)
    np.savez(folder / "small.npz", x=x, y=np.arange(60) % 2)
    options = ["--dataset", str(folder / "small.npz"), "--model", "mlp", "--epochs", "1", "--output", str(folder)]
    assert main(["train", *options, "--quiet"]) == 0
    return str(folder / "model.safetensors")


def commands():
    (action,) = [a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return action.choices


def test_help_tells_every_option_with_its_default():
    for name, parser in commands().items():
        for action in parser._actions:
            assert action.help, f"{name} {action.dest}"
            if action.option_strings and action.dest != "help" and not action.required:
                assert "default" in action.help, f"{name} {action.option_strings[0]}: {action.help}"
        assert parser.description


def test_help_tells_the_exit_statuses(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert exit_.value.code == 0 and "0 success, 1 failure" in out and "2 wrong command line, 130 Ctrl-C" in out


def test_evaluate_and_info_speak_json(trained, capsys):
    assert main(["evaluate", trained, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    matrix = np.array(result["confusion_matrix"])
    assert result["images"] == matrix.sum() == 12 and result["right"] == np.trace(matrix)
    assert result["accuracy"] == result["right"] / 12 and result["class_names"] == ["0", "1"]
    assert main(["info", "--json"]) == 0
    assert {"isa", "threads", "extras"} <= set(json.loads(capsys.readouterr().out))


def test_predict_takes_folders_and_speaks_json(trained, in_tmp, capsys):
    image = pytest.importorskip("PIL.Image", reason="reads image files")
    (in_tmp / "new" / "deep").mkdir(parents=True)
    for name in ("b.png", "a.PNG", "deep/c.png"):
        image.fromarray(np.zeros((6, 6), np.uint8)).save(in_tmp / "new" / name)
    (in_tmp / "new" / "notes.txt").write_text("no image")
    assert main(["predict", trained, "new", "new/b.png", "--top", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["image"] for one in found] == ["new/a.PNG", "new/b.png", "new/deep/c.png", "new/b.png"]
    classes = found[0]["classes"]
    assert len(classes) == 2 and sum(c["probability"] for c in classes) == pytest.approx(1, abs=1e-6)
    assert classes[0]["probability"] >= classes[1]["probability"] and classes[0]["class"] == str(classes[0]["number"])
    (in_tmp / "empty").mkdir()
    assert main(["predict", trained, "empty"]) == 1
    assert "must hold images" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_a_configuration_file_stands_behind_the_command_line(in_tmp, ending):
    if ending == "toml" and sys.version_info < (3, 11):
        pytest.importorskip("tomli", reason="Python 3.10 reads TOML by tomli")
    entries = {
        "dataset": "small.npz",
        "model": "mlp",
        "epochs": 3,
        "learning-rate": 0.01,
        "quiet": True,
        "report": False,
    }
    text = json.dumps(entries)
    if ending == "toml":
        text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in entries.items())
    with open(f"c.{ending}", "w") as file:
        file.write(text)
    argv = ["train", "--config", f"c.{ending}", "--epochs", "1"]
    parser = cli._parser()
    args = with_config(parser, argv, parser.parse_args(argv))
    assert (args.epochs, args.learning_rate, args.model, args.dataset) == (1, 0.01, "mlp", "small.npz")
    assert args.quiet and not args.report and args.optimizer is None


def test_the_settings_of_an_earlier_training_are_a_configuration(trained, in_tmp, capsys):
    config = str(Path(trained).parent / "run.json")
    assert main(["train", "--config", config, "--output", "again", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    a, b = (load_model(path).get_weights() for path in (trained, "again/model.safetensors"))
    assert all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "text, status, words",
    [
        ('{"epochs": 0}', 2, "whole number >= 1"),
        ('{"epoch": 1}', 1, "options of 'train'"),
        ('{"epochs": [1]}', 1, "one value each"),
        ('{"config": "c.json"}', 1, "options of 'train'"),
        ("[1]", 1, "options by name"),
        ("{", 1, "must be JSON"),
        ("[" * 100_000, 1, "must be JSON"),
        ("\xff", 1, "c.json"),
        (None, 1, "c.json"),
    ],
)
def test_wrong_configuration_files(in_tmp, capsys, text, status, words):
    if text is not None:
        (in_tmp / "c.json").write_text(text, encoding="latin-1")
    try:
        assert main(["train", "--config", "c.json"]) == status
    except SystemExit as exit_:
        assert exit_.code == status
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and words in message, message


def completion(shell, capsys):
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


COMPLETED = [
    ("fastconv ev", {"evaluate"}),
    ("fastconv train --mo", {"--model"}),
    ("fastconv train --model ", {"cnn", "mlp", "vgg", "resnet20"}),
    ("fastconv export m.safetensors --to o", {"onnx"}),
    ("fastconv completion f", {"fish"}),
    ("fastconv evaluate pict", {"pictures"}),
    ("fastconv train --dataset di", {"digits"}),
    ("fastconv train --dataset p", {"pictures"}),
]


@pytest.mark.parametrize("line, words", COMPLETED)
def test_bash_completes(in_tmp, capsys, line, words):
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    os.mkdir("pictures")
    parts = line.split(" ")
    array = " ".join(f"'{part}'" for part in parts)
    script = f"{completion('bash', capsys)}\nCOMP_WORDS=({array}); COMP_CWORD={len(parts) - 1}; _fastconv\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    result = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True)
    assert set(result.stdout.split()) == words and result.stderr == ""


@pytest.mark.parametrize("line, words", COMPLETED)
def test_fish_completes(in_tmp, capsys, line, words):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    os.mkdir("pictures")
    (in_tmp / "c.fish").write_text(completion("fish", capsys))
    command = ["fish", "--no-config", "-c", f"source c.fish; complete -C '{line}'"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert {row.split("\t")[0].rstrip("/") for row in result.stdout.splitlines()} == words


def test_zsh_takes_the_script(in_tmp, capsys):
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    script = f"autoload -Uz compinit; compinit -D\n{completion('zsh', capsys)}\nprint -r -- $_comps[fastconv]"
    result = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, timeout=30, check=True)
    assert (result.stdout, result.stderr) == ("_fastconv\n", "")
