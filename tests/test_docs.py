"""The site: every page is reached, every public module has one, and Sphinx has nothing to complain of."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastconv

DOCS = Path(__file__).parents[1] / "docs"


def entries(page):
    """The pages that a page's tables of contents name."""
    trees = re.findall(r"^```{toctree}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    return [page.parent / f"{line}.md" for line in lines]


def test_every_page_is_reached_from_the_first():
    reached, ahead = set(), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        assert page.exists(), page
        reached.add(page)
        ahead += [p for p in entries(page) if p not in reached]
    assert reached == set(DOCS.rglob("*.md"))


def test_every_public_module_has_a_page():
    files = {path.stem for path in Path(fastconv.__file__).parent.iterdir()}
    pages = {page.stem for page in (DOCS / "api").glob("*.md")}
    told_elsewhere = {"dtype_policies", "errors", "random", "reference", "testing", "wrappers"}
    assert set(fastconv.__all__) & files - told_elsewhere <= pages


@pytest.mark.skipif(find_spec("sphinx") is None, reason="builds the site; pip install 'fastconv[docs]'")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-d",
        str(tmp_path / "trees"),
        str(DOCS),
        str(tmp_path / "site"),
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = [page.relative_to(tmp_path / "site") for page in (tmp_path / "site").rglob("*.html")]
    assert len(pages) > 20
    for page in pages:  # nothing comes over a network
        assert not re.search(
            r'(src|href)="https?://[^"]*\.(js|css|woff2?)"', (tmp_path / "site" / page).read_text("utf-8")
        )
