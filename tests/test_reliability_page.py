"""docs/reliability.md is what docs/promises.toml and the tests say, and no promise is without a word on its proof."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs/make_reliability.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the documentation is not beside the tests")


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("make_reliability", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make_reliability", module)  # its dataclass looks itself up
        spec.loader.exec_module(module)
    return module


def test_every_promise_has_its_row(table):
    promises = table.read_promises()
    assert list(promises) == [f"P{i}" for i in range(1, 31)]
    for name, promise in promises.items():
        assert promise.tests or promise.missing or promise.cannot, name
        assert not any("|" in text for text in (promise.says, promise.figure, promise.missing, promise.cannot)), name


def test_every_named_test_exists(table):
    tests = table.read_tests(ROOT / "tests")
    named = [test for promise in table.read_promises().values() for test in promise.tests]
    assert [test for test in named if test not in tests] == []


def test_the_page_is_current(table):
    assert table.PAGE.read_text("utf-8") == table.page(), "run python docs/make_reliability.py"


def test_security_says_how_to_report_and_which_version_is_supported():
    """P30."""
    from fastconv import __version__

    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for words in ("How to report", "90 days", "What counts", "What does not", "pickle", "SHA-256"):
        assert words in text, words
    assert f"{__version__.rpartition('.')[0]}.x" in text
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")
