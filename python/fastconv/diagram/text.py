"""Text in XML."""

from __future__ import annotations

from html import escape

__all__ = ["xml_text"]


def xml_text(text: str) -> str:
    """Escaped, without the control characters that XML forbids."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
