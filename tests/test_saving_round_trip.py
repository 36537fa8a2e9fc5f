"""What is saved comes back bit for bit, and other readers of the safetensors layout can read it."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest

from fastconv.saving import Archive, load_archive, save_archive
from fastconv.saving.container import read_container
from fastconv.saving.header import DTYPES
from fastconv.saving.writer import write_container

_RANDOM = np.random.default_rng(0)
_GRID = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
ARRAYS = {
    "0-d": np.array(2.5, np.float32),
    "numpy scalar": np.float64(0.1),
    "empty": np.zeros((0, 3), np.float32),
    "empty inside": np.zeros((2, 0, 2**40), np.int64),
    "float64": _RANDOM.standard_normal((3, 5)),
    "special values": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324], np.float64),
    "transposed": _GRID.T,
    "negative stride": _GRID[::-1, :, ::-2],
    "broadcast": np.broadcast_to(np.float32(3), (4, 4)),
    "fortran order": np.asfortranarray(_GRID[0]),
    "big-endian": np.arange(5, dtype=">f8"),
    "big-endian ints": np.arange(5, dtype=">i4")[::2],
    "misaligned": np.frombuffer(bytes(range(17)), np.uint8)[1:].view(np.float32),
    "bool": np.array([True, False, True]),
    **{code: np.arange(7).astype(name) for code, name in DTYPES.items()},
}


def same_bits(x: np.ndarray, y: np.ndarray) -> bool:
    native = np.asarray(x).dtype.newbyteorder("=")
    return x.shape == y.shape and native == y.dtype and np.asarray(x, native).tobytes() == y.tobytes()


@pytest.mark.parametrize("name", ARRAYS)
def test_each_array_comes_back_bit_for_bit(tmp_path, name):
    write_container(tmp_path / "a", {"one": ARRAYS[name]}, {})
    tensors, _ = read_container(tmp_path / "a")
    assert same_bits(ARRAYS[name], tensors["one"])
    assert tensors["one"].flags.c_contiguous and tensors["one"].flags.writeable and tensors["one"].flags.owndata


def test_all_arrays_in_one_file_keep_their_order_and_are_aligned(tmp_path):
    names = list(ARRAYS)
    write_container(tmp_path / "a", ARRAYS, {"key": "värde"})
    tensors, metadata = read_container(tmp_path / "a")
    assert list(tensors) == names and metadata["key"] == "värde"
    assert all(same_bits(ARRAYS[name], tensors[name]) for name in names)
    raw = (tmp_path / "a").read_bytes()
    header_bytes = int.from_bytes(raw[:8], "little")
    assert header_bytes % 8 == 0
    header = json.loads(raw[8 : 8 + header_bytes])
    assert all(header[n]["data_offsets"][0] % ARRAYS[n].dtype.itemsize == 0 for n in names)


def test_the_safetensors_package_reads_our_files(tmp_path):
    safetensors_numpy = pytest.importorskip("safetensors.numpy", reason="compares with the safetensors package")
    write_container(tmp_path / "a", ARRAYS, {"key": "value"})
    tensors = safetensors_numpy.load_file(tmp_path / "a")
    assert set(tensors) == set(ARRAYS)
    assert all(same_bits(ARRAYS[name], tensors[name]) for name in ARRAYS)


def test_a_file_of_the_safetensors_package_is_refused_by_name(tmp_path):
    safetensors_numpy = pytest.importorskip("safetensors.numpy", reason="compares with the safetensors package")
    safetensors_numpy.save_file({"x": np.ones(3)}, tmp_path / "a")
    with pytest.raises(ValueError, match="not a fastconv file"):
        read_container(tmp_path / "a")


def full_archive() -> Archive:
    return Archive(
        config={
            "layers": [{"class": "Conv2D", "config": {"filters": 8, "padding": "same"}}],
            "name": "modèle 模型",
        },
        weights={"conv2d/kernel": _GRID, "conv2d/bias": np.zeros(4, np.float32)},
        optimizer={"class": "Adam", "config": {"learning_rate": 0.1}, "iterations": 2**40},
        slots={"m/conv2d/kernel": _GRID * 0.5, "v/conv2d/kernel": _GRID**2},
        progress={"epoch": 3, "batch": 0, "history": {"loss": [0.1, 1 / 3]}, "random": [2**64 - 1, 17]},
    )


def test_archive_round_trip(tmp_path):
    archive = full_archive()
    save_archive(tmp_path / "m.safetensors", archive)
    loaded = load_archive(str(tmp_path / "m.safetensors"))
    assert (loaded.config, loaded.optimizer, loaded.progress) == (
        archive.config,
        archive.optimizer,
        archive.progress,
    )
    for part in ("weights", "slots"):
        before, after = getattr(archive, part), getattr(loaded, part)
        assert list(before) == list(after)
        assert all(same_bits(before[name], after[name]) for name in before)


def test_the_smallest_archive(tmp_path):
    save_archive(tmp_path / "m", Archive({}, {}))
    assert vars(load_archive(tmp_path / "m")) == vars(Archive({}, {}, None, {}, None))


def test_the_same_archive_gives_the_same_bytes(tmp_path):
    save_archive(tmp_path / "a", full_archive())
    save_archive(tmp_path / "b", full_archive())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_json_values_come_back_exactly(tmp_path):
    random_state = np.random.default_rng(5).bit_generator.state  # 128-bit ints
    floats = [
        *_RANDOM.standard_normal(50).tolist(),
        -0.0,
        5e-324,
        1.7976931348623157e308,
        math.inf,
        -math.inf,
    ]
    progress = {
        "random": random_state,
        "floats": floats,
        "none": None,
        "flags": [True, False],
        "deep": {"a": [[{}]]},
    }
    save_archive(tmp_path / "m", Archive({}, {}, progress=progress))
    loaded = load_archive(tmp_path / "m").progress
    assert loaded == progress
    assert [x.hex() for x in loaded["floats"]] == [x.hex() for x in floats]
    assert loaded["flags"][0] is True


def test_nan_in_a_history_and_numpy_scalars_and_tuples(tmp_path):
    progress = {
        "loss": [math.nan, np.float32(0.5)],
        "step": np.int64(7),
        "ok": np.bool_(True),
        "pair": (1, 2),
    }
    save_archive(tmp_path / "m", Archive({}, {}, progress=progress))
    loaded = load_archive(tmp_path / "m").progress
    assert math.isnan(loaded["loss"][0]) and loaded["loss"][1] == 0.5
    assert loaded["step"] == 7 and loaded["ok"] is True and loaded["pair"] == [1, 2]


CYCLE: dict = {}
CYCLE["self"] = CYCLE

UNSAVABLE = {
    "object array": (TypeError, Archive({}, {"w": np.array([None])}), "weights/w.*object"),
    "complex array": (TypeError, Archive({}, {"w": np.ones(2, complex)}), "complex128"),
    "structured array": (TypeError, Archive({}, {"w": np.zeros(2, "i4,f4")}), "weights/w"),
    "datetimes": (TypeError, Archive({}, {"w": np.zeros(2, "M8[s]")}), "datetime64"),
    "masked array": (TypeError, Archive({}, {"w": np.ma.masked_array([1.0], [True])}), "MaskedArray"),
    "list for an array": (TypeError, Archive({}, {"w": [1.0]}), "weights/w.*list"),
    "array in the config": (TypeError, Archive({"w": np.ones(2)}, {}), r"archive\.config\.w.*ndarray"),
    "function": (TypeError, Archive({"loss": len}, {}), r"archive\.config\.loss"),
    "int key": (TypeError, Archive({"class_weight": {0: 1.0}}, {}), r"config\.class_weight"),
    "reserved key": (ValueError, Archive({"$float": "nan"}, {}), "reserved"),
    "int of 200 bits": (ValueError, Archive({"n": 1 << 200}, {}), "128 bits"),
    "cycle": (ValueError, Archive(CYCLE, {}), "64 levels"),
    "newline in a name": (ValueError, Archive({}, {"a\n": np.ones(1)}), "printable"),
    "no config": (ValueError, Archive(None, {}), "config must be a dict"),
    "1e6 layers": (ValueError, Archive({"layers": [{}] * 10**6}, {}), "layers"),
    "1e6 history values": (ValueError, Archive({}, {}, progress={"loss": [0.5] * 10**6}), "too many values"),
}


@pytest.mark.parametrize("name", UNSAVABLE)
def test_what_cannot_be_saved_is_refused_and_the_old_file_stays(tmp_path, name):
    kind, archive, message = UNSAVABLE[name]
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(kind, match=message):
        save_archive(path, archive)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["m"]


def test_inputs_are_not_changed(tmp_path):
    array = np.arange(6, dtype=">f4").reshape(2, 3)[:, ::2]
    config = {"shape": (1, 2)}
    before = array.tobytes()
    save_archive(tmp_path / "m", Archive(config, {"w": array}))
    assert array.tobytes() == before and config == {"shape": (1, 2)}


def test_a_large_but_ordinary_model_fits_the_limits(tmp_path):
    # ResNet-1001 on CIFAR with Adam: the deepest network anybody trains; its weights are made tiny here.
    layer = {
        "class": "Conv2D",
        "config": {
            "name": "conv2d_1000", "trainable": True, "filters": 64, "kernel_size": [3, 3], "strides": [1, 1],
            "padding": "same", "dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": True,
            "kernel_initializer": {"class": "GlorotUniform", "config": {"seed": None}},
            "kernel_regularizer": None, "bias_initializer": {"class": "Zeros", "config": {}},
        },
    }  # fmt: skip
    layers = [layer] * 1200
    weights = {f"conv2d_{i}/kernel": np.zeros((), np.float32) for i in range(1200)}
    slots = {f"m/{name}": array for name, array in weights.items()}
    save_archive(tmp_path / "m", Archive({"layers": layers}, weights, {}, slots))
    assert len(load_archive(tmp_path / "m").slots) == 1200


# A file of format version 1.0, as fastconv 0.1.0 wrote it: every later version must read it.
GOLDEN_1_0 = """
UAIAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJoZWFkZXJfc2hhMjU2IjoiMzU2OTVhN2NlYzgxMmExZjM3MGVmZjhmZmUyNGYxMTRmN2U3
ZmNlN2RiYTQ4NjIxOTIzMWFhNTZlNjFlMGQ5ZiIsImRhdGFfc2hhMjU2IjoiYzUyNDY2NWM5ZmQyNzQwODc3YWY1OWViMTI4YmFkZjVj
YWJiYmU1ZWFkZWQ3MmY4ZDgzN2E0ZDZlZmUyNzRhZSIsImZvcm1hdF92ZXJzaW9uIjoiMS4wIiwiZmFzdGNvbnZfdmVyc2lvbiI6IjAu
MS4wIiwiYXJjaGl2ZSI6IntcImNvbmZpZ1wiOntcImxheWVyc1wiOlt7XCJjbGFzc1wiOlwiRGVuc2VcIn1dfSxcIm9wdGltaXplclwi
OntcImNsYXNzXCI6XCJTR0RcIn0sXCJwcm9ncmVzc1wiOntcImVwb2NoXCI6MixcImxvc3NcIjpbMC4xLHtcIiRmbG9hdFwiOlwiaW5m
XCJ9XX19In0sIndlaWdodHMva2VybmVsIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsxLDJdLCJkYXRhX29mZnNldHMiOls4LDE2XX0s
IndlaWdodHMvc3RlcCI6eyJkdHlwZSI6Ikk2NCIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0sIm9wdGltaXplci9tIjp7
ImR0eXBlIjoiQk9PTCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzE2LDE3XX19ICAgBwAAAAAAAAAAAMA/AAAAwAE=
"""


def test_a_file_of_format_1_0_still_loads(tmp_path):
    (tmp_path / "m").write_bytes(base64.b64decode(GOLDEN_1_0))
    loaded = load_archive(tmp_path / "m")
    assert loaded.config == {"layers": [{"class": "Dense"}]} and loaded.optimizer == {"class": "SGD"}
    assert loaded.progress == {"epoch": 2, "loss": [0.1, math.inf]}
    assert same_bits(np.array([[1.5, -2.0]], np.float32), loaded.weights["kernel"])
    assert same_bits(np.array(7, np.int64), loaded.weights["step"])
    assert same_bits(np.array([True]), loaded.slots["m"])
