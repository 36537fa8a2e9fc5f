"""Small images as PNG without Pillow: what a page shows of a data set (ISO/IEC 15948, 8 bits, grey or RGB)."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

__all__ = ["as_pixels", "data_uri", "png_bytes"]

_GREY, _RGB = 0, 2


def png_bytes(image: np.ndarray) -> bytes:
    """A PNG file of uint8 pixels (H, W) or (H, W, 3)."""
    height, width = image.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, _GREY if image.ndim == 2 else _RGB, 0, 0, 0)
    lines = np.ascontiguousarray(image).reshape(height, -1)
    scanlines = np.pad(lines, ((0, 0), (1, 0)))  # each begins with its filter: 0, none
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(scanlines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def data_uri(image: np.ndarray) -> str:
    """uint8 pixels (H, W) or (H, W, 3) as the ``src`` of an ``img``."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()


def as_pixels(x: np.ndarray) -> np.ndarray:
    """Images (N, H, W), (N, H, W, 1) or (N, H, W, 3) as uint8: grey ones stretched from the least to the greatest value of all,
    colours from 0..1 where no value is greater, else as they are."""
    grey = x.ndim == 3 or x.shape[-1] == 1
    x = x.reshape(x.shape[:3]) if grey else x
    if not x.size or (x.dtype == np.uint8 and not grey):
        return x.astype(np.uint8)
    low, high = (float(x.min()), float(x.max())) if grey else (0.0, 1.0 if x.max() <= 1 else 255.0)
    scaled = (x.astype(np.float64) - low) * (255 / ((high - low) or 1.0))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
