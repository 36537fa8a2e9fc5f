"""Where data-set files are looked for, and what to say when they are nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import DatasetError

__all__ = ["cache_folder", "find", "folders", "missing"]


def cache_folder(name: str) -> Path:
    """``name``'s folder in FASTCONV_CACHE, else XDG_CACHE_HOME/fastconv, else ~/.cache/fastconv."""
    if own := os.environ.get("FASTCONV_CACHE"):
        return Path(own).expanduser() / name
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache"  # the XDG standard: ignore relative paths
    return base / "fastconv" / name


def folders(name: str, aliases: Iterable[str] = (), system: Iterable[Path] = ()) -> list[Path]:
    """The folders to search: FASTCONV_DATA/``name``, /``aliases`` and itself, ``system``, the cache.

    Raises:
        DatasetError: FASTCONV_DATA is set and is no folder (a typing error must not turn into a download).
    """
    found: list[Path] = []
    if data := os.environ.get("FASTCONV_DATA"):
        root = Path(data).expanduser()
        if not root.is_dir():
            raise DatasetError(
                f"[datasets] FASTCONV_DATA must name a folder: got FASTCONV_DATA={data!r}. Correct or unset it."
            )
        found += [root / name, *(root / alias for alias in aliases), root]
    return [*found, *system, cache_folder(name)]


def system_folders(name: str) -> list[Path]:
    """Where distributions install data sets: Debian's dataset-* packages, and the Python prefix."""
    places = [Path("/usr/share/datasets") / name, Path(sys.prefix) / "share" / "datasets" / name]
    return list(dict.fromkeys(places))


def find(names: Sequence[str], places: Iterable[Path]) -> Path | None:
    """The first existing file of any of ``names`` in ``places``."""
    return next((place / name for place in places for name in names if (place / name).is_file()), None)


def missing(op: str, name: str, files: Sequence[str], places: Sequence[Path], why: str = "") -> DatasetError:
    """The error that says what was looked for, where, and exactly which files to put into which folder."""
    listed = ", ".join(str(place) for place in places)
    return DatasetError(
        f"[{op}] data files are missing: expected {', '.join(files)}, found none in {listed}. {why}"
        f"Put {'these files' if len(files) > 1 else 'this file'} into {cache_folder(name)}, or into "
        f"FOLDER/{name} and set FASTCONV_DATA=FOLDER."
    )
