"""What parts ``python bench/nightly`` has."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = Path(__file__).parent


def parts() -> dict[str, str]:
    """The name of every part, with the first line of what it says of itself."""
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        found[path.stem] = docstring.partition("\n")[0]
    return found
