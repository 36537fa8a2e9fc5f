"""The same networks in Keras 3 and in fastconv, with the same weights: bench/keras_parity.py measures, this holds the bounds."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import json

import numpy as np
import pytest

from fastconv import layers
from fastconv.models.plans import as_list
from fastconv.saving.keras_names import file_kind, known_layers
from fastconv.testing.parity import OPTIMIZERS, PARITY, difference

pytest.importorskip("keras", reason="compares with Keras 3; pip install keras torch")
pytest.importorskip("torch", reason="Keras's gradients by PyTorch; pip install torch")
keras_parity = pytest.importorskip("keras_parity", reason="the script in bench/")
pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's and PyTorch's own


@pytest.mark.parametrize("name", PARITY)
def test_predictions_and_gradients(name):
    network = PARITY[name]
    ours, theirs = keras_parity.models(network)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in theirs.get_weights()]
    assert list(map(file_kind, ours.layers)) == list(map(file_kind, theirs.layers))
    assert keras_parity.predictions(ours, theirs, network.data(ours)[0]) < 1e-5
    assert keras_parity.gradients(network, ours, theirs) < 1e-4


@pytest.mark.parametrize("name", PARITY)
def test_gradients_for_inputs(name):
    """model.input_gradients, which saliency and Grad-CAM are made of, beside PyTorch's autograd through Keras's model."""
    import torch

    network = PARITY[name]
    ours, theirs = keras_parity.models(network)
    x = [np.asarray(a, np.float32) for a in as_list(network.data(ours)[0])]
    rng = np.random.default_rng(5)
    dy = [rng.normal(size=y.shape).astype(np.float32) for y in as_list(ours.predict(x if len(x) > 1 else x[0]))]
    tensors = [torch.tensor(a, requires_grad=True) for a in x]
    outputs = as_list(theirs(tensors if len(x) > 1 else tensors[0], training=False))
    sum((y * torch.tensor(d)).sum() for y, d in zip(outputs, dy, strict=True)).backward()
    expected = [np.zeros_like(a) if t.grad is None else t.grad.numpy() for a, t in zip(x, tensors, strict=True)]
    assert difference(as_list(ours.input_gradients(x if len(x) > 1 else x[0], dy)), expected) < 1e-4


@pytest.mark.parametrize("name", [name for name, network in PARITY.items() if not network.dropout])
def test_weights_after_twenty_steps(name):
    """Every network by one optimizer, in turn."""
    optimizer = keras_parity.optimizer_of(name)
    assert keras_parity.steps(PARITY[name], *keras_parity.models(PARITY[name]), optimizer) < 1e-4


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", keras_parity.TRAINED)
def test_every_optimizer(name, optimizer):
    assert keras_parity.steps(PARITY[name], *keras_parity.models(PARITY[name]), optimizer) < 1e-4


def test_the_networks_use_every_layer_that_both_have():
    used = set()
    for network in PARITY.values():
        used |= keras_parity.layers_of(keras_parity.models(network)[0])
    assert used >= set(known_layers()) - {"InputLayer", "Lambda"}, set(known_layers()) - used  # a Lambda is in no file
    assert len(PARITY) >= 30


def test_the_page_is_that_of_the_results():
    results = json.loads((keras_parity.ROOT / "bench/results/keras_parity.json").read_text())
    assert (keras_parity.ROOT / "docs/keras_parity.md").read_text() == keras_parity.page(results)
    assert set(results["networks"]) == set(PARITY) and set(results["optimizers"]) == set(OPTIMIZERS)
    assert set(results["layers both have"]) <= {"InputLayer", *layers.__all__}
