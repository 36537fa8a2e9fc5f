"""What may be a path: a str, bytes or os.PathLike that the system can name a file by."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

_KINDS = [
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a directory"),
]


def checked_path(path: Any, op: str) -> str:
    """Return ``path`` as a str.

    Raises:
        TypeError: for anything else, file descriptors (ints) included.
        OSError: if no file can have that name: empty, with a NUL, or not encodable.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(
            f"[{op}] path must be a str or os.PathLike: got path={path!r} of type {type(path).__name__}. "
            "Give the name of a file."
        )
    name = os.fsdecode(path)
    if not name:
        raise FileNotFoundError(errno.ENOENT, f"[{op}] path must not be empty", name)
    try:
        usable = b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise OSError(errno.EINVAL, f"[{op}] path holds a character that no file name can hold", name)
    return name


def file_kind(mode: int) -> str:
    """Words for the type of a file that is not regular, from its ``st_mode``."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "a special file")
