"""Mutators that know a format: what is inside is changed, and the outside made whole again, checksums included.

Bytes changed at random would never come past a checksum, a length or a compressed stream.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from mutate import Mutation

from fastconv.testing.malformed_files import assemble, split

__all__ = ["container", "gzipped", "inside", "pictures", "plain", "protobuf", "tar_gz", "text", "zipped"]

_MOST = 1 << 16  # bytes of an input

Change = Callable[[bytes, Mutation], bytes]


def plain(data: bytes, mutation: Mutation) -> bytes:
    """Libfuzzer's own."""
    return mutation.of_bytes(data)


def inside(change: Change, whole: float = 0.15) -> Change:
    """``change``, but at times the bytes of the whole: also where ``change`` does not understand the input."""

    def mutated(data: bytes, mutation: Mutation) -> bytes:
        if not mutation.chance(whole):
            try:
                changed = data
                for _ in range(mutation.random.choice((1, 1, 1, 2, 4))):
                    changed = change(changed, mutation)
                if len(changed) <= _MOST:
                    return changed
            except Exception:  # what was changed before need not be of the format any more
                return mutation.of_bytes(data)
        return mutation.of_bytes(data)

    return mutated


def text(data: bytes, mutation: Mutation) -> bytes:
    """A line, field or value of text in place of another."""
    what = mutation.random.random()
    if what < 0.3:
        return mutation.of_bytes(data)
    separator = mutation.random.choice((b"\n", b"\n", b",", b"=", b'"'))
    word = str(mutation.word()).encode("utf-8", "replace")
    pieces = mutation.of_list(data.split(separator), lambda piece: word if what < 0.6 else mutation.of_bytes(piece))
    return separator.join(pieces)


# Ours: safetensors with two checksums.


def container(data: bytes, mutation: Mutation) -> bytes:
    """The header, the archive in it, or tensors; lengths, offsets and checksums are those of the new contents."""
    header, body = split(data)
    metadata = header.get("__metadata__")
    archive = isinstance(metadata, dict) and isinstance(metadata.get("archive"), str)
    what = mutation.random.random()
    if archive and what < 0.7:
        metadata["archive"] = mutation.of_json_text(metadata["archive"])
    elif what < 0.9:
        header = mutation.of_json(header)
    else:
        body = mutation.of_bytes(body)
    if mutation.chance(0.85):
        body = _laid_out(header, body)
    raw = json.dumps(header, separators=(",", ":")).encode()
    digest = b'"data_sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"'
    return assemble(re.sub(rb'"data_sha256":"[^"]*"', digest, raw), body)


def _laid_out(header: dict[str, Any], body: bytes) -> bytes:
    """Offsets that follow from shapes, one tensor after the other, and as many bytes."""
    sizes = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "I16": 2, "U16": 2}
    end = 0
    for name, entry in header.items():
        if name == "__metadata__" or not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
            continue
        if all(isinstance(extent, int) for extent in entry["shape"]):
            size = math.prod(entry["shape"]) * sizes.get(str(entry.get("dtype")), 1)
            if size >= 0 and end + size <= _MOST:
                entry["data_offsets"] = [end, end + size]
                end += size
    return (body + bytes(end))[:end]


# Archives.


def zipped(change: Callable[[str], Change], deflated: float = 0.3) -> Change:
    """A zip's members, each by ``change(name)``; their names, number and compression."""

    def mutated(data: bytes, mutation: Mutation) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]

        def member(one: tuple[str, bytes]) -> tuple[str, bytes]:
            name, content = one
            if mutation.chance(0.03):
                return mutation.of_text(name) or "x", content
            return name, change(name)(content, mutation)

        members = mutation.of_list(members, member)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in members:
                method = zipfile.ZIP_DEFLATED if mutation.chance(deflated) else zipfile.ZIP_STORED
                archive.writestr(zipfile.ZipInfo(name), content, method)
        packed = buffer.getvalue()
        return mutation.of_bytes(packed) if mutation.chance(0.05) else packed

    return mutated


def gzipped(change: Change) -> Change:
    """What a gzip stream holds; what is none is changed as it is."""

    def mutated(data: bytes, mutation: Mutation) -> bytes:
        if data[:2] == b"\x1f\x8b":
            return gzip.compress(change(gzip.decompress(data), mutation), 1, mtime=0)
        return change(data, mutation)

    return mutated


_TAR_KINDS = (b"0", b"\0", b"1", b"2", b"5", b"L", b"K", b"x", b"g", b"S", b"7")


def tar_gz(data: bytes, mutation: Mutation) -> bytes:
    """The members of a .tar.gz and what their headers say; or a block of the tar, whose checksum is made right again."""
    raw = gzip.decompress(data)
    if mutation.chance(0.3):
        return gzip.compress(_block(raw, mutation), 1, mtime=0)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        opened = ((info, archive.extractfile(info)) for info in archive)
        members = [(info, b"" if content is None else content.read()) for info, content in opened]

    def member(one: tuple[tarfile.TarInfo, bytes]) -> tuple[tarfile.TarInfo, bytes]:
        info, content = one
        what = mutation.random.random()
        if what < 0.7:
            content = mutation.of_bytes(content)
        elif what < 0.8:
            info.name = mutation.of_text(info.name)
        elif what < 0.9:
            info.type = mutation.random.choice(_TAR_KINDS)
        else:
            key = mutation.random.choice(
                ("size", "path", "GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.major", "mtime")
            )
            info.pax_headers = {**info.pax_headers, key: mutation.of_text("1")}
        return info, content

    buffer = io.BytesIO()
    kind = mutation.random.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for info, content in mutation.of_list(members, member):
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def _block(raw: bytes, mutation: Mutation) -> bytes:
    """One header of 512 bytes changed, with its checksum (POSIX ustar: bytes 148 to 155, octal)."""
    headers = [at for at in range(0, len(raw) - 511, 512) if raw[at + 257 : at + 262] == b"ustar"]
    at = mutation.random.choice(headers)
    block = bytearray(mutation.of_bytes(raw[at : at + 512])[:512].ljust(512, b"\0"))
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return raw[:at] + bytes(block) + raw[at + 512 :]


# Pictures.


def pictures(data: bytes, mutation: Mutation) -> bytes:
    """The chunks of a PNG, with their checksums; other pictures have none."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return mutation.of_bytes(data)
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length

    def chunk(one: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        kind, content = one
        if mutation.chance(0.1):
            kind = mutation.random.choice(
                (b"IHDR", b"PLTE", b"tRNS", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"acTL", b"fcTL", b"eXIf")
            )
        if kind == b"IDAT" and mutation.chance(0.5):
            return kind, zlib.compress(mutation.of_bytes(zlib.decompress(content)), 1)
        return kind, mutation.of_bytes(content)

    parts = [data[:8]]
    for kind, content in mutation.of_list(chunks, chunk):
        parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))]
    return b"".join(parts)


# Protobuf.


def protobuf(make: Callable[[], Any]) -> Change:
    """One field of one message, however deep, of the message that ``make()`` is empty of."""

    def mutated(data: bytes, mutation: Mutation) -> bytes:
        root = make()
        root.ParseFromString(data)
        messages = list(_messages(root))
        message = mutation.random.choice(messages)
        filled = [field for field, _ in message.ListFields()]
        if not filled or mutation.chance(0.15):
            filled = list(message.DESCRIPTOR.fields)
        _change(message, mutation.random.choice(filled), messages, mutation)
        return root.SerializeToString()

    return mutated


def _messages(message: Any) -> Any:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def _change(message: Any, field: Any, messages: list[Any], mutation: Mutation) -> None:
    value = getattr(message, field.name)
    if field.message_type is not None:
        alike = [m for m in messages if m.DESCRIPTOR is field.message_type and m is not message]
        if not field.is_repeated:
            if alike and mutation.chance(0.7):
                copied = mutation.random.choice(alike).SerializeToString()  # it may be inside of what is replaced
                value.ParseFromString(copied)
            else:
                message.ClearField(field.name)
        else:
            parts = [part.SerializeToString() for part in value]
            copied = [m.SerializeToString() for m in alike] or parts
            parts = mutation.of_list(parts or copied[:1], lambda part: mutation.random.choice(copied))
            message.ClearField(field.name)
            for part in parts:
                getattr(message, field.name).add().ParseFromString(part)
    elif field.is_repeated:
        items = list(value)
        if items and mutation.chance(0.8):
            items = mutation.of_list(items, lambda item: _scalar(field, item, mutation))
        else:
            items.append(_scalar(field, items[0] if items else field.default_value or 0, mutation))
        message.ClearField(field.name)
        getattr(message, field.name).extend(items)
    else:
        setattr(message, field.name, _scalar(field, value, mutation))


def _scalar(field: Any, value: Any, mutation: Mutation) -> Any:
    if field.enum_type is not None:
        return mutation.random.choice(field.enum_type.values).number
    if isinstance(value, bytes):
        return mutation.of_bytes(value)
    if isinstance(value, str) or field.cpp_type == field.CPPTYPE_STRING:
        return mutation.of_text(str(value)).encode("utf-8", "replace").decode()
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return float(mutation.random.choice((0.0, -1.0, 1e-30, 1e30, math.inf, math.nan, 0.5)))
    bits = 31 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 63
    number = int(mutation.of_number(int(value or 0)) if abs(float(value or 0)) < 2**62 else 1)
    return max(min(number, 2**bits - 1), 0 if "UINT" in str(field.cpp_type) else -(2**bits))
