"""Helpers around training: labels, splits, scaling, channels, differences, predictions in words, seeds."""

from __future__ import annotations

from typing import Any

from .arrays import add_channel, merge_channels, normalize, split_channels
from .labels import LabelEncoder, to_categorical
from .numeric import numeric_gradient
from .plot_model import plot_model
from .predictions import decode_predictions, prediction_text
from .seeds import set_random_seed
from .split import train_val_test_split

_OF_DATASETS = ("image_dataset_from_directory", "load_img")  # where Keras has them

__all__ = [
    "LabelEncoder",
    "add_channel",
    "decode_predictions",
    "image_dataset_from_directory",
    "load_img",
    "merge_channels",
    "normalize",
    "numeric_gradient",
    "plot_model",
    "prediction_text",
    "set_random_seed",
    "split_channels",
    "to_categorical",
    "train_val_test_split",
]


def __getattr__(name: str) -> Any:
    if name in _OF_DATASETS:
        from fastconv.datasets import image_folder  # which uses this package

        return getattr(image_folder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
