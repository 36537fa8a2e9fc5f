"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import fastconv

MODULES = [
    m.name
    for m in pkgutil.walk_packages(fastconv.__path__, "fastconv.")
    if not m.name.endswith(("__main__", "._cpu"))
    and (m.name.split(".")[1] not in ("sklearn", "wrappers") or importlib.util.find_spec("sklearn"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [t for name in MODULES for t in finder.find(importlib.import_module(name)) if t.examples]
    assert len(examples) >= 20
