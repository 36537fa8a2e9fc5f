"""Fashion-MNIST: 70,000 pictures of clothes, 28x28 grey (Xiao, Rasul, Vollgraf 2017; licence MIT)."""

from __future__ import annotations

from typing import Any

from . import _locate
from ._idx_sets import IdxSet, Pair

__all__ = ["class_names", "load_data"]

class_names = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_SET = IdxSet(
    name="fashion_mnist",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ),
    aliases=("fashion-mnist", "FashionMNIST/raw"),
    system=_locate.system_folders("fashion-mnist"),
)


def load_data(path: Any = None) -> tuple[Pair, Pair]:
    """Load Fashion-MNIST: ``(x_train, y_train), (x_test, y_test)``.

    Looks for the four IDX files (``train-images-idx3-ubyte.gz`` and so on, or without ``.gz``) in
    FASTCONV_DATA/fashion_mnist, FASTCONV_DATA, /usr/share/datasets/fashion-mnist (Debian's
    dataset-fashion-mnist), the same below sys.prefix, and the cache (FASTCONV_CACHE, else
    XDG_CACHE_HOME/fastconv, else ~/.cache/fastconv), then downloads them into the cache. The SHA-256 of every
    file is checked.

    Args:
        path: a folder with the four files, or a ``.npz`` in Keras's layout; nothing else is then searched.

    Returns:
        x_train (60000,28,28), y_train (60000,), x_test (10000,28,28), y_test (10000,), all uint8: pixels
        0..255 with 0 the background, labels 0..9 (``class_names``).

    Raises:
        DatasetError: files missing (says which to put where), malformed, or not the published ones.
    """
    return _SET.load(path)
