"""Every malformed file is a CheckpointError, at once, in little memory, and nothing in it is ever run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv.saving
from fastconv.errors import CheckpointError
from fastconv.saving import Archive, load_archive, save_archive

ARCHIVE = Archive(
    {"layers": [{"class": "Dense", "config": {"units": 3}}]},
    {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "mask": np.array([True, False])},
    {"class": "SGD", "iterations": 5},
    {"momentum": np.arange(4, dtype=np.float64)},
    {"epoch": 1, "history": {"loss": [0.5]}},
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "m"
    save_archive(path, ARCHIVE)
    return path.read_bytes()


def split(file: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def assemble(header: bytes, data: bytes) -> bytes:
    """A container with the right length and header checksum, so that the rule under test is met first."""
    match = re.search(rb'"header_sha256":"([0-9a-f]{64})"', header)
    if match:
        zeroed = header.replace(match[1], b"0" * 64)
        header = header.replace(match[1], hashlib.sha256(zeroed).hexdigest().encode())
    return len(header).to_bytes(8, "little") + header + data


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """A file whose header was changed as a Python dict."""

    def make(good: bytes) -> bytes:
        header, data = split(good)
        change(header)
        return assemble(json.dumps(header, separators=(",", ":")).encode(), data)

    return make


def tensor(name: str = "weights/kernel", **fields: Any) -> Callable[[bytes], bytes]:
    return edited(lambda header: header[name].update(fields))


def metadata(**fields: Any) -> Callable[[bytes], bytes]:
    return edited(lambda header: header["__metadata__"].update(fields))


def archive_text(text: str) -> Callable[[bytes], bytes]:
    return metadata(archive=text)


def config_text(config: str) -> Callable[[bytes], bytes]:
    return archive_text('{"config":' + config + ',"optimizer":null,"progress":null}')


def header_bytes(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A file whose header was changed as bytes."""

    def make(good: bytes) -> bytes:
        length = int.from_bytes(good[:8], "little")
        return assemble(change(good[8 : 8 + length]), good[8 + length :])

    return make


def length_field(length: int) -> Callable[[bytes], bytes]:
    return lambda good: struct.pack("<Q", length) + good[8:]


def flipped(good: bytes, at: int) -> bytes:
    return good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :]


def archive_of(*names: str) -> Callable[[bytes], bytes]:
    def make(_: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for name in names:
                file.writestr(name, b"x" * 200)
        return buffer.getvalue()

    return make


# What the message must speak of, and how the file is made from a good one. K-numbers: bad_inputs.md.
MALFORMED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "empty file": ("not a fastconv file", lambda good: b""),
    "seven bytes": ("not a fastconv file", lambda good: good[:7]),
    "K7 length 2**63": ("header length=9223372036854775808", length_field(2**63)),
    "K7 length 2**64-1": ("header length=18446744073709551615", length_field(2**64 - 1)),
    "K7 length beyond the file": ("header length", lambda good: length_field(len(good) - 7)(good)),
    "length 0": ("valid JSON", length_field(0)),
    "length 1": ("valid JSON", length_field(1)),
    "header above 8 MiB": ("<= 8388608", header_bytes(lambda h: h + b" " * (8 << 20))),
    "K9 not UTF-8": ("header must be ASCII", header_bytes(lambda h: h.replace(b"kernel", b"kern\xff\xfe"))),
    "K9 not JSON": ("header must be valid JSON", header_bytes(lambda h: h[: len(h) // 2])),
    "K9 JSON list": ("header start=b'\\['", header_bytes(lambda h: b"[" + h + b"]")),
    "K9 starts with a space": ("header start=b' '", header_bytes(lambda h: b" " + h)),
    "K9 garbage after the JSON": ("valid JSON: Extra data", header_bytes(lambda h: h + b"{}")),
    "K9 garbage after the data": ("data section must end", lambda good: good + b"\0"),
    "K11 duplicate tensor": (
        "unique: got 'weights/mask'",
        header_bytes(lambda h: h.replace(b"{", b'{"weights/mask":0,', 1)),
    ),
    "K11 duplicate field": (
        "unique: got 'dtype'",
        header_bytes(lambda h: h.replace(b'"shape"', b'"dtype"', 1)),
    ),
    "K11 NaN": ("literal NaN", header_bytes(lambda h: h.replace(b"[2,3]", b"[2,NaN]"))),
    "K11 Infinity": ("literal -Infinity", header_bytes(lambda h: h.replace(b"[2,3]", b"[2,-Infinity]"))),
    "K11 1e400": ("finite in float64", header_bytes(lambda h: h.replace(b"[2,3]", b"[2,1e400]"))),
    "K11 int of a million digits": (
        "128 bits",
        header_bytes(lambda h: h.replace(b"[2,3]", b"[2," + b"9" * 10**6 + b"]")),
    ),
    "K11 config with 1e400": ("archive: .*finite", config_text('{"lr":1e400}')),
    "K11 config with NaN": ("archive: .*NaN", config_text('{"lr":NaN}')),
    "K11 config with a key twice": ("archive: .*unique", config_text('{"a":1,"a":2}')),
    "config beyond ASCII": ("archive must be ASCII", config_text('{"a":"é"}')),
    "config with half an emoji": ("archive must be ASCII", config_text('{"a":"\ud800"}')),
    "float tag misused": (r"\$float", config_text('{"a":{"$float":"__import__"}}')),
    "K13 too few bytes": ("weights/kernel.*shape and dtype must match", tensor(shape=[2, 2])),
    "K13 shape overflow": ("weights/kernel.*overflow", tensor(shape=[2**40, 2**40])),
    "K13 overflow to the right size": ("weights/kernel.*overflow", tensor(shape=[2**62 + 6])),
    "K13 overflow beside a zero": ("overflow", tensor(shape=[0, 2**62, 2**62], data_offsets=[32, 32])),
    "petabyte shape": ("weights/kernel", tensor(shape=[50_000_000, 50_000_000])),
    "negative size": ("weights/kernel.*shape must be", tensor(shape=[-2, -3])),
    "size True": ("shape must be", tensor(shape=[True, 6])),
    "size 2.0": ("shape must be", tensor(shape=[2.0, 3])),
    "size of 64 bits": ("shape must be", tensor(shape=[2**63])),
    "33 dimensions": ("shape must be at most 32", tensor(shape=[1] * 31 + [2, 3])),
    "shape is a str": ("shape must be", tensor(shape="23")),
    "hole": ("without holes", tensor(name="weights/kernel", data_offsets=[33, 57])),
    "overlap": ("without overlap", tensor(name="weights/kernel", data_offsets=[24, 48])),
    "offsets reversed": ("data_offsets must be", tensor(data_offsets=[56, 32])),
    "offsets past the end": ("data_offsets must be", tensor(data_offsets=[32, 2**62])),
    "negative offset": ("data_offsets must be", tensor(data_offsets=[-1, 23])),
    "three offsets": ("data_offsets must be", tensor(data_offsets=[32, 40, 56])),
    "data not covered": ("data section must end", edited(lambda h: h.pop("weights/mask"))),
    "K15 dtype O": ("dtype='O'", tensor(dtype="O")),
    "K15 F64 where F32": ("dtype=F64", tensor(dtype="F64")),
    "K15 dtype of the right size": ("header checksum", lambda good: good.replace(b'"F32"', b'"I32"')),
    "dtype is a list": ("dtype must be", tensor(dtype=["F32"])),
    "tensor is a number": ("must have exactly", edited(lambda h: h.update({"weights/kernel": 3}))),
    "unknown field": ("must have exactly", tensor(file="/etc/passwd")),
    "field missing": ("must have exactly", edited(lambda h: h["weights/kernel"].pop("shape"))),
    "BOOL of 2": ("BOOL must be 0 or 1", lambda good: good[:-1] + b"\2"),
    "tensor of no part": ("must be under", edited(lambda h: h.update({"x": h.pop("weights/mask")}))),
    "no metadata": ("not a fastconv file", edited(lambda h: h.pop("__metadata__"))),
    "metadata is a list": ("not a fastconv file", edited(lambda h: h.update(__metadata__=[]))),
    "metadata of ints": ("str to str", metadata(answer=42)),
    "no checksum": ("none for data_sha256", edited(lambda h: h["__metadata__"].pop("data_sha256"))),
    "no header checksum": ("header_sha256", edited(lambda h: h["__metadata__"].pop("header_sha256"))),
    "no archive": ("must hold 'archive'", edited(lambda h: h["__metadata__"].pop("archive"))),
    "archive is a list": ("archive must be an object", archive_text("[]")),
    "config is a list": ("config must be a dict", config_text("[]")),
    "nested 1e6 deep": ("64 levels|too many", config_text("[" * 10**6)),
    "nested 100 deep": ("64 levels", config_text("[" * 100 + "]" * 100)),
    "K19 1e6 layers": ("layers", config_text('{"layers":[' + "{}," * 10**6 + "{}]}")),
    "K19 20,001": ("10000 layers: got 20001", config_text('{"config":{"layers":[' + "1," * 20000 + "1]}}")),
    "K21 flipped data byte": ("data checksum", lambda good: flipped(good, len(good) - 20)),
    "flipped checksum": (
        "header checksum",
        lambda good: flipped(good, good.index(b'"data_sha256":"') + len(b'"data_sha256":"')),
    ),
    "K23 .h5": ("not a fastconv file.*HDF5", lambda good: b"\x89HDF\r\n\x1a\n" + bytes(500)),
    "K23 .keras": ("not a fastconv file.*Keras 3", archive_of("metadata.json", "model.weights.h5")),
    "K23 .pth": ("not a fastconv file.*PyTorch", archive_of("archive/data.pkl", "archive/version")),
    "K23 .npz": ("not a fastconv file.*NumPy archive", archive_of("x.npy")),
    "other zip": ("not a fastconv file.*zip", archive_of("readme.txt")),
    "K23 .pkl": ("not a fastconv file.*pickle", lambda good: pickle.dumps(list(range(100)))),
    "K25 newer version": ("file version 9 .*fastconv 8.7.*library reads <= 1", metadata(
        format_version="9.1", fastconv_version="8.7")),
    "version is no number": ("format_version must be", metadata(format_version="one")),
}  # fmt: skip


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


@pytest.mark.parametrize("path", [None, 3, True, 1.5, ["m"], object()], ids=repr)
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
