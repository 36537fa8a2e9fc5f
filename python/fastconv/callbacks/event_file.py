"""TensorBoard's files: records with checksums, each a protocol buffer. Written here in full, since the package that could
do it brings a web server, gRPC and a protobuf runtime along.

A record is ``u64 length | u32 masked CRC-32C of the length | data | u32 masked CRC-32C of the data``, little-endian.
A protocol buffer is a row of fields, ``varint(number << 3 | kind)`` and a value. The numbers are those of TensorFlow's
event.proto, summary.proto and graph.proto.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fastconv._locks import Serial

__all__ = ["EventFile", "GraphNode", "crc32c"]

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
_BUCKETS = 30  # of a histogram, as many as TensorFlow's
_count = Serial()


class GraphNode(NamedTuple):
    """A box of the graph, with arrows from the boxes that ``inputs`` names."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]


class EventFile:
    """A new file of events in a folder, where TensorBoard finds it.

    Args:
        folder: made if missing.

    Raises:
        OSError: if it cannot be written.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_count)}"
        self._file = open(os.path.join(folder, name), "xb")  # noqa: SIM115  # closed by close()
        self._event(_bytes(3, b"brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A number of a curve."""
        self._summary(tag, _field(2, _FLOAT) + struct.pack("<f", value), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How often values fall into each of 30 intervals of one width."""
        numbers = np.asarray(values, np.float64).reshape(-1)
        counts, edges = np.histogram(numbers, _BUCKETS)
        moments = numbers.min(), numbers.max(), numbers.size, numbers.sum(), np.square(numbers).sum()
        message = b"".join(_field(i, _DOUBLE) + struct.pack("<d", value) for i, value in enumerate(moments, 1))
        message += _bytes(6, edges[1:].astype("<f8").tobytes()) + _bytes(7, counts.astype("<f8").tobytes())
        self._summary(tag, _bytes(5, message), step)

    def graph(self, nodes: Iterable[GraphNode]) -> None:
        """The graph of a model; a file has one."""
        versions = _bytes(4, _field(1, _VARINT) + _varint(22))
        self._event(_bytes(4, b"".join(_bytes(1, _node(node)) for node in nodes) + versions))

    def flush(self) -> None:
        """Lets readers see what was written so far."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _summary(self, tag: str, value: bytes, step: int) -> None:
        entry = _bytes(1, tag.encode()) + value
        self._event(_field(2, _VARINT) + _varint(step) + _bytes(5, _bytes(1, entry)))

    def _event(self, fields: bytes) -> None:
        data = _field(1, _DOUBLE) + struct.pack("<d", time.time()) + fields
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


def _node(node: GraphNode) -> bytes:
    message = _bytes(1, node.name.encode()) + _bytes(2, node.kind.encode())
    message += b"".join(_bytes(3, name.encode()) for name in node.inputs)
    shapes = b"".join(_bytes(7, _shape(shape)) for shape in node.shapes)
    attribute = _bytes(1, b"_output_shapes") + _bytes(2, _bytes(1, shapes))
    return message + _bytes(5, attribute)


def _shape(shape: Sequence[int | None]) -> bytes:
    return b"".join(_bytes(2, _field(1, _VARINT) + _varint(-1 if extent is None else extent)) for extent in shape)


def _field(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _bytes(number: int, data: bytes) -> bytes:
    """A field of text, of packed numbers, or that is a message itself."""
    return _field(number, _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reflected
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The CRC-32C of RFC 3720, appendix B.4.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _checksum(data: bytes) -> bytes:
    """Masked, since a checksum of data that hold checksums is weak."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
