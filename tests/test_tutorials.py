"""The tutorials: their pictures are there, described and small, and their numbers are those of examples/results."""

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "tutorials/pictures"
PAGES = sorted((DOCS / "tutorials").glob("*.md"))


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_percentages_come_from_the_results_that_the_page_names(page):
    text = page.read_text("utf-8")
    files = {DOCS.parent / name for name in re.findall(r"examples/results/\w+\.json", text)}
    measured = {f"{value:.1f}" for file in files for value in numbers(json.loads(file.read_text("utf-8"))["results"])}
    assert set(re.findall(r"\b(\d\d\.\d) %", text)) <= measured
