"""Files made to do harm, or damaged: an error that names the file and the place, no other file opened, little memory."""

import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

import fastconv
from fastconv.errors import CheckpointError
from fastconv.testing import networks

onnx = pytest.importorskip("onnx", reason="reads ONNX files; pip install 'fastconv[onnx]'")


@pytest.fixture(scope="module")
def good():
    return fastconv.onnx.to_proto(networks.build("cnn"), data_format="channels_first")


def changed(proto, change):
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    change(copy)
    return copy.SerializeToString()


def tensor(proto, name):
    return next(t for t in proto.graph.initializer if t.name.endswith(name))


def node(proto, kind):
    return next(n for n in proto.graph.node if n.op_type == kind)


def set_dims(t, dims):
    t.dims[:] = dims


def external(proto, location):
    t = tensor(proto, "kernel")
    t.ClearField("raw_data")
    t.data_location = onnx.TensorProto.EXTERNAL
    entry = t.external_data.add()
    entry.key, entry.value = "location", location


def cycle(proto):
    first, second = proto.graph.node[0], proto.graph.node[1]
    first.input[0] = second.output[0]


def attribute(proto, kind, name, **values):
    found = next(a for a in node(proto, kind).attribute if a.name == name)
    for field, value in values.items():
        getattr(found, field)[:] = value


# What is wrong -> how to make it so, and what the message must say about the place.
MALFORMED = {
    "missing weight": (lambda p: p.graph.initializer.remove(tensor(p, "bias")), "bias"),
    "weight twice": (lambda p: p.graph.initializer.append(tensor(p, "bias")), "bias' twice"),
    "negative extent": (lambda p: set_dims(tensor(p, "bias"), [-4]), "bias' must have extents >= 0"),
    "huge extent": (lambda p: set_dims(tensor(p, "kernel"), [2**62, 2**62]), "kernel' must hold as many"),
    "huge extents without cells": (lambda p: set_dims(tensor(p, "kernel"), [0, 2**62, 2**62]), "kernel' must h"),
    "more numbers than the shape": (lambda p: set_dims(tensor(p, "bias"), [3]), "bias' must hold as many"),
    "unknown element type": (lambda p: setattr(tensor(p, "bias"), "data_type", 999), "bias' must hold"),
    "external data": (lambda p: external(p, "weights.bin"), "kernel' must lie in the file itself"),
    "external data outside": (lambda p: external(p, "../../../etc/passwd"), "etc/passwd"),
    "external data at an absolute path": (lambda p: external(p, "/etc/passwd"), "/etc/passwd"),
    "a cycle": (cycle, "a cycle"),
    "an output of nothing": (lambda p: setattr(p.graph.output[0], "name", "nowhere"), "'nowhere', which nothing makes"),
    "no output": (lambda p: p.graph.ClearField("output"), "must have an output"),
    "a name made twice": (lambda p: p.graph.node.append(p.graph.node[0]), "exists already"),
    "no opset": (lambda p: p.ClearField("opset_import"), "opset_import"),
    "two opsets": (lambda p: p.opset_import.append(p.opset_import[0]), "opset_import"),
    "negative opset": (lambda p: setattr(p.opset_import[0], "version", -1), "opset_import"),
    "opset of the future": (lambda p: setattr(p.opset_import[0], "version", 10**6), "opset_import"),
    "no graph": (lambda p: p.ClearField("graph"), "expected a graph"),
    "sparse weights": (lambda p: p.graph.sparse_initializer.add(), "sparse"),
    "an attribute twice": (lambda p: node(p, "Conv").attribute.append(node(p, "Conv").attribute[0]), "twice"),
    "an unknown attribute": (lambda p: setattr(node(p, "Conv").attribute[0], "name", "os.system"), "os.system"),
    "input twice": (lambda p: p.graph.input.append(p.graph.input[0]), "twice"),
    "no inputs of a node": (lambda p: node(p, "Conv").ClearField("input"), "Conv"),
}

# Well-formed, but no layer can be made of it: the node is named.
WRONG = {
    "filters of other channels": (lambda p: set_dims(tensor(p, "kernel"), [2, 4, 3, 3]), "filters must fit"),
    "negative pads": (lambda p: attribute(p, "Conv", "pads", ints=[-1, 0, 0, 0]), "Conv"),
    "too few strides": (lambda p: attribute(p, "Conv", "strides", ints=[1]), "strides must fit"),
    "a stride of zero": (lambda p: attribute(p, "Conv", "strides", ints=[0, 1]), "Conv"),
    "a huge stride": (lambda p: attribute(p, "Conv", "strides", ints=[2**62, 1]), "Conv"),
    "huge pads": (lambda p: attribute(p, "MaxPool", "pads", ints=[2**40] * 4), "MaxPool"),
    "a huge window": (lambda p: attribute(p, "MaxPool", "kernel_shape", ints=[2**40] * 2), "MaxPool"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files(tmp_path, good, name):
    make, words = MALFORMED[name]
    path = tmp_path / "bad.onnx"
    path.write_bytes(changed(good, make))
    with pytest.raises(CheckpointError, match=r"^\[load\] ") as caught:
        fastconv.onnx.load(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_nodes_that_make_no_sense(tmp_path, good, name):
    make, words = WRONG[name]
    path = tmp_path / "bad.onnx"
    path.write_bytes(changed(good, make))
    with pytest.raises(fastconv.onnx.UnsupportedNode, match="every node must become a layer") as caught:
        fastconv.onnx.load(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_every_cut_of_a_file(good):
    """A shorter file is an error, or (where a whole field is missing) never a model of other numbers."""
    content = good.SerializeToString()
    x = networks.inputs_for(networks.build("cnn"), 1)[0]
    whole = fastconv.onnx.load(content).predict(x, verbose=0)
    for length in range(0, len(content), max(len(content) // 150, 1)):
        try:
            model = fastconv.onnx.load(content[:length])
        except ValueError:
            continue
        np.testing.assert_array_equal(model.predict(x, verbose=0), whole)


def test_flipped_bytes(good):
    """Never anything but a ValueError or a model."""
    content = bytearray(good.SerializeToString())
    rng = np.random.default_rng(0)
    for _ in range(300):
        place, old = int(rng.integers(len(content))), content[0]
        old, content[place] = content[place], int(rng.integers(256))
        try:
            fastconv.onnx.load(bytes(content))
        except ValueError as error:
            assert str(error).startswith("[")
        content[place] = old


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "expected a graph"),
        (b"\x80\x05pickle", "a Python pickle"),
        (b"PK\x03\x04" + b"\0" * 60, "zip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 60, "HDF5"),
        (b"GGUF" + b"\0" * 60, "GGUF"),
        (b"\xff" * 100, "not an ONNX file"),
        (b"<html></html>", "not an ONNX file"),
    ],
    ids=["empty", "pickle", "zip", "hdf5", "gguf", "ff", "html"],
)
def test_files_of_other_kinds(content, words):
    with pytest.raises(CheckpointError, match=words):
        fastconv.onnx.load(content)


def test_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CheckpointError, match="a FIFO"):
        fastconv.onnx.load(tmp_path / "fifo")
    with pytest.raises(CheckpointError, match="a character device"):
        fastconv.onnx.load("/dev/zero")
    with pytest.raises(FileNotFoundError):
        fastconv.onnx.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        fastconv.onnx.load(tmp_path)
    for path in (None, 3, 1.5, ["m"]):
        with pytest.raises(TypeError, match="path must be"):
            fastconv.onnx.load(path)


def test_a_bomb_of_constants_takes_no_memory():
    """ConstantOfShape, Expand, Tile and Range make terabytes of a few bytes."""
    helper = onnx.helper
    big = onnx.numpy_helper.from_array(np.array([2**20, 2**20]), "big")
    one = onnx.numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    start, stop = (onnx.numpy_helper.from_array(np.float32(i), f"r{i}") for i in (0, 2**40))
    step = onnx.numpy_helper.from_array(np.float32(1), "step")
    bombs = [
        helper.make_node("ConstantOfShape", ["big"], ["c"]),
        helper.make_node("Expand", ["one", "big"], ["c"]),
        helper.make_node("Tile", ["one", "big"], ["c"]),
        helper.make_node("Range", ["r0", f"r{2**40}", "step"], ["c"]),
    ]
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    for bomb in bombs:
        nodes = [bomb, helper.make_node("MatMul", ["x", "c"], ["y"])]
        graph = helper.make_graph(nodes, "bomb", info[:1], info[1:], [big, one, start, stop, step])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        tracemalloc.start()
        begin = time.perf_counter()
        with pytest.raises(fastconv.onnx.UnsupportedNode, match=f"node 0 {bomb.op_type}"):
            fastconv.onnx.load(proto.SerializeToString())
        assert tracemalloc.get_traced_memory()[1] < 10 << 20 and time.perf_counter() - begin < 5
        tracemalloc.stop()


WATCH = """
import sys
import onnx
import fastconv.onnx
from fastconv.onnx import load_model
paths = sys.argv[1:]
fastconv.onnx.load(paths[0])
events = []
def hook(name, args):
    if name == "open" and not isinstance(args[0], int) and str(args[0]) not in paths or name in ("subprocess.Popen", "os.system", "socket.connect"):
        events.append((name, repr(args)[:200]))
sys.addaudithook(hook)
for path in paths:
    try:
        fastconv.onnx.load(path)
    except ValueError as error:
        str(error)
print([e for e in events if "/proc" not in e[1] and "/sys" not in e[1]])
"""


def test_no_other_file_is_opened(tmp_path, good):
    (tmp_path / "0.onnx").write_bytes(good.SerializeToString())
    (tmp_path / "weights.bin").write_bytes(b"\0" * 4096)
    for i, (make, _) in enumerate([*MALFORMED.values(), *WRONG.values()], 1):
        (tmp_path / f"{i}.onnx").write_bytes(changed(good, make))
    paths = sorted(map(str, tmp_path.glob("*.onnx")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", WATCH, *paths], capture_output=True, text=True, env=environment, timeout=120
    )
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_an_output_with_extents_that_no_layer_allows(tmp_path):
    tensor = onnx.helper.make_tensor_value_info
    ends = [tensor("x", 1, ["n", 9, 2**63 - 1, 4])], [tensor("y", 1, ["n", "h", 9, 4])]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 1, 3])], "g", *ends)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(fastconv.onnx.UnsupportedNode, match=r"output 'y': .*too large"):
        fastconv.onnx.load(model.SerializeToString(), data_format="channels_last")


@pytest.mark.parametrize(
    "kind, inputs, values, words",
    [
        ("Squeeze", ["x", "given"], np.array([2.0], np.float32), "axes must hold integers: got float32"),
        ("Squeeze", ["x", "given"], np.array([2 + 1j], np.complex64), "axes must be real numbers: got complex64"),
        (
            "Resize",
            ["x", "", "", "given"],
            np.array([1, 1, 8j, 8], np.complex64),
            "sizes must be real numbers: got complex64",
        ),
    ],
)
def test_settings_of_another_kind(kind, inputs, values, words):
    """Nothing is cut to what it should have been."""
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, ["y"])],
        "g",
        [tensor("x", 1, ["n", 1, 4, 4])],
        [tensor("y", 1, ["n", "c", "h", "w"])],
        [onnx.numpy_helper.from_array(values, "given")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(fastconv.onnx.UnsupportedNode, match=words):
        fastconv.onnx.load(model.SerializeToString())
