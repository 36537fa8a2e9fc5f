"""Models written as ONNX: onnxruntime computes the same, the checker has nothing to say, and the graph is the usual one."""

import json
from collections import Counter

import numpy as np
import pytest

import fastconv
from fastconv import layers, models, ops, zoo
from fastconv.cli import main
from fastconv.testing import networks, single_layers

onnx = pytest.importorskip("onnx", reason="writes ONNX files; pip install 'fastconv[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="runs ONNX files; pip install onnxruntime")

OPSETS = (13, 17, 21)


def run(proto, arrays):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), arrays, strict=True)})


def first(array):
    """Images channels first."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


def assert_equal_predictions(model, samples=3, data_format="channels_last", opsets=OPSETS):
    x = networks.inputs_for(model, samples)
    expected = model.predict(x if len(x) > 1 else x[0], verbose=0)
    expected = expected if isinstance(expected, list) else [expected]
    if data_format == "channels_first":
        x, expected = map(first, x), [first(y) for y in expected]
        x = list(x)
    for opset in opsets:
        proto = fastconv.onnx.to_proto(model, opset, data_format=data_format)
        for actual, wanted in zip(run(proto, x), expected, strict=True):
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-5 * max(np.abs(wanted).max(), 1))


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


@pytest.mark.parametrize("name", single_layers.LAYERS)
def test_every_layer(name):
    assert_equal_predictions(single_layers.build(name))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks(name, data_format):
    assert_equal_predictions(networks.build(name), data_format=data_format)


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_architectures_have_one_transpose_or_none(name):
    model = zoo.build(name, (16, 16, 3), 10)
    assert_equal_predictions(model, 2, opsets=(17,))
    assert_equal_predictions(model, 2, "channels_first", opsets=(17,))
    assert Counter(kinds(fastconv.onnx.to_proto(model)))["Transpose"] <= 1
    assert "Transpose" not in kinds(fastconv.onnx.to_proto(model, data_format="channels_first"))


def test_the_usual_graph_of_a_small_network():
    model = models.Sequential(
        [
            layers.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(2, name="head", activation="softmax"),
        ]
    )
    proto = fastconv.onnx.to_proto(model, data_format="channels_first", class_names=["cat", "dog"])
    assert kinds(proto) == ["Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Softmax"]
    assert [
        (i.name, [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]) for i in proto.graph.input
    ] == [("image", ["batch", 3, 8, 8])]
    assert [o.name for o in proto.graph.output] == ["head"]
    assert {w.name for w in proto.graph.initializer} == {"conv/kernel", "conv/bias", "head/kernel", "head/bias"}
    properties = {p.key: p.value for p in proto.metadata_props}
    assert json.loads(properties["class_names"]) == ["cat", "dog"] and properties["data_format"] == "channels_first"
    assert (proto.producer_name, proto.producer_version) == ("fastconv", fastconv.__version__)


def test_a_shared_dense_layer_behind_different_orders():
    """One kernel, once behind an image that is channels first in the file, once behind plain vectors."""
    a, b = layers.Input((4, 4, 3)), layers.Input((48,))
    head = layers.Dense(5, name="head")
    image = layers.Conv2D(3, 3, padding="same")(a)
    model = models.Model([a, b], [head(layers.Flatten()(image)), head(b), layers.Flatten()(image)])
    assert_equal_predictions(model)
    stored = [w.name for w in fastconv.onnx.to_proto(model).graph.initializer]
    assert sum(name.startswith("head/kernel") for name in stored) == 2
    assert sum(name.startswith("head/bias") for name in stored) == 1


def test_a_nested_model_used_twice():
    inner_input = layers.Input((6, 6, 2))
    inner = models.Model(inner_input, layers.Conv2D(2, 3, padding="same", activation="tanh")(inner_input))
    x = layers.Input((6, 6, 2))
    model = models.Model(x, layers.Concatenate()([inner(inner(x)), inner(x)]))
    assert_equal_predictions(model)
    assert len(fastconv.onnx.to_proto(model).graph.initializer) == 2


def test_broadcasting_between_orders():
    """Squeeze and excitation, and a weight added to images along rows."""

    class Rows(layers.Layer):
        def build(self, input_shape):
            self.rows = self.add_weight((input_shape[1], 1, 1), "he_normal", "rows")

        def call(self, inputs):
            return ops.multiply(ops.add(inputs, self.rows), inputs)

    x = layers.Input((5, 4, 3))
    y = layers.Conv2D(6, 3, padding="same")(x)
    gate = layers.Conv2D(6, 1, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    y = Rows()(layers.Multiply()([y, gate]))
    model = models.Model(x, [y, layers.Dense(2)(layers.Reshape((20, 6))(y))])
    assert_equal_predictions(model)
    assert_equal_predictions(model, data_format="channels_first")


def test_a_model_with_a_call_of_its_own():
    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(3, 3)

        def call(self, inputs):
            return ops.flatten(ops.max_pool2d(self.conv(inputs), 2, dilation=2, ceil_mode=True))

    model = Own()
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(run(fastconv.onnx.to_proto(model), [x])[0], expected, rtol=0, atol=1e-5)


def test_one_batch_size_does_not_stick():
    model = networks.build("upsampling")
    proto = fastconv.onnx.to_proto(model)
    for samples in (1, 2, 3, 7):
        x = networks.inputs_for(model, samples)
        np.testing.assert_allclose(run(proto, x)[0], model.predict(x[0], verbose=0), rtol=0, atol=1e-5)


def test_float64():
    model = networks.build("mlp", dtype="float64")
    x = networks.inputs_for(model, 3)
    np.testing.assert_allclose(run(fastconv.onnx.to_proto(model), x)[0], model.predict(x[0], verbose=0), atol=1e-12)


def test_layers_of_two_dtypes():
    x = layers.Input((5,))
    y = layers.Dense(4, dtype="float64", activation="tanh")(layers.Dense(3)(x))
    model = models.Model(x, layers.Dense(2)(y))
    assert_equal_predictions(model)
    assert kinds(fastconv.onnx.to_proto(model)).count("Cast") == 2


def test_half_precision_is_left_to_the_device():
    """What a mixed model casts to 16 bits on a GPU is float32 in the file, weights included."""

    class Half(layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1], 2), "he_normal", "kernel")

        def call(self, inputs):
            y = ops.dense(ops.cast(inputs, "float16"), ops.cast(self.kernel, "float16"))
            return ops.cast(ops.gelu(y), "float32")

    x = layers.Input((3,))
    model = models.Model(x, Half()(x))
    proto = fastconv.onnx.to_proto(model)
    assert "Cast" not in kinds(proto) and {w.data_type for w in proto.graph.initializer} == {onnx.TensorProto.FLOAT}
    given = networks.inputs_for(model, 2)
    expected = ops.gelu(ops.dense(given[0], model.get_weights()[0]))
    np.testing.assert_allclose(run(proto, given)[0], expected, rtol=0, atol=1e-5)


def test_an_output_that_is_an_input_or_given_twice():
    x = layers.Input((3, 3, 2))
    y = layers.ReLU()(x)
    assert_equal_predictions(models.Model(x, [x, y, y]))


def test_all_operations_without_a_counterpart_are_listed(monkeypatch):
    from fastconv.onnx import export_model

    monkeypatch.delitem(export_model.EXPORTERS, "layer_norm")
    monkeypatch.delitem(export_model.EXPORTERS, "softmax")
    x = layers.Input((3,))
    left, right = layers.LayerNormalization()(x), layers.Softmax()(x)
    with pytest.raises(ValueError, match=r"\[export\].*layer_norm: .*; softmax: "):
        fastconv.onnx.to_proto(models.Model(x, layers.Add()([layers.ReLU()(left), right])))


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"opset": 12}, ValueError, "13 <= opset <= 21"),
        ({"opset": "17"}, TypeError, "opset"),
        ({"data_format": "nchw"}, ValueError, "channels_first"),
        ({"class_names": "cat"}, TypeError, "class_names"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path, keywords, error, words):
    with pytest.raises(error, match=words):
        networks.build("mlp").export(tmp_path / "m.onnx", **keywords)
    assert not list(tmp_path.iterdir())


def test_a_model_without_an_input_shape(tmp_path):
    with pytest.raises(RuntimeError, match="input shape is not known"):
        models.Sequential([layers.Dense(2)]).export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_files_are_replaced_atomically(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError):
        networks.build("mlp").export(path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_the_file_and_the_command(tmp_path, capsys):
    model = networks.build("cnn")
    model.save(tmp_path / "model.safetensors")
    (tmp_path / "run.json").write_text('{"class_names": ["a", "b", "c"]}')
    assert main(["export", str(tmp_path / "model.safetensors"), "--to", "onnx", "--opset", "21"]) == 0
    assert str(tmp_path / "model.onnx") in capsys.readouterr().out
    proto = onnx.load(tmp_path / "model.onnx")
    assert proto.opset_import[0].version == 21
    assert json.loads({p.key: p.value for p in proto.metadata_props}["class_names"]) == ["a", "b", "c"]
    x = networks.inputs_for(model, 3)
    np.testing.assert_allclose(run(proto, x)[0], model.predict(x[0], verbose=0), rtol=0, atol=1e-5)
