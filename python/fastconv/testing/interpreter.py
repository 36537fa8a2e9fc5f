"""What tests have to know of the Python that runs them."""

from __future__ import annotations

import sys

__all__ = ["has_global_lock"]


def has_global_lock() -> bool:
    """False in a free-threaded Python: threads run at once there, and memory that is freed goes back later."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()
