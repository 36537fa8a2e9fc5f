"""CIFAR-10: 60,000 colour photographs, 32x32, ten classes (Krizhevsky 2009; research use, cite it)."""

from __future__ import annotations

from typing import Any

from ._cifar import CifarSet, Pair

__all__ = ["class_names", "load_data"]

class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_SET = CifarSet(
    name="cifar10",
    records=(10_000,) * 6,
    binary=(*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
    pickled=(*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"),
    labels=("labels",),
    classes=(10,),
    archives=("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-batches-py.tar.gz"),
    archive="cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    mirrors=(
        "https://www.cs.toronto.edu/~kriz",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    ),
    aliases=("cifar-10-batches-bin", "cifar-10-batches-py"),
)


def load_data(path: Any = None) -> tuple[Pair, Pair]:
    """Load CIFAR-10: ``(x_train, y_train), (x_test, y_test)``.

    Looks for the binary batches (``data_batch_1.bin`` ... ``test_batch.bin``), the Python batches
    (``data_batch_1`` ... ``test_batch``, read without unpickling) or the archive of either
    (``cifar-10-binary.tar.gz``, ``cifar-10-python.tar.gz``) in FASTCONV_DATA/cifar10, FASTCONV_DATA and the
    cache (FASTCONV_CACHE, else XDG_CACHE_HOME/fastconv, else ~/.cache/fastconv), then downloads the Python
    archive into the cache.

    The download is checked by SHA-256. Local files are checked for structure only (sizes, labels 0..9), so
    that re-encoded copies of the images can be used.

    Args:
        path: a folder with the batches or an archive, or the archive itself; nothing else is then searched.

    Returns:
        x_train (50000,32,32,3), y_train (50000,1), x_test (10000,32,32,3), y_test (10000,1), all uint8:
        pixels 0..255 in the order red, green, blue; labels 0..9 (``class_names``).

    Raises:
        DatasetError: files missing (says which to put where) or malformed.
    """
    return _SET.load(path)
