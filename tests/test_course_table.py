"""docs/course.md is what the tests say, and every row of the course has one."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs/make_course.py"
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the documentation is not beside the tests")


@pytest.fixture(scope="module")
def table(request):
    spec = importlib.util.spec_from_file_location("make_course", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "make_course", module)  # its dataclass looks itself up
        spec.loader.exec_module(module)
    return module


def test_no_row_is_without_a_test(table):
    rows = table.read_tests(SCRIPT.parents[1] / "tests")
    assert set(rows) == set(table.every_row())


def test_no_test_of_a_row_failed(table):
    """In the recorded run; a test that is newer than it stands there as "not in the run"."""
    outcomes = json.loads(table.RUN.read_text("utf-8"))["outcomes"]
    assert not {test for test, outcome in outcomes.items() if "failed" in outcome}
    rows = table.read_tests(SCRIPT.parents[1] / "tests")
    assert not {name for name, row in rows.items() if not any("passed" in outcomes.get(t, "") for t in row.tests)}


def test_the_page_is_current(table):
    assert table.PAGE.read_text("utf-8") == table.page(), "run python docs/make_course.py"


LEAST = {  # of whole runs: what the course asks of its systems
    "capsules": ("test_accuracy", 95),
    "cifar10_cnn": ("test_accuracy", 70),
    "digits": ("convolutional", 97),
    "digits_rnn": ("test_accuracy", 95),
    "eight_or_not": ("test_accuracy", 98),
    "faces": ("accuracy", 90),
    "iris": ("test_accuracy", 93),
    "mnist_dense": ("test_accuracy", 98),
    "regression": ("logistic_accuracy", 95),
    "texts": ("test_accuracy", 90),
    "tune": ("test_accuracy", 95),
    "voices": ("test_accuracy", 90),
}


@pytest.mark.parametrize("name", LEAST)
def test_records_of_whole_runs_reach_what_is_asked(name):
    record = json.loads((SCRIPT.parents[1] / f"examples/results/{name}.json").read_text("utf-8"))
    measure, least = LEAST[name]
    assert record["results"][measure] >= least and record["command"].startswith(f"python examples/{name}.py")


@pytest.mark.parametrize(
    "name, rows",
    [
        ("test_002_26_max_pooling", ["002-26"]),
        ("test_n7_n8_n9_two_filters", ["N7", "N8", "N9"]),
        ("test_n1f_gradients", ["N1f"]),
        ("test_001_8_003_19_descent_in_2_dimensions", ["001-8", "003-19"]),
        ("test_something_3", []),
    ],
)
def test_names_of_tests_name_rows(table, name, rows):
    assert table.rows_of(name) == rows
