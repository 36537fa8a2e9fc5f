"""The README and the pages of docs keep their word: their Python runs, their commands exist, and CI runs the test command."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from fastconv import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])


def blocks(language, text=README):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(program):
    """Lines that call a program, of the README and all pages."""
    texts = [README, *(page.read_text(encoding="utf-8") for page in PAGES)]
    lines = [line for text in texts for block in blocks("sh", text) for line in block.splitlines()]
    return [line for line in lines if line.split("&& ")[-1].startswith(f"{program} ")]


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[0])
def test_python_runs_as_written(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text("utf-8")], ids=lambda page: page.name)
def test_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, threads, request):
    if page.name == "onnx.md":
        pytest.importorskip("onnx", reason="writes and reads ONNX files; pip install 'fastconv[onnx]'")
    if page.name == "from_cupy.md":
        monkeypatch.setitem(sys.modules, "cupy", request.getfixturevalue("any_gpu"))
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks("python", page.read_text(encoding="utf-8")):
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize("line", commands("fastconv"))
def test_command_lines_parse(line):
    arguments = shlex.split(line.split("&& ")[-1], comments=True)
    assert arguments[0] == "fastconv"
    cli._parser().parse_args(arguments[1:])


@pytest.mark.parametrize("line", commands("python examples/cifar10_speedrun.py"))
def test_examples_take_these_arguments(line, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import cifar10_speedrun

    cifar10_speedrun.argument_parser().parse_args(shlex.split(line, comments=True)[2:])


def test_the_two_setup_commands():
    first, second, *_ = blocks("sh")
    assert first == 'python -m pip install ".[cli]" && fastconv train\n'
    assert second == 'python -m pip install ".[test]" && python -m pytest -n 2\n'


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_every_speed_number_has_its_json():
    claimed = re.search(r"\d[\d.,]*\s*(x faster|times faster|images/s|GFLOP/s|ms|s per epoch)", README)
    assert claimed is None or list((ROOT / "bench" / "results").glob("*.json")), claimed
