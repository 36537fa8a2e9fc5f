"""The tutorials: their pictures are there, described and small, and their numbers are measured, or stand in what they show."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs/tutorials").glob("*.md"))
PICTURES = ROOT / "docs/tutorials/pictures"


def shown():
    """(description, file) of every picture that a tutorial shows."""
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    return re.findall(r"!\[([^\]]*)\]\(pictures/([^)]+)\)", pages)


def test_pages_show_the_pictures_that_there_are():
    names = [name for _, name in shown()]
    assert len(names) == len(set(names))
    assert set(names) == {path.name for path in PICTURES.iterdir()}


def test_pictures_are_described_for_those_who_do_not_see_them():
    assert all(len(text) > 20 for text, _ in shown())


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert max(sizes.values()) <= 60_000 and sum(sizes.values()) <= 600_000, sizes


def numbers(record):
    """All numbers of a JSON value."""
    if isinstance(record, dict):
        record = list(record.values())
    if isinstance(record, list):
        return [number for value in record for number in numbers(value)]
    return [record] if isinstance(record, (int, float)) else []


def records(text):
    """Those of examples/results that a text names."""
    names = sorted(set(re.findall(r"(?:examples/)?results/(\w+\.json)", text)))
    return [json.loads((ROOT / "examples/results" / name).read_text("utf-8")) for name in names]


def measured(found, number):
    """Whether a number, to as many places as it is told with, is among the results of records."""
    places = len(number.partition(".")[2])
    return any(f"{value:.{places}f}" == number for record in found for value in numbers(record["results"]))


def prose(text):
    """A page without its code, the targets of its links and years of publication."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`|\[[^\]]*\]\(http[^)]*\)|\]\([^)]*\)|\b[A-Z][a-z]+ (et al\. )?(19|20)\d\d\b", "", text)


def code(text):
    """What a page shows or names beside prose: its own Python, the examples, their settings and names of results."""
    examples = [(ROOT / name).read_text("utf-8") for name in re.findall(r"\.\./\.\./(examples/\w+\.py)", text)]
    settings = [json.dumps([record["command"], record["results"]]) for record in records(text)]
    return "\n".join([*re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL), *examples, *settings])


NUMBER = r"(?<![\w.])\d[\d,]*\d(?:\.\d+)?(?!\w)|(?<![\w.])\d\.\d+(?!\w)"  # of two digits and more
GIVEN = {  # numbers that are no measurements
    "convolution": {"200", "120,000", "180"},  # 200 · 200 · 3; degrees
    "digits": {"1,797", "359"},  # digits, those for the test: tests/test_datasets_formats.py
    "iris": {"105"},  # 150 - 45
    "mnist": {"10,000", "784", "34,826"},  # test digits; 28 · 28; tests/test_keras_example.py counts the last
    "photographs": {
        "10",
        "10,000",
        "50",
        "50.0",
        "95",
        "370",
    },  # one of ten classes; test images; intervals of 95 %; photographs
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_numbers_are_measured_or_stand_in_the_code(page):
    """Percentages come from the results that the page names; other numbers from there, from the code, or are given."""
    text = page.read_text("utf-8")
    found, beside, words = records(text), code(text), prose(text)
    percentages = set(re.findall(r"(\d+(?:\.\d+)?) %", words))
    lost = {p for p in percentages - GIVEN.get(page.stem, set()) if not measured(found, p)}
    for token in set(re.findall(NUMBER, words)) - GIVEN.get(page.stem, set()) - percentages:
        number = token.replace(",", "")
        if not measured(found, number) and not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", beside):
            lost.add(token)
    assert not lost


def test_percentages_of_the_examples_page_are_measured():
    text = (ROOT / "examples/README.md").read_text("utf-8")
    claimed = set(re.findall(r"(\d\d(?:\.\d+)?) %", text)) - {"94"}  # 94 %: what the paper reaches
    assert all(measured(records(text), share) for share in claimed)


@pytest.mark.parametrize("path", sorted((ROOT / "examples/results").glob("*.json")), ids=lambda path: path.stem)
def test_records_say_where_they_come_from(path):
    record = json.loads(path.read_text("utf-8"))
    assert {"results", "command", "cpu", "threads", "fastconv", "python"} <= set(record)
    script = re.match(r"python (examples/\w+\.py) ", record["command"])
    assert (ROOT / script[1]).exists()
