"""Event files: what they hold, read by a parser of a few lines, and by TensorBoard itself where it is installed."""

import struct

import numpy as np
import pytest

from fastconv import callbacks, layers, models, optimizers
from fastconv.callbacks.event_file import crc32c

X = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.float32)


def trained(folder, epochs=3, **arguments):
    x = layers.Input((4,), name="x")
    shared = layers.Dense(4, activation="relu", name="shared")
    y = layers.Add(name="sum")([shared(shared(x)), x])
    model = models.Model(x, layers.Dense(1, activation="sigmoid", name="out")(y))
    model.compile(optimizers.SGD(0.25), "binary_crossentropy", metrics=["accuracy"])
    board = callbacks.TensorBoard(folder, **arguments)
    history = model.fit(X, Y, batch_size=8, epochs=epochs, validation_split=0.25, callbacks=[board], verbose=0)
    return model, history.history


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(data):
    """``{number: [values]}`` of a protocol buffer: varints as ints, everything else as bytes."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def events(folder):
    (path,) = folder.iterdir()
    assert "tfevents" in path.name
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        yield fields(body)
        data = data[16 + length :]


def scalars(folder):
    found = {}
    for event in events(folder):
        for summary in event.get(5, []):
            (value,) = (fields(v) for v in fields(summary)[1])
            if 2 in value:
                (number,) = struct.unpack("<f", value[2][0])
                found.setdefault(value[1][0].decode(), []).append((event[2][0], number))
    return found


def test_scalars_are_the_history(tmp_path):
    _, history = trained(tmp_path, update_freq=2, write_steps_per_second=True)
    first = next(events(tmp_path / "train"))
    assert first[3] == [b"brain.Event:2"]
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    for name in ("loss", "accuracy"):
        for found, key in ((train, name), (validation, f"val_{name}")):
            assert [step for step, _ in found[f"epoch_{name}"]] == [0, 1, 2]
            np.testing.assert_allclose([v for _, v in found[f"epoch_{name}"]], history[key], rtol=1e-6)
    assert train["epoch_learning_rate"] == [(0, 0.25), (1, 0.25), (2, 0.25)]
    assert [step for step, _ in train["batch_loss"]] == [2, 4, 6, 8]  # of 9
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [3, 6, 9]
    assert all(v > 0 for _, v in train["epoch_steps_per_second"] + train["batch_steps_per_second"])


def test_several_numbers_have_a_curve_each(tmp_path):
    board = callbacks.TensorBoard(tmp_path, write_graph=False)
    model, _ = trained(tmp_path / "other")
    board.set_model(model)
    board.on_train_begin()
    board.on_epoch_end(0, {"f1": np.array([0.25, 0.75])})
    board.on_train_end()
    found = scalars(tmp_path / "train")
    assert found["epoch_f1/0"] == [(0, 0.25)] and found["epoch_f1/1"] == [(0, 0.75)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"write_images": True}, "write_images"),
        ({"profile_batch": 2}, "profile_batch"),
        ({"embeddings_freq": 1}, "embeddings_freq"),
        ({"update_freq": 0}, "update_freq >= 1"),
        ({"histogram_freq": -1}, "histogram_freq >= 0"),
    ],
)
def test_what_is_not_supported_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        callbacks.TensorBoard("logs", **arguments)


def test_tensorboard_reads_it_all(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed: pip install tensorboard",
    )
    model, history = trained(tmp_path, histogram_freq=2)
    read = accumulator.EventAccumulator(str(tmp_path / "train"), size_guidance={"histograms": 0}).Reload()
    assert [event.step for event in read.Scalars("epoch_loss")] == [0, 1, 2]
    np.testing.assert_allclose([event.value for event in read.Scalars("epoch_loss")], history["loss"], rtol=1e-6)
    validation = accumulator.EventAccumulator(str(tmp_path / "validation")).Reload()
    np.testing.assert_allclose([e.value for e in validation.Scalars("epoch_loss")], history["val_loss"], rtol=1e-6)
    for path, weight in model.weights_by_path().items():
        first, last = read.Histograms(f"{path}/histogram")
        assert (first.step, last.step) == (0, 2)
        value, array = last.histogram_value, weight.numpy().astype(np.float64)
        assert (value.min, value.max, value.num) == (array.min(), array.max(), array.size)
        assert value.sum == pytest.approx(array.sum()) and value.sum_squares == pytest.approx((array**2).sum())
        counts, edges = np.histogram(array, 30)
        assert list(value.bucket) == counts.tolist() and list(value.bucket_limit) == edges[1:].tolist()
    nodes = {node.name: node for node in read.Graph().node}
    assert {name: (node.op, list(node.input)) for name, node in nodes.items()} == {
        "x": ("InputLayer", []),
        "shared": ("Dense", ["x"]),
        "shared_call_2": ("Dense", ["shared"]),
        "sum": ("Add", ["shared_call_2", "x"]),
        "out": ("Dense", ["sum"]),
    }
    shape = nodes["out"].attr["_output_shapes"].list.shape[0]
    assert [dim.size for dim in shape.dim] == [-1, 1]
