"""Layers, with Keras's names and arguments."""

from fastconv.layers.activations import ELU, GELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastconv.layers.augmentation import RandomCrop, RandomFlip, RandomTranslation
from fastconv.layers.base import Layer
from fastconv.layers.borders import Cropping1D, Cropping2D, ZeroPadding1D, ZeroPadding2D
from fastconv.layers.convolution import Conv2D, Conv2DTranspose, DepthwiseConv2D
from fastconv.layers.convolution1d import Conv1D
from fastconv.layers.core import Dense, Dropout, Flatten, Input, InputLayer, Rescaling, Reshape
from fastconv.layers.merging import Add, Concatenate, Multiply, Subtract
from fastconv.layers.noise import AlphaDropout, SpatialDropout1D, SpatialDropout2D
from fastconv.layers.normalization import BatchNormalization, LayerNormalization
from fastconv.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    MinPooling2D,
    SumPooling2D,
)
from fastconv.layers.pooling1d import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from fastconv.layers.separable import SeparableConv2D
from fastconv.layers.standardization import Normalization
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.variables import sizes_only

__all__ = [
    "ELU",
    "GELU",
    "Activation",
    "Add",
    "AlphaDropout",
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MinPooling2D",
    "Multiply",
    "Normalization",
    "PReLU",
    "RandomCrop",
    "RandomFlip",
    "RandomTranslation",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "Subtract",
    "SumPooling2D",
    "SymbolicTensor",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "sizes_only",
]
