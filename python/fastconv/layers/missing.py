"""Layers of Keras 3.15 that do not exist here, and what to do: what an unknown name of ``fastconv.layers`` is answered with."""

from __future__ import annotations

__all__ = ["MISSING", "explain"]

_POOLING = "use a pooling layer whose window divides the extents"
_AUGMENTATION = "map a function over the data: Dataset.map"
_CELLS = "use the layer of the cell: SimpleRNN, LSTM, GRU"
_ENCODING = "encode the data before: utils.to_categorical, utils.LabelEncoder"
_ATTENTION = "attention is no part of this library"
_OUTSIDE = "it belongs to another framework"

MISSING = {
    **{f"Adaptive{kind}Pooling{n}D": _POOLING for kind in ("Average", "Max") for n in (1, 2, 3)},
    "AdditiveAttention": _ATTENTION,
    "Attention": _ATTENTION,
    "AugMix": _AUGMENTATION,
    "AutoContrast": _AUGMENTATION,
    "CategoryEncoding": _ENCODING,
    "ContrastLimitedAdaptiveHistogramEqualization": _AUGMENTATION,
    **{f"ConvLSTM{n}D": "use TimeDistributed convolutions and an LSTM" for n in (1, 2, 3)},
    "CutMix": _AUGMENTATION,
    "Discretization": _ENCODING,
    "EinsumDense": "use Dense, with Permute and Reshape around it",
    "Equalization": _AUGMENTATION,
    "FlaxLayer": _OUTSIDE,
    "GRUCell": _CELLS,
    "GroupQueryAttention": _ATTENTION,
    "HashedCrossing": _ENCODING,
    "Hashing": _ENCODING,
    "InputSpec": "check the shape in build(input_shape)",
    "IntegerLookup": _ENCODING,
    "JaxLayer": _OUTSIDE,
    "LSTMCell": _CELLS,
    "Masking": "there are no masks: pad sequences at the front",
    "MaxNumBoundingBoxes": "there are no bounding boxes",
    "MelSpectrogram": "compute it before, with NumPy",
    "MixUp": _AUGMENTATION,
    "MultiHeadAttention": _ATTENTION,
    "Pipeline": "use a Sequential",
    "RNN": _CELLS,
    "RandAugment": _AUGMENTATION,
    "RandomColorDegeneration": _AUGMENTATION,
    "RandomColorJitter": "use RandomBrightness and RandomContrast",
    "RandomElasticTransform": _AUGMENTATION,
    "RandomErasing": _AUGMENTATION,
    "RandomGaussianBlur": _AUGMENTATION,
    "RandomGrayscale": _AUGMENTATION,
    "RandomHue": _AUGMENTATION,
    "RandomInvert": _AUGMENTATION,
    "RandomPerspective": _AUGMENTATION,
    "RandomPosterization": _AUGMENTATION,
    "RandomSaturation": _AUGMENTATION,
    "RandomSharpness": _AUGMENTATION,
    "ReversibleEmbedding": "use Embedding and Dense",
    "STFTSpectrogram": "compute it before, with NumPy",
    "SimpleRNNCell": _CELLS,
    "Solarization": _AUGMENTATION,
    "StackedRNNCells": "put one recurrent layer behind the other",
    "StringLookup": _ENCODING,
    "TFSMLayer": _OUTSIDE,
    "TextVectorization": _ENCODING,
    "TorchModuleWrapper": _OUTSIDE,
    "Wrapper": "keep the layer inside in an attribute of a Layer: its weights are found there",
    "deserialize": "use the class's from_config",
    "serialize": "use the layer's get_config",
}


def explain(name: str) -> str:
    """The message for a name that ``fastconv.layers`` does not have."""
    if name not in MISSING:
        return f"module 'fastconv.layers' has no attribute {name!r}"
    return f"[layers] Keras's {name} does not exist here: expected one of fastconv.layers, got {name!r}. A way out: {MISSING[name]}."
