"""What fuzzing has found in the readers of files (bench/nightly/readers.py), each input made by hand: one error of the class that
the reader documents, in words of ours that a terminal can show."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile

import numpy as np
import pytest

from fastconv import callbacks, layers, models, random
from fastconv.cli import main
from fastconv.cli.run_folder import RunFolder
from fastconv.datasets import load_npz, read_idx
from fastconv.datasets._pickle_arrays import read_pickled_dict
from fastconv.errors import CheckpointError, DatasetError
from fastconv.saving import Archive, load_archive, save_archive
from fastconv.testing.malformed_files import config_text, edited, good_file

NUMPYS = {
    "a line that does not end": b"{'descr': '<f8', 'fortran_order': False, 'shape': (\n",
    "an indented line": b"  {'descr'\n",
    "a call": b"{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }\n",
    "10,000 signs": b"{'descr': " + b"-" * 9000 + b"1, 'fortran_order': False, 'shape': (4,), }\n",
    "a negative extent": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-4,), }\n",
    "extents beyond 64 bits": b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9999999999999999999), }\n",
}


@pytest.fixture
def compiled(monkeypatch):
    """What Python compiles during a test, by an audit hook, which stays for good but hears nothing later."""
    heard: list[str] = []
    listening = [True]
    sys.addaudithook(
        lambda event, arguments: heard.append(str(arguments[0])) if listening[0] and event == "compile" else None
    )
    yield heard
    listening[0] = False


@pytest.mark.parametrize("name", NUMPYS)
def test_the_header_of_an_array_is_never_compiled(tmp_path, compiled, name):
    header = NUMPYS[name]
    member = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for array in ("x.npy", "y.npy"):
            archive.writestr(array, member)
    with pytest.raises(DatasetError, match=r"^\[load_npz\] "):
        load_npz(tmp_path / "a.npz")
    assert not [text for text in compiled if "descr" in text]


def test_headers_that_numpy_has_written_are_read(tmp_path):
    python2 = b"{'descr': '<i8', 'fortran_order': False, 'shape': (2L, 1L), }          \n"
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([3.0, 4.0]), version=(2, 0))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(
            "x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(python2)) + python2 + np.array([5, 6]).tobytes()
        )
        archive.writestr("y.npy", buffer.getvalue())
    (x, y), _ = load_npz(tmp_path / "a.npz", test_fraction=0)
    assert (sorted(x.ravel()), sorted(y)) == ([5, 6], [3.0, 4.0]) and x.shape == (2, 1)


def test_extents_beside_a_zero(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 4]) + struct.pack(">4I", 0, *[2**32 - 1] * 3))
    with pytest.raises(DatasetError, match="too large"):
        read_idx(tmp_path / "a")
    huge = b"\x8a\x0a" + bytes(9) + b"\x01"  # LONG1: 2**72
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01K\x00" + huge + b"\x86"
    dtype = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1tR"
    with pytest.raises(DatasetError, match="asks for an array"):
        read_pickled_dict(b"\x80\x03}X\x04\x00\x00\x00data" + array + dtype + b"\x89C\x00tbs.", "batch")


@pytest.mark.parametrize(
    "make",
    [
        config_text('{"a":"\\ud800"}'),
        config_text('{"\\uDFFF":1}'),
        edited(lambda header: header.update({"weights/\ud800": header.pop("weights/mask")})),
        edited(lambda header: header["weights/mask"].update(shape="\udcff")),
    ],
    ids=["value", "key", "tensor", "shape"],
)
def test_half_a_character_is_refused_in_words_that_can_be_printed(tmp_path, make):
    (tmp_path / "m").write_bytes(make(good_file()))
    with pytest.raises(CheckpointError, match=r"half of one, '.ud") as caught:
        load_archive(tmp_path / "m")
    str(caught.value).encode()


def test_half_a_character_is_not_saved_and_a_whole_one_is(tmp_path):
    with pytest.raises(ValueError, match="half of one"):
        save_archive(tmp_path / "m", Archive({"a": "\ud800"}, {}))
    save_archive(tmp_path / "m", Archive({"a": "\U0001f600"}, {}))
    assert load_archive(tmp_path / "m").config == {"a": "\U0001f600"}


PLACES = [None, 3, [1], [1, 0, 0], [1, [0]], [-1, 0], [True, 0], ["1", 0]]


@pytest.mark.parametrize("name", ["at", "epoch_random"])
def test_a_backup_that_does_not_say_where_it_was_made(tmp_path, name):
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    kept = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[kept])
    archive = load_archive(tmp_path / "latest.safetensors")
    before = model.get_weights()[0].copy()
    model.set_weights([w + 1 for w in model.get_weights()])
    for place in PLACES:
        progress = {**(archive.progress or {}), name: place}
        save_archive(tmp_path / "latest.safetensors", Archive({}, archive.weights, archive.optimizer, {}, progress))
        with pytest.raises(CheckpointError, match=f"expected {name}=.int, int."):
            model.fit(x, y, epochs=2, verbose=0, callbacks=[kept])
    np.testing.assert_array_equal(model.get_weights()[0], before + 1)


def test_random_state_is_two_numbers_of_64_bits():
    before = random.get_state()
    random.set_state((2**64 + 3, -1))
    assert random.get_state() == (3, 2**64 - 1)
    with pytest.raises(ValueError):
        random.set_state((1, 2, 3))  # type: ignore[arg-type]  # as a file may have it
    random.set_state(before)


TABLES = [
    b"epoch,loss\n0,0.7.\n",
    b"epoch,loss\n0\n",
    b"epoch,loss\n0,1,2\n",
    b"epoch\xff,loss\n0,1\n",
    b'epoch\n"' + b"x" * 200_000,
]


@pytest.mark.parametrize("table", TABLES, ids=["number", "short", "long", "text", "field"])
def test_a_damaged_table_of_a_run(tmp_path, table):
    run = RunFolder(tmp_path)
    run.history.write_bytes(table)
    with pytest.raises(CheckpointError, match=r"^\[run\] .*history.csv must be the table"):
        run.read_history()


def test_a_table_without_validation(tmp_path):
    run = RunFolder(tmp_path)
    run.history.write_text("epoch,loss,val_loss\n0,1.5,NA\n1,nan,NA\n")
    history = run.read_history()
    assert list(history) == ["loss"] and history["loss"][0] == 1.5


def test_a_log_that_is_no_table(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"epoch\xff\n")
    with pytest.raises(ValueError, match=r"^\[CSVLogger\] .*UTF-8"):
        callbacks.CSVLogger(tmp_path / "log.csv", append=True).on_train_begin()


SETTINGS = {
    "dataset": "digits",
    "image_size": None,
    "model": "cnn",
    "batch_size": 32,
    "optimizer": "adam",
    "learning_rate": None,
    "seed": 0,
    "epochs": 2,
}
WRONG = {
    "dataset": [1],
    "image_size": 0,
    "model": 5,
    "batch_size": "32",
    "optimizer": {},
    "learning_rate": -1.0,
    "seed": True,
    "epochs": 0,
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_of_a_run_are_those_of_the_command_line(tmp_path, capsys, name):
    (tmp_path / "model.safetensors").write_bytes(b"not read")
    (tmp_path / "run.json").write_text(json.dumps({**SETTINGS, name: WRONG[name]}))
    assert main(["train", "--resume", "--output", str(tmp_path)]) == 1
    assert f"must hold {name!r} as --{name.replace('_', '-')} takes it" in capsys.readouterr().err


def test_settings_in_another_encoding(tmp_path):
    (tmp_path / "run.json").write_bytes("{}".encode("utf-32-le"))  # Python's json would import a codec for it
    with pytest.raises(CheckpointError, match="must be the JSON"):
        RunFolder(tmp_path).read_settings()
