"""ONNX files read as models: predictions of the writer, the same layers again, and training that goes on."""

import numpy as np
import pytest

import fastconv
from fastconv import layers, models, zoo
from fastconv.testing import networks, single_layers

onnx = pytest.importorskip("onnx", reason="reads ONNX files; pip install 'fastconv[onnx]'")


def round_trip(model, opset=17, **keywords):
    return fastconv.onnx.load(fastconv.onnx.to_proto(model, opset, **keywords).SerializeToString())


def as_list(value):
    return value if isinstance(value, list) else [value]


def predictions(model, x):
    return as_list(model.predict(x if len(x) > 1 else x[0], verbose=0))


def assert_same_predictions(ours, theirs, samples=3, tolerance=1e-5):
    x = networks.inputs_for(theirs, samples)
    assert ours.input_shapes() == theirs.input_shapes()
    for actual, wanted in zip(predictions(ours, x), predictions(theirs, x), strict=True):
        assert actual.shape == wanted.shape
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance * max(np.abs(wanted).max(), 1))


@pytest.mark.parametrize("name", single_layers.LAYERS)
def test_round_trip_of_every_layer(name):
    model = single_layers.build(name)
    for opset in (13, 17, 21):
        assert_same_predictions(round_trip(model, opset), model)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_round_trip_of_networks(name, data_format):
    model = networks.build(name)
    for opset in (13, 17, 21):
        assert_same_predictions(round_trip(model, opset, data_format=data_format), model)


@pytest.mark.parametrize("name", zoo.ARCHITECTURES)
def test_round_trip_gives_the_same_layers(name):
    """Class by class, but for dropout, which inference has not, and activations, which are layers of their own."""
    model = zoo.build(name, (16, 16, 3), 10)
    again = round_trip(model)
    assert_same_predictions(again, model)
    assert_same_predictions(round_trip(model, data_format="channels_first"), model)
    weighty = [type(layer).__name__ for layer in model.layers if layer.weights]
    assert [type(layer).__name__ for layer in again.layers if layer.weights] == weighty
    assert [layer.name for layer in again.layers if layer.weights] == [la.name for la in model.layers if la.weights]
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not any(isinstance(layer, layers.Reshape) for layer in again.layers)


def test_training_goes_on_as_with_the_original():
    """Gradients and five steps of the imported model are those of the exported one."""
    model = networks.build("residual")
    again = round_trip(model)
    x, y = networks.inputs_for(model, 8)[0], networks.targets_for(model, 8)[0]
    for m in (model, again):
        m.compile("adam", "mse")
    (loss, gradients), (other_loss, others) = model.gradients(x, y, training=True), again.gradients(x, y, training=True)
    assert loss == pytest.approx(other_loss, rel=1e-5)
    assert set(others) - set(gradients) == {name for name in others if name.endswith("gamma") and name not in gradients}
    for name, theirs in gradients.items():  # ONNX's normalisation always has a scale: one weight more
        np.testing.assert_allclose(others[name], theirs, rtol=0, atol=1e-5 * max(np.abs(theirs).max(), 1))
    before = again.evaluate(x, y, verbose=0)
    for m in (model, again):
        m.fit(x, y, epochs=5, batch_size=8, verbose=0)
    assert again.evaluate(x, y, verbose=0) < before
    statistics = [w for w in again.weights if w.name == "moving_mean"]
    assert statistics and all(np.abs(w.array).max() > 0 for w in statistics)


def test_an_imported_model_is_saved_and_exported_again(tmp_path):
    model = round_trip(networks.build("cnn"))
    model.save(tmp_path / "m.safetensors")
    assert_same_predictions(models.load_model(tmp_path / "m.safetensors"), model)
    assert_same_predictions(round_trip(model), model)


def test_a_shared_layer_stays_shared():
    model = networks.build("branches")
    again = round_trip(model)
    assert again.count_params() == model.count_params()


def test_paths_and_bytes(tmp_path):
    model = networks.build("cnn")
    model.export(tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    for source in (tmp_path / "m.onnx", str(tmp_path / "m.onnx"), content, bytearray(content), memoryview(content)):
        assert_same_predictions(fastconv.onnx.load(source), model)


def test_float64_stays():
    model = networks.build("mlp", dtype="float64")
    assert round_trip(model).dtype == "float64"
    assert_same_predictions(round_trip(model), model, tolerance=1e-9)  # an epsilon is a float32 in the file


# Files of others: small graphs made by hand, with what exporters write.


def graph(nodes, inputs, outputs, opset=17, **weights):
    """Bytes of a model; inputs and outputs are names with shapes, weights arrays."""
    helper = onnx.helper

    def infos(named):
        return [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in named.items()]

    stored = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    made = [helper.make_node(op, i, o, name=f"n{k}", **attrs) for k, (op, i, o, attrs) in enumerate(nodes)]
    proto = helper.make_model(
        helper.make_graph(made, "g", infos(inputs), infos(outputs), stored),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    proto.ir_version = 8
    return proto.SerializeToString()


def assert_as_backend(content, *, first_in=True, first_out=True, samples=2, tolerance=1e-4):
    """The imported model and the backend, which computes the file as it is, agree."""
    proto = onnx.load_model_from_string(content)
    model = fastconv.onnx.load(content)
    rng = np.random.default_rng(0)
    x = [rng.uniform(-1, 1, (samples, *shape)).astype(np.float32) for shape in model.input_shapes()]
    theirs = [np.moveaxis(a, -1, 1) if first_in and a.ndim == 4 else a for a in x]
    expected = fastconv.onnx.backend.run_model(proto, theirs)
    for actual, wanted in zip(predictions(model, x), expected, strict=True):
        wanted = np.moveaxis(wanted, 1, -1) if first_out and wanted.ndim == 4 else wanted
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance)
    return model


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * np.float32(0.3)


def test_sizes_computed_from_shapes():
    """x.view(x.size(0), -1), as PyTorch writes it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    content = graph(
        [
            ("Conv", ["x", "w"], ["c"], {}),
            ("Shape", ["c"], ["s"], {}),
            ("Gather", ["s", "zero"], ["n"], {"axis": 0}),
            ("Unsqueeze", ["n", "axes"], ["n1"], {}),
            ("Concat", ["n1", "minus"], ["t"], {"axis": 0}),
            ("Reshape", ["c", "t"], ["f"], {}),
            ("Gemm", ["f", "k", "b"], ["y"], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ],
        {"x": ["n", 2, 5, 4]},
        {"y": ["n", 3]},
        w=normal(4, 2, 3, 3),
        zero=np.array(0),
        axes=np.array([0]),
        minus=np.array([-1]),
        k=normal(3, 24),
        b=normal(3),
    )
    model = assert_as_backend(content)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Conv2D", "Flatten", "Dense"]


def test_batch_norm_and_relu_on_a_flattened_image():
    """Its statistics are one per cell, in the file's order of the cells."""
    content = graph(
        [
            ("Relu", ["x"], ["r"], {}),
            ("Flatten", ["r"], ["f"], {"axis": 1}),
            ("BatchNormalization", ["f", "g", "b", "m", "v"], ["n"], {}),
            ("LeakyRelu", ["n"], ["l"], {}),
            ("Gemm", ["l", "k"], ["y"], {}),
        ],
        {"x": ["n", 2, 3, 2]},
        {"y": ["n", 3]},
        g=normal(12) + 1,
        b=normal(12, seed=1),
        m=normal(12, seed=2),
        v=np.abs(normal(12, seed=3)) + np.float32(0.5),
        k=normal(12, 3),
    )
    assert_as_backend(content)


def test_constants_per_channel_become_layers_that_train():
    content = graph(
        [
            ("Mul", ["x", "s"], ["m"], {}),
            ("Add", ["m", "t"], ["a"], {}),
            ("Sub", ["one", "a"], ["d"], {}),
            ("Div", ["d", "two"], ["q"], {}),
            ("GlobalAveragePool", ["q"], ["p"], {}),
            ("Squeeze", ["p", "axes"], ["y"], {}),
        ],
        {"x": ["n", 3, 4, 4]},
        {"y": ["n", 3]},
        s=normal(3, 1, 1),
        t=normal(1, 3, 1, 1),
        one=np.float32(1),
        two=np.float32([2]),
        axes=np.array([2, 3]),
    )
    model = assert_as_backend(content)
    assert len(model.trainable_weights) == 2


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pads_that_are_left_to_the_reader(auto_pad):
    content = graph(
        [
            ("Conv", ["x", "w"], ["c"], {"auto_pad": auto_pad, "strides": [2, 1], "kernel_shape": [2, 3]}),
            ("MaxPool", ["c"], ["m"], {"auto_pad": auto_pad, "kernel_shape": [2, 2]}),
            ("ConvTranspose", ["m", "v"], ["t"], {"auto_pad": auto_pad, "strides": [2, 2]}),
            ("AveragePool", ["t"], ["y"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 0], "count_include_pad": 1}),
        ],
        {"x": ["n", 2, 7, 6]},
        {"y": ["n", 3, None, None]},
        w=normal(4, 2, 2, 3),
        v=normal(4, 3, 3, 3),
    )
    assert_as_backend(content)


def test_every_node_that_no_layer_computes_is_listed():
    content = graph(
        [
            ("Log", ["x"], ["a"], {}),
            ("Relu", ["a"], ["b"], {}),
            ("LRN", ["x"], ["c"], {"size": 3}),
            ("MaxPool", ["x"], ["d"], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
            ("Conv", ["x", "w"], ["e"], {"group": 1}),
        ],
        {"x": ["n", 3, 4, 4]},
        {"b": [None] * 4, "c": [None] * 4, "d": [None] * 4, "e": [None] * 4},
        w=normal(2, 5, 1, 1),
    )
    with pytest.raises(fastconv.onnx.UnsupportedNode) as caught:
        fastconv.onnx.load(content)
    text = str(caught.value)
    assert "got 4 that cannot" in text and "<bytes>" in text
    for words in (
        "node 0 Log 'n0': no layer computes this operator",
        "node 2 LRN 'n2'",
        "node 3 MaxPool 'n3': pooling layers have no dilation",
        "node 4 Conv 'n4': filters must fit",
    ):
        assert words in text


@pytest.mark.parametrize(
    "shape, words", [([None, 3, "h", "w"], "all extents"), ([2], "all extents"), ([2, 0], "all extents")]
)
def test_inputs_of_open_extents(shape, words):
    content = graph([("Relu", ["x"], ["y"], {})], {"x": shape}, {"y": [None]})
    with pytest.raises(ValueError, match=words):
        fastconv.onnx.load(content)


def test_files_that_begin_with_a_transpose_keep_their_input():
    nodes = [
        ("Transpose", ["x"], ["t"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "w"], ["c"], {}),
        ("Transpose", ["c"], ["y"], {"perm": [0, 2, 3, 1]}),
    ]
    content = graph(nodes, {"x": ["n", 5, 4, 3]}, {"y": [None] * 4}, w=normal(2, 3, 2, 2))
    model = assert_as_backend(content, first_in=False, first_out=False)
    assert model.input_shapes() == [(5, 4, 3)] and len(model.layers) == 2
    assert fastconv.onnx.load(content, data_format="channels_last").input_shapes() == [(5, 4, 3)]


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 24, reason="Swish came with opset 24, onnx 1.19")
def test_activations_without_a_layer_of_their_own():
    nodes = [("Mish", ["x"], ["m"], {}), ("Swish", ["m"], ["s"], {}), ("Relu", ["s"], ["y"], {})]
    assert_as_backend(graph(nodes, {"x": ["n", 3]}, {"y": ["n", 3]}, opset=24))


def test_a_channel_shuffle_is_read():
    """ShuffleNet's: channels in groups, transposed, flat again; with a join of what was flattened in two orders."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    nodes = [
        helper.make_node("Reshape", ["x", "groups"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Reshape", ["b", "whole"], ["c"]),
        helper.make_node("Conv", ["c", "w"], ["d"]),
        helper.make_node("Concat", ["d", "x"], ["e"], axis=1),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Flatten", ["x"], ["g"]),
        helper.make_node("Concat", ["f", "g"], ["y"], axis=1),
    ]
    arrays = {
        "groups": np.array([0, 2, 3, 5, 4]),
        "whole": np.array([0, 6, 5, 4]),
        "w": rng.standard_normal((2, 6, 1, 1)).astype(np.float32),
    }
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()]
    infos = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 6, 5, 4]), ("y", ["n", 280]))
    ]
    proto = helper.make_model(helper.make_graph(nodes, "shuffle", infos[:1], infos[1:], initializers))
    x = rng.standard_normal((3, 6, 5, 4)).astype(np.float32)
    shuffled = x.reshape(3, 2, 3, 5, 4).transpose(0, 2, 1, 3, 4).reshape(3, 6, 5, 4)
    seen = np.einsum("nchw,kc->nkhw", shuffled, arrays["w"][:, :, 0, 0])
    expected = np.concatenate([np.concatenate([seen, x], 1).reshape(3, -1), x.reshape(3, -1)], 1)
    model = fastconv.onnx.load(proto.SerializeToString(), data_format="channels_first")
    np.testing.assert_allclose(model.predict(x.transpose(0, 2, 3, 1), verbose=0), expected, rtol=1e-5, atol=1e-5)
