"""The README keeps its word: its Python runs, its commands exist, and CI runs its test command."""

import re
import shlex
from pathlib import Path

import pytest

from fastconv import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[0])
def test_python_runs_as_written(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines() if "fastconv " in line])
def test_command_lines_parse(line):
    arguments = shlex.split(line.split("&& ")[-1], comments=True)
    assert arguments[0] == "fastconv"
    cli._parser().parse_args(arguments[1:])


def test_the_two_setup_commands():
    first, second, *_ = blocks("sh")
    assert first == 'python -m pip install ".[cli]" && fastconv train\n'
    assert second == 'python -m pip install ".[test]" && python -m pytest\n'


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_speed_number_has_its_json():
    claimed = re.search(r"\d[\d.,]*\s*(x faster|times faster|images/s|GFLOP/s|ms|s per epoch)", README)
    assert claimed is None or list((ROOT / "bench" / "results").glob("*.json")), claimed
