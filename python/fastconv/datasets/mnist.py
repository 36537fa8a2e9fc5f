"""MNIST: 70,000 handwritten digits, 28x28 grey (LeCun, Cortes, Burges 1998; licence CC BY-SA 3.0)."""

from __future__ import annotations

from typing import Any

from ._idx_sets import IdxSet, Pair

__all__ = ["class_names", "load_data"]

class_names = tuple("0123456789")

_SET = IdxSet(
    name="mnist",
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    aliases=("MNIST/raw",),
)


def load_data(path: Any = None) -> tuple[Pair, Pair]:
    """Load MNIST: ``(x_train, y_train), (x_test, y_test)``.

    Looks for the four IDX files (``train-images-idx3-ubyte.gz`` and so on, or without ``.gz``) in
    FASTCONV_DATA/mnist, FASTCONV_DATA, and the cache (FASTCONV_CACHE, else XDG_CACHE_HOME/fastconv, else
    ~/.cache/fastconv), then downloads them into the cache. The SHA-256 of every file is checked.

    Args:
        path: a folder with the four files, or a ``.npz`` in Keras's layout; nothing else is then searched.

    Returns:
        x_train (60000,28,28), y_train (60000,), x_test (10000,28,28), y_test (10000,), all uint8: pixels
        0..255 with 0 the background, labels 0..9.

    Raises:
        DatasetError: files missing (says which to put where), malformed, or not the published ones.
    """
    return _SET.load(path)
