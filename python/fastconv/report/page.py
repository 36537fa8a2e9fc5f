"""The page around the sections: head, style, table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Section", "page", "scrolling"]


@dataclass(frozen=True)
class Section:
    """A heading and the HTML below it; ``anchor`` is what the table of contents points at."""

    anchor: str
    heading: str
    body: str


# What a browser may load, said to the browser itself: styles in this file and pictures in data URIs, nothing else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root{color-scheme:light dark;--ink:#16191d;--soft:#4b5563;--paper:#fff;--panel:#f4f6f8;--line:#d5dae0;--accent:#005a92}
@media(prefers-color-scheme:dark){:root{--ink:#eef1f4;--soft:#b3bcc7;--paper:#15181c;--panel:#20252b;--line:#3b434d;--accent:#7cc4f2}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1.5rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
h1{font-size:1.9rem;line-height:1.2;margin:.2rem 0}h2{font-size:1.3rem;margin:2.4rem 0 .8rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
h3{font-size:1rem;margin:1.4rem 0 .5rem}p{margin:.4rem 0 .8rem;max-width:46rem}.soft{color:var(--soft)}
a{color:var(--accent)}nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:.8rem 0 0}
dl.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.2rem 0}
dl.cards div{background:var(--panel);border-radius:8px;padding:.7rem .9rem}
dl.cards dt{color:var(--soft);font-size:.85rem}dl.cards dd{margin:0;font-size:1.35rem;font-weight:600}
.wide{overflow-x:auto;max-width:100%}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
td{white-space:nowrap}caption{text-align:left;color:var(--soft);padding-bottom:.3rem}th,td{padding:.22rem .7rem;border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--line)}
table.matrix td,table.matrix th{border:1px solid var(--paper);padding:.25rem .45rem;min-width:2.2rem;text-align:center;font-weight:400}
table.matrix th[scope=row]{text-align:right}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:.9rem}
figure{margin:0}figure img{width:100%;image-rendering:pixelated;border-radius:4px;background:#000;display:block}
img.classes{image-rendering:pixelated;width:min(100%,34rem);display:block}
figcaption{font-size:.85rem;margin-top:.25rem}.wrong{font-weight:600}
svg{max-width:100%;height:auto}details{margin:.8rem 0}summary{cursor:pointer;color:var(--accent)}
@media print{nav,details>summary{display:none}h2{break-after:avoid}figure,table{break-inside:avoid}}
"""


def scrolling(label: str, body: str) -> str:
    """What may be wider than a phone, in a frame that scrolls by itself, with the keyboard too. ``label`` is said aloud."""
    return f'<div class="wide" role="group" tabindex="0" aria-label="{escape(label)}">{body}</div>'


def page(title: str, subtitle: str, cards: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """The whole file. ``cards`` are the few numbers to see first."""
    links = "".join(f'<li><a href="#{s.anchor}">{escape(s.heading)}</a></li>' for s in sections)
    shown = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in cards)
    bodies = "".join(
        f'<section aria-labelledby="{s.anchor}"><h2 id="{s.anchor}">{escape(s.heading)}</h2>{s.body}</section>'
        for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="soft">{escape(subtitle)}</p>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav></header>'
        f'<main><dl class="cards">{shown}</dl>{bodies}</main></body></html>\n'
    )
