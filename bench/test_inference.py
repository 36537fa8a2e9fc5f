"""Inference of whole networks beside onnxruntime and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import networks
from contest import Contestant

NAMES = ("mnist-cnn", "cifar-cnn", "resnet-18", "vgg-16", "vgg-19")


@pytest.mark.parametrize("batch", (1, 32))
@pytest.mark.parametrize("name", NAMES)
def test_inference(measure: Callable[..., None], torch_models: Any, name: str, batch: int) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from peers import onnx_models

    network = networks.NETWORKS[name]
    x = np.random.default_rng(0).random((batch, *network.input_shape), dtype=np.float32)
    net = torch_models.build(network).eval()
    model = networks.build(network)
    torch_models.copy_weights(net, model)

    def predict() -> np.ndarray:
        return model.predict_on_batch(x)

    contestants = {
        "fastconv": Contestant(predict, lambda: [predict()]),
        "onnxruntime": onnx_models.inference(net, x),
        **torch_models.inference(net, x),
    }
    measure("inference", f"{name} batch {batch}", contestants, tolerance=1e-4, images=batch)
