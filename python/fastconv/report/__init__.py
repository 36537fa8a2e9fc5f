"""A training as one HTML file that opens anywhere: no network, no scripts, no fonts from elsewhere, NumPy alone to write it.

:func:`write` is the function; ``fastconv train --report`` calls it.
"""

from __future__ import annotations

from fastconv.report.write import write

__all__ = ["write"]
