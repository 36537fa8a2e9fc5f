"""onnxruntime's side of inference: the very net that PyTorch runs, exported."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

import fastconv
from contest import Contestant


def inference(net: nn.Module, x: np.ndarray) -> Contestant:
    """Probabilities of a batch; onnxruntime's own optimizations are on, batch normalization is folded by the export."""
    images = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x
    file = io.BytesIO()
    with warnings.catch_warnings():  # the exporter that needs no further package is the older one
        warnings.simplefilter("ignore")
        torch.onnx.export(
            nn.Sequential(net, nn.Softmax(1)).eval(), (torch.from_numpy(images),), file, input_names=["x"], dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = fastconv.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return Contestant(lambda: session.run(None, {"x": images}), lambda: session.run(None, {"x": images}))
