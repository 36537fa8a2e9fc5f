"""Every malformed file is a CheckpointError, at once: named ones, truncated ones, flipped bytes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from fastconv.errors import CheckpointError
from fastconv.saving import Archive, load_archive, save_archive
from fastconv.testing.malformed_files import (
    ARCHIVE,
    MALFORMED,
    flipped,
    good_file,
    metadata,
)


@pytest.fixture(scope="module")
def good() -> bytes:
    return good_file()


@pytest.mark.parametrize("name", MALFORMED)
def test_named_malformed_file(tmp_path, good, name):
    message, make = MALFORMED[name]
    path = tmp_path / "m"
    path.write_bytes(make(good))
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=message) as caught:
        load_archive(path)
    assert time.perf_counter() - start < 1
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1500


def test_a_newer_minor_version_loads(tmp_path, good):
    (tmp_path / "m").write_bytes(metadata(format_version="1.7")(good))
    assert load_archive(tmp_path / "m").config == ARCHIVE.config


def test_a_config_with_hostile_names_is_only_data(tmp_path):
    config = {"layers": [{"class": name} for name in ("os.system", "builtins.eval", "../x", "Lambda", "__import__")]}
    save_archive(tmp_path / "m", Archive(config, {}))
    assert load_archive(tmp_path / "m").config == config


def check(path: Path, file: bytes) -> bool:
    """True for a correct load, False for a CheckpointError; anything else escapes."""
    path.write_bytes(file)
    try:
        loaded = load_archive(path)
    except CheckpointError:
        return False
    assert (loaded.config, loaded.optimizer, loaded.progress) == (
        ARCHIVE.config,
        ARCHIVE.optimizer,
        ARCHIVE.progress,
    )
    for before, after in [(ARCHIVE.weights, loaded.weights), (ARCHIVE.slots, loaded.slots)]:
        assert list(before) == list(after)
        assert all(before[n].tobytes() == after[n].tobytes() and before[n].dtype == after[n].dtype for n in before)
    return True


def test_every_truncation_is_refused(tmp_path, good):
    padded = Archive(**{**vars(ARCHIVE), "weights": {**ARCHIVE.weights, "more": np.arange(150, dtype=np.float64)}})
    save_archive(tmp_path / "big", padded)
    file = (tmp_path / "big").read_bytes()
    assert len(file) > 1900
    assert not any(check(tmp_path / "m", file[:length]) for length in range(len(file)))


def test_every_flipped_data_byte_is_refused(tmp_path, good):
    start = 8 + int.from_bytes(good[:8], "little")
    assert not any(check(tmp_path / "m", flipped(good, at)) for at in range(start, len(good)))


def flip_bytes(path: Path, good: bytes, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(count):
        file = bytearray(good)
        file[random.integers(len(file))] ^= int(random.integers(1, 256))
        check(path, bytes(file))


def test_2000_byte_flips(tmp_path, good):
    flip_bytes(tmp_path / "m", good, 2000, seed=1)


@pytest.mark.nightly
def test_20000_byte_flips(tmp_path, good):
    flip_bytes(tmp_path / "m", good, 20_000, seed=2)
