"""Names the format of a file that is not ours from its first bytes; nothing here opens or unpacks it."""

from __future__ import annotations

_MAGICS = [
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (.h5), as Keras 2 writes"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GGUF", "a GGUF file"),
]

_ZIP_ENTRIES = [
    (b".pkl", "a PyTorch file (.pth, .pt): a zip of pickles"),
    (b".npy", "a NumPy archive (.npz)"),
    (b"metadata.json", "a Keras 3 archive (.keras)"),
    (b"config.json", "a Keras 3 archive (.keras)"),
    (b".weights.h5", "a Keras 3 archive (.keras)"),
]

MAGIC_BYTES = 128
"""How many bytes of a file :func:`foreign_format` wants to see."""


def foreign_format(start: bytes) -> str:
    """Say in words what a file that starts with ``start`` probably is, or ``"of an unknown kind"``."""
    for magic, words in _MAGICS:
        if start.startswith(magic):
            return words
    if start.startswith(b"PK\x03\x04"):
        # A local file header: the length of the first entry's name at 26, the name itself at 30 (PKWARE
        # APPNOTE 4.3.7).
        name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
        return next((words for ending, words in _ZIP_ENTRIES if name.endswith(ending)), "a zip archive")
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:  # opcode PROTO and a protocol number
        return "a Python pickle (.pkl, or an old .pth)"
    return "of an unknown kind"
