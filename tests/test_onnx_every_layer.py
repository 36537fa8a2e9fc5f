"""What of fastconv can be written as ONNX: every layer and activation, but for what is listed here with its reason."""

import pytest

import fastconv
from fastconv import layers, models, ops
from fastconv.layers import activations
from fastconv.testing import networks, single_layers

OPSETS = (13, 17, 21)


def inside(layer):
    """The layer and those that it holds."""
    yield layer
    for value in vars(layer).values():
        for held in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(held, layers.Layer):
                yield from inside(held)


@pytest.fixture(scope="module")
def exported():
    """The layers of all models that the tests of export and import write and read, at opsets 13, 17 and 21."""
    built = [single_layers.build(name) for name in single_layers.LAYERS] + [
        networks.build(n) for n in networks.NETWORKS
    ]
    return [layer for model in built for layer in inside(model)]


def test_every_layer_is_exported_in_a_test(exported):
    """Each class is in ``testing/single_layers.py`` or ``testing/networks.py``. Lambda cannot be, since no config has it."""
    public = {getattr(layers, name) for name in layers.__all__}
    classes = {c for c in public if isinstance(c, type) and issubclass(c, layers.Layer)}
    missing = classes - {type(layer) for layer in exported} - {layers.Layer, layers.Lambda}
    assert sorted(c.__name__ for c in missing) == []


def test_every_activation_is_exported_in_a_test(exported):
    names = {getattr(layer, "activation", None) for layer in exported}
    tested = {activations.get("test", name) for name in names if isinstance(name, str)}
    assert [name for name, function in activations._FUNCTIONS.items() if function not in tested] == []


# Settings that no opset up to 21 has an operator for, with what the error says.
REFUSED = {
    "recurrent layers have few activations": (
        (7, 4), lambda: layers.SimpleRNN(3, activation="selu"), OPSETS, "ONNX's recurrent operators have no selu",
    ),
    "dilated averages came with opset 19": (
        (9, 8, 4), lambda: layers.Lambda(lambda x: ops.avg_pool2d(x, 2, stride=1, dilation=2)), (13, 17), "dilated averages need a newer opset",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_so(name):
    pytest.importorskip("onnx", reason="writes ONNX files; pip install 'fastconv[onnx]'")
    shape, layer, opsets, words = REFUSED[name]
    model = models.Sequential([layers.Input(shape), layer()])
    for opset in OPSETS:
        if opset in opsets:
            with pytest.raises(ValueError, match=rf"\[export\].*{words}"):
                fastconv.onnx.to_proto(model, opset)
        else:
            fastconv.onnx.to_proto(model, opset)
