"""A good file of a model, and every way in which one can be malformed: what the tests of saving read."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.saving import Archive, save_archive

ARCHIVE = Archive(
    {"layers": [{"class": "Dense", "config": {"units": 3}}]},
    {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "mask": np.array([True, False])},
    {"class": "SGD", "iterations": 5},
    {"momentum": np.arange(4, dtype=np.float64)},
    {"epoch": 1, "history": {"loss": [0.5]}},
)


def good_file() -> bytes:
    """The bytes of the file that holds ``ARCHIVE``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
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
    "config with half an emoji": ("half of one", config_text('{"a":"\ud800"}')),
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
