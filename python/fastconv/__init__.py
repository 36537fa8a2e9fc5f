"""fastconv: a small, fast image-recognition training library with a Keras-like API.

Submodules are loaded on first use, so that ``import fastconv`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

from fastconv import errors
from fastconv.config import (
    get_num_threads,
    set_device,
    set_dtype_policy,
    set_num_threads,
    set_precision,
    show_config,
)
from fastconv.errors import CheckpointError, DatasetError, DeviceError, NonFiniteLossError

__version__ = "0.1.0"

_SUBMODULES = (
    "activations",
    "attribution",
    "callbacks",
    "constraints",
    "datasets",
    "dtype_policies",
    "filters",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "onnx",
    "ops",
    "optimizers",
    "plots",
    "random",
    "reference",
    "regularizers",
    "report",
    "saving",
    "schedules",
    "sklearn",
    "testing",
    "tuning",
    "utils",
    "wrappers",
    "zoo",
)
_OF_EXTRAS = ("sklearn", "wrappers")  # which an `import *` need not find
_NAMES = {
    "Input": "fastconv.layers",
    "Model": "fastconv.models",
    "Sequential": "fastconv.models",
    "explain": "fastconv.explanation",
    "load_model": "fastconv.models",
}

__all__ = [
    "CheckpointError",
    "DatasetError",
    "DeviceError",
    "NonFiniteLossError",
    "errors",
    "get_num_threads",
    "set_device",
    "set_dtype_policy",
    "set_num_threads",
    "set_precision",
    "show_config",
    *_NAMES,
    *(name for name in _SUBMODULES if name not in _OF_EXTRAS),
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"fastconv.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
