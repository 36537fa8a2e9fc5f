"""The pictures of the tutorials: all that a page names are there, all that are there are shown, none is large."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "tutorials/pictures"


def shown():
    """(description, file) of every picture that a tutorial shows."""
    pages = "\n".join(page.read_text("utf-8") for page in (DOCS / "tutorials").glob("*.md"))
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
