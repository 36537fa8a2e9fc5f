"""Layers, with Keras's names and arguments."""

from typing import Any

from fastconv.layers.activations import ELU, GELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastconv.layers.activity import ActivityRegularization
from fastconv.layers.augmentation import RandomCrop, RandomFlip, RandomTranslation
from fastconv.layers.base import Layer
from fastconv.layers.borders import Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from fastconv.layers.convolution import Conv2D, Conv2DTranspose, DepthwiseConv2D
from fastconv.layers.convolution1d import Conv1D, Conv1DTranspose, DepthwiseConv1D, SeparableConv1D
from fastconv.layers.convolution3d import Conv3D, Conv3DTranspose
from fastconv.layers.core import Dense, Dropout, Flatten, Input, InputLayer, Rescaling, Reshape
from fastconv.layers.embedding import Embedding, RepeatVector
from fastconv.layers.lengths import RMSNormalization, UnitNormalization
from fastconv.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from fastconv.layers.missing import explain as _explain
from fastconv.layers.noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from fastconv.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from fastconv.layers.pooling import (
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    MinPooling2D,
    SumPooling2D,
)
from fastconv.layers.pooling1d import AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D
from fastconv.layers.pooling3d import AveragePooling3D, GlobalAveragePooling3D, GlobalMaxPooling3D, MaxPooling3D
from fastconv.layers.random_color import RandomBrightness, RandomContrast
from fastconv.layers.random_geometry import RandomRotation, RandomShear, RandomZoom
from fastconv.layers.rearranging import Identity, Lambda, Permute, UpSampling3D
from fastconv.layers.recurrent import GRU, LSTM, SimpleRNN
from fastconv.layers.resizing import CenterCrop, Resampling2D, Resizing, UpSampling1D, UpSampling2D
from fastconv.layers.separable import SeparableConv2D
from fastconv.layers.spectral import SpectralNormalization
from fastconv.layers.standardization import Normalization
from fastconv.layers.symbolic import SymbolicTensor
from fastconv.layers.wrappers import Bidirectional, TimeDistributed
from fastconv.variables import sizes_only

# Keras's other names for the same.
AvgPool1D, MaxPool1D = AveragePooling1D, MaxPooling1D
GlobalAvgPool1D, GlobalMaxPool1D = GlobalAveragePooling1D, GlobalMaxPooling1D
Convolution1D, Convolution1DTranspose = Conv1D, Conv1DTranspose
AvgPool2D, MaxPool2D = AveragePooling2D, MaxPooling2D
GlobalAvgPool2D, GlobalMaxPool2D = GlobalAveragePooling2D, GlobalMaxPooling2D
Convolution2D, Convolution2DTranspose = Conv2D, Conv2DTranspose
AvgPool3D, MaxPool3D = AveragePooling3D, MaxPooling3D
GlobalAvgPool3D, GlobalMaxPool3D = GlobalAveragePooling3D, GlobalMaxPooling3D
Convolution3D, Convolution3DTranspose = Conv3D, Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "Activation",
    "ActivityRegularization",
    "Add",
    "AlphaDropout",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Bidirectional",
    "CenterCrop",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MinPooling2D",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Resampling2D",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "Subtract",
    "SumPooling2D",
    "SymbolicTensor",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "sizes_only",
    "subtract",
]


def __getattr__(name: str) -> Any:
    raise AttributeError(_explain(name))
