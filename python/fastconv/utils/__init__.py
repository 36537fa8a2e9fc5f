"""Helpers around training: labels, splits, scaling, channels, seeds."""

from __future__ import annotations

from .arrays import add_channel, merge_channels, normalize, split_channels
from .labels import LabelEncoder, to_categorical
from .plot_model import plot_model
from .seeds import set_random_seed
from .split import train_val_test_split

__all__ = [
    "LabelEncoder",
    "add_channel",
    "merge_channels",
    "normalize",
    "plot_model",
    "set_random_seed",
    "split_channels",
    "to_categorical",
    "train_val_test_split",
]
