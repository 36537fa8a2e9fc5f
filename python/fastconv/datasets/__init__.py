"""Data sets: ``from fastconv.datasets import digits, mnist, fashion_mnist, cifar10, cifar100``.

Nothing is imported before it is used, so that ``import fastconv`` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cifar10, cifar100, digits, fashion_mnist, mnist
    from .csv_table import load_csv
    from .dataset import Dataset
    from .describing import describe
    from .folder import image_dataset_from_directory
    from .idx import read_idx
    from .loader import from_loader
    from .npz import load_npz

__all__ = [
    "Dataset",
    "cifar10",
    "cifar100",
    "describe",
    "digits",
    "fashion_mnist",
    "from_loader",
    "image_dataset_from_directory",
    "load_csv",
    "load_npz",
    "mnist",
    "read_idx",
]

_HOME = {
    "Dataset": "dataset",
    "describe": "describing",
    "from_loader": "loader",
    "image_dataset_from_directory": "folder",
    "load_csv": "csv_table",
    "load_npz": "npz",
    "read_idx": "idx",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_HOME.get(name, name)}", __name__)
    value = getattr(module, name) if name in _HOME else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
