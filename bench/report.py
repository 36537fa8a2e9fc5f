"""Turns results files into tables, pictures and the README's section on speed.

    python bench/report.py            of the results that the README shows
    python bench/report.py NAME ...   of bench/results/NAME.json, which the README shows from now on, side by side

Writes bench/results/NAME.md (every row), bench/results/NAME.svg (needs matplotlib) and the part of README.md between
the markers. A test compares the texts with the JSON file, so that no number can be changed by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import results
import roofline
import tables

README = Path(__file__).parents[1] / "README.md"
_SECTION = re.compile(r"(?<=<!-- bench: )([\w ]+)( -->\n).*?(?=<!-- /bench -->)", re.DOTALL)


def shown() -> list[str]:
    """Names of the results that the README shows."""
    found = _SECTION.search(README.read_text(encoding="utf-8"))
    assert found, "README.md has lost its markers <!-- bench: NAME ... --> and <!-- /bench -->"
    return found[1].split()


def readme(names: Sequence[str]) -> str:
    """The README with its section on speed made anew."""
    contents = {name.removeprefix("peers_"): results.load(name) for name in names}
    machines = "\n".join(f"- {called}: {tables.machine(content)}" for called, content in contents.items())
    pictures = "\n".join(f"![Rates under the machine's ceilings](bench/results/{name}.svg)" for name in names)
    rows = "; ".join(
        f"[bench/results/{name}.md](bench/results/{name}.md), from [bench/results/{name}.json](bench/results/{name}.json)"
        for name in names
    )
    section = f"""\
{machines}

{tables.comparison(contents)}

{pictures}

Every row: {rows}.
"""
    return _SECTION.sub(lambda found: f"{' '.join(names)}{found[2]}{section}", README.read_text(encoding="utf-8"))


def page(name: str) -> str:
    """Every row of the results."""
    content = results.load(name)
    return f"""\
# {name}

Made by `python bench/report.py {name}` from {name}.json. {tables.machine(content)}

{tables.promises(content)}

{tables.everything(content)}
"""


def main(names: Sequence[str]) -> None:
    README.write_text(readme(names), encoding="utf-8")
    for name in names:
        (results.RESULTS / f"{name}.md").write_text(page(name), encoding="utf-8")
        roofline.draw(results.load(name), results.RESULTS / f"{name}.svg")
        print(tables.promises(results.load(name)))


if __name__ == "__main__":
    main(sys.argv[1:] or shown())
