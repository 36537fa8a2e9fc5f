"""Recurrent layers as ONNX: states handed on, two directions, and what cannot be read."""

import io

import numpy as np
import pytest

import fastconv
from fastconv import layers, models
from fastconv.testing import parity_graphs

onnx = pytest.importorskip("onnx", reason="writes ONNX files; pip install 'fastconv[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="runs ONNX files; pip install onnxruntime")


@pytest.mark.parametrize("opset", (13, 17, 21))
@pytest.mark.parametrize("build", [parity_graphs.words, parity_graphs.encoder_and_decoder])
def test_onnxruntime_computes_the_same(build, opset):
    model = build(fastconv)
    rng = np.random.default_rng(0)
    shape = (3, *model.input_shapes()[0])
    x = (rng.integers(4, size=shape) if build is parity_graphs.words else rng.normal(size=shape)).astype(np.float32)
    proto = fastconv.onnx.to_proto(model, opset)
    session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-6)


def changed(change):
    """The bytes of an exported LSTM after ``change(node)``."""
    proto = fastconv.onnx.to_proto(models.Sequential([layers.Input((4, 3)), layers.LSTM(2)]))
    change(next(node for node in proto.graph.node if node.op_type == "LSTM"))
    return proto.SerializeToString()


def set_attribute(name, value):
    def change(node):
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_attribute("activations", ["Sigmoid", "ThresholdedRelu", "Tanh"]), "the activation is not known"),
        (set_attribute("activations", ["Sigmoid", "Relu", "Tanh"]), "candidate and result must have one activation"),
        (set_attribute("activations", ["HardSigmoid", "Tanh", "Tanh"]), "HardSigmoid must have the numbers of"),
        (set_attribute("clip", 1.0), "clip must be 0"),
        (set_attribute("input_forget", 1), "input_forget must be 0"),
    ],
)
def test_an_lstm_of_another_kind_is_refused(change, words):
    with pytest.raises(fastconv.onnx.UnsupportedNode, match=words):
        fastconv.onnx.load(changed(change))


def read_again(model, opset=17):
    return fastconv.onnx.load(fastconv.onnx.to_proto(model, opset).SerializeToString())


def both_ways(kind, merge_mode, **keywords):
    x = layers.Input((4, 3))
    return models.Model(x, layers.Bidirectional(kind(2, **keywords), merge_mode=merge_mode)(x))


def with_states():
    x = layers.Input((4, 3))
    y, h, c = layers.LSTM(2, return_sequences=True, return_state=True)(x)
    return models.Model(x, [layers.Dense(2)(y), h, c])


ROUND_TRIPS = {
    **{f"both ways, {mode}": lambda m=mode: both_ways(layers.LSTM, m, return_sequences=True) for mode in
       ("concat", "sum", "mul", "ave", None)},
    "both ways, last step": lambda: both_ways(layers.GRU, "concat"),
    "both ways, states": lambda: both_ways(layers.LSTM, "concat", return_sequences=True, return_state=True),
    "both ways, twice": lambda: models.Sequential([
        layers.Input((4, 3)), layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True)), layers.Bidirectional(layers.GRU(3)),
    ]),
    "states": with_states,
    "initial states": lambda: parity_graphs.encoder_and_decoder(fastconv),
}  # fmt: skip


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trips(name):
    """The same numbers, and the same ones again after a step of training."""
    model, rng = ROUND_TRIPS[name](), np.random.default_rng(0)
    model.set_weights([rng.uniform(-0.8, 0.8, w.shape).astype(np.float32) for w in model.weights])
    again = read_again(model)
    x = rng.normal(size=(3, *model.input_shapes()[0])).astype(np.float32)
    for m in (model, again):
        m.compile("sgd", "mse")
    for _ in range(2):
        wanted = model.predict(x, verbose=0)
        wanted = wanted if isinstance(wanted, list) else [wanted]
        found = again.predict(x, verbose=0)
        for y, expected in zip(found if isinstance(found, list) else [found], wanted, strict=True):
            np.testing.assert_allclose(y, expected, atol=1e-6)
        targets = [np.ones_like(y) for y in wanted]
        for m in (model, again):
            m.train_on_batch(x, targets if len(targets) > 1 else targets[0])


def test_what_there_is_no_layer_for_is_refused():
    """Steps going backwards, in the order of time."""
    proto = fastconv.onnx.to_proto(
        models.Sequential([layers.Input((4, 3)), layers.GRU(2, go_backwards=True, return_sequences=True)])
    )
    (turn,) = (node for node in proto.graph.node if node.op_type == "Slice")
    turn.op_type = "Identity"
    del turn.input[1:]
    with pytest.raises(fastconv.onnx.UnsupportedNode, match="must be turned around"):
        fastconv.onnx.load(proto.SerializeToString())


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_pytorchs_recurrent_layers_become_ours(kind):
    """Of an open batch, whose states PyTorch makes of zeros in the file."""
    torch = pytest.importorskip("torch", reason="writes ONNX files; pip install torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = getattr(torch.nn, kind)(3, 5, batch_first=True)
            self.dense = torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.dense(self.steps(x)[0])

    net, x, file = Net().eval(), torch.randn(2, 4, 3), io.BytesIO()
    axes = {"x": {0: "n"}}
    torch.onnx.export(net, (x,), file, opset_version=17, dynamo=False, input_names=["x"], dynamic_axes=axes)
    model = fastconv.onnx.load(file.getvalue())
    assert [type(layer).__name__ for layer in model.layers][1] == {"RNN": "SimpleRNN"}.get(kind, kind)
    np.testing.assert_allclose(model.predict(x.numpy(), verbose=0), net(x).detach().numpy(), atol=1e-6)
