"""Pieces of HTML that notebooks and reports share: escaped, and without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["table"]


def table(header: Sequence[Any], rows: Sequence[Sequence[Any]], caption: str = "", left: Sequence[int] = (0,)) -> str:
    """A table of texts and numbers; the columns of ``left`` are aligned there, the others on the right."""

    def line(row: Sequence[Any], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        cells = (
            f'<{tag}{scope} style="text-align:{"left" if i in left else "right"}">{escape(str(cell))}</{tag}>'
            for i, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"
