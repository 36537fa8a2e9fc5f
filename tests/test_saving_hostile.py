"""Files and paths made to do harm take little memory and no time, and nothing in them is ever run."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import fastconv.saving
from fastconv.errors import CheckpointError
from fastconv.saving import Archive, load_archive, save_archive
from fastconv.testing.malformed_files import (
    ARCHIVE,
    MALFORMED,
    config_text,
    edited,
    good_file,
    header_bytes,
)


@pytest.fixture(scope="module")
def good() -> bytes:
    return good_file()


def peak_of_load(path: Path) -> tuple[int, str]:
    """Peak traced memory of a load, and the error's text."""
    message = ""
    tracemalloc.start()
    try:
        load_archive(path)
    except CheckpointError as error:
        message = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, message


MANY = 500_000
HUNGRY = {
    "many empty lists": config_text('{"a":[' + "[]," * MANY + "[]]}"),
    "many keys": config_text("{" + ",".join(f'"{i}":1' for i in range(MANY)) + "}"),
    "many numbers": config_text('{"a":[' + "1.5," * MANY + "1]}"),
    "one wide character": config_text('{"a":"' + "x" * (7 << 20) + '\\ud83d\\ude00"}'),
    "a long string": config_text('{"a":"' + "x" * (7 << 20) + '"}'),
    "a long string of commas": config_text('{"a":"' + "[,:" * (2 << 20) + '"}'),
    "many tensors": edited(lambda h: h.update({str(i): {"dtype": "U8", "shape": [0]} for i in range(100_000)})),
    "spaces": header_bytes(lambda h: h + b" " * (7 << 20)),
}


@pytest.mark.parametrize("name", HUNGRY)
def test_peak_memory_of_a_hungry_header(tmp_path, good, name):
    path = tmp_path / "m"
    path.write_bytes(HUNGRY[name](good))
    assert path.stat().st_size < (8 << 20) + 10_000
    start = time.perf_counter()
    peak, _ = peak_of_load(path)
    assert time.perf_counter() - start < 1
    assert peak <= 2 * path.stat().st_size + (10 << 20)


def test_peak_memory_of_a_good_load(tmp_path):
    weights = {"a": np.ones(2_000_000), "b": np.ones(500_000, np.float32)}
    save_archive(tmp_path / "m", Archive({}, weights))
    peak, message = peak_of_load(tmp_path / "m")
    assert not message and peak <= 1.1 * (tmp_path / "m").stat().st_size + (4 << 20)


def test_peak_memory_of_a_header_of_8_mib_that_the_file_lacks(tmp_path):
    (tmp_path / "m").write_bytes((8 << 20).to_bytes(8, "little") + b"{")
    peak, message = peak_of_load(tmp_path / "m")
    assert "header length" in message and peak < 1 << 20


def test_what_is_no_regular_file_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    start = time.perf_counter()
    for name, words in [("fifo", "a FIFO"), ("link", "a FIFO"), ("socket", "a socket")]:
        with pytest.raises(CheckpointError, match=words):
            load_archive(tmp_path / name)
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(CheckpointError, match="a character device"):
            load_archive(device)
    for name, error in [("", IsADirectoryError), ("dangling", FileNotFoundError), ("loop", OSError)]:
        with pytest.raises(error):
            load_archive(tmp_path / name)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("path", [None, 3, True, 1.5, ["m"], object()], ids=lambda path: type(path).__name__)
def test_wrong_kinds_of_path(path):
    with pytest.raises(TypeError, match="path must be"):
        load_archive(path)
    with pytest.raises(TypeError, match="path must be"):
        save_archive(path, ARCHIVE)


@pytest.mark.parametrize(
    "path", ["", "missing/file", "a\0b", "\ud800", "x" * 5000], ids=["", "dir", "nul", "bad", "long"]
)
def test_impossible_paths(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError):
        load_archive(path)
    with pytest.raises(OSError):
        save_archive(path, ARCHIVE)
    assert not list(tmp_path.iterdir())


WATCH = """
import pathlib, sys
import fastconv.saving
from fastconv.errors import CheckpointError
from fastconv.saving import load_archive
paths = sorted(pathlib.Path(sys.argv[1]).iterdir())
events, on = [], False
def hook(name, args):
    if on and not (name == "open" and (args[0] in names or isinstance(args[0], int))):
        events.append((name, repr(args)[:200]))
names = {str(path) for path in paths}
sys.addaudithook(hook)
loaded = 0
for path in paths:
    on = True
    try:
        load_archive(path)
        loaded += 1
    except CheckpointError as error:
        str(error)
    finally:
        on = False
print(loaded, events)
"""


def test_loading_hostile_files_imports_compiles_and_starts_nothing(tmp_path, good):
    for i, (_, make) in enumerate(MALFORMED.values()):
        (tmp_path / f"bad{i}").write_bytes(make(good))
    save_archive(tmp_path / "hostile", Archive({"layers": [{"class": "os.system", "module": "builtins"}]}, {}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WATCH, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (result.stdout.strip(), result.stderr) == ("1 []", "")


LOADING = ["archive", "container", "foreign", "header", "json_text", "malformed", "paths"]


@pytest.mark.parametrize("name", LOADING)
def test_the_loading_code_has_no_way_to_run_code(name):
    code = (Path(fastconv.saving.__file__).parent / f"{name}.py").read_text()
    assert not re.search(r"import (pickle|marshal|importlib|subprocess|ctypes|h5py|zipfile)", code)
    assert not re.search(r"(?<![\w.])(eval|exec|compile|__import__)\(", code)
