"""The readers of data and of what a command writes: IDX, CIFAR, .npz, CSV, pictures, configurations, run folders."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import formats
import numpy as np
from PIL import Image
from watch import Reader

from fastconv import cli, layers, models
from fastconv.callbacks import CSVLogger
from fastconv.cli import config_file, train
from fastconv.cli.run_folder import RunFolder
from fastconv.datasets import image_dataset_from_directory, load_csv, load_npz, read_idx
from fastconv.datasets._cifar import CifarSet
from fastconv.datasets.image_folder import load_img
from fastconv.errors import CheckpointError, DatasetError

__all__ = ["READERS", "WORDS"]

_GIVEN = 1 << 22  # max_bytes of the readers that have it

# IDX.


def _idx() -> list[bytes]:
    codes = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
    found = []
    for code, dtype in codes.items():
        array = np.arange(12).reshape(2, 3, 2).astype(dtype)
        found.append(bytes([0, 0, code, 3]) + struct.pack(">3I", 2, 3, 2) + array.tobytes())
    return [*found, *(gzip.compress(data, mtime=0) for data in found[:2])]


# CIFAR: a set of two batches of one image, in an archive or as files.

_PIXELS = 32 * 32 * 3
_TWO = CifarSet(
    "cifar10", (1, 1), ("a.bin", "b.bin"), ("a", "b"), ("labels",), (10,), ("a.tar.gz",), "a.tar.gz", "", ()
)


def _batch(protocol: int) -> bytes:
    batch = {b"batch_label": b"x", b"labels": [3], b"data": np.zeros((1, _PIXELS), np.uint8), b"filenames": [b"a.png"]}
    return pickle.dumps(batch, protocol)


def _tar(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _cifar() -> list[bytes]:
    binary = bytes([3]) + bytes(_PIXELS)
    archives = [_tar(("c/a", _batch(p)), ("c/b", _batch(p)), ("c/readme", b"x")) for p in (2, 3, 4, 5)]
    return [*archives, _tar(("a.bin", binary), ("b.bin", binary)), binary, *map(_batch, range(6))]


def _prepare_cifar(folder: Path) -> Callable[[], None]:
    def read() -> None:
        if (folder / "a.tar.gz").exists():
            _TWO.load(folder / "a.tar.gz")
            return
        data = (folder / "a").read_bytes()
        parse = _TWO.parse_binary if len(data) == 1 + _PIXELS else _TWO.parse_pickled
        parse(data, folder / "a", 1)

    return read


def _change_cifar(data: bytes, mutation: Any) -> bytes:
    return formats.tar_gz(data, mutation) if data[:2] == b"\x1f\x8b" else mutation.of_bytes(data)


# NumPy's archives.


def _npz() -> list[bytes]:
    x, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 0, 1])
    found = []
    for save in (np.savez, np.savez_compressed):
        for arrays in (
            {"x": x, "y": y},
            {"x_train": x, "y_train": y, "x_test": x.astype(">f4"), "y_test": y},
            {"x": np.asfortranarray(x), "y": y},
        ):
            buffer = io.BytesIO()
            save(buffer, **arrays)
            found.append(buffer.getvalue())
    return found


def _array_name(data: bytes) -> str:
    return "x.npz" if data[:2] == b"PK" else "x.idx"


def _prepare_arrays(folder: Path) -> Callable[[], None]:
    def read() -> None:
        if (folder / "x.npz").exists():
            load_npz(folder / "x.npz", max_bytes=_GIVEN)
        else:
            read_idx(folder / "x.idx", max_bytes=_GIVEN)

    return read


def _change_array(data: bytes, mutation: Any) -> bytes:
    return _CHANGES[_array_name(data)](data, mutation)


def _npy(data: bytes, mutation: Any) -> bytes:
    """The header's text with the right length, or any byte."""
    if mutation.chance(0.3) or len(data) < 12:
        return mutation.of_bytes(data)
    (length,) = struct.unpack("<H", data[8:10])
    header = mutation.of_bytes(data[10 : 10 + length].rstrip())[:4000]
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return data[:8] + struct.pack("<H", len(header)) + header + data[10 + length :]


_CHANGES = {"x.npz": formats.zipped(lambda name: _npy), "x.idx": formats.gzipped(formats.plain)}

# Tables.


def _csv() -> list[bytes]:
    texts = [
        "a,b,c\n1,2,0\n3,4,1\n",
        "1,2,0\r\n3,4.5,1\r\n",
        "\ufeffa;b\n1,x\n2,y\n",
        '"a","b"\n"1","2"\n',
        "1,nan\ninf,-1e5\n",
        "1\n2\n",
    ]
    return [text.encode() for text in texts]


def _prepare_csv(folder: Path) -> Callable[[], None]:
    return lambda: load_csv(folder / "x.csv")


# Pictures, one or in a folder.


def _picture_files() -> list[bytes]:
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (5, 6, 3)).astype(np.uint8))
    grey16 = Image.fromarray(rng.integers(0, 60000, (4, 3)).astype(np.uint16))
    kinds = {
        "PNG": [color, color.convert("L"), color.convert("P"), color.convert("RGBA"), color.convert("1"), grey16],
        "JPEG": [color, color.convert("L"), color.convert("CMYK")],
        "GIF": [color.convert("P")],
        "BMP": [color, color.convert("P"), color.convert("1")],
        "PPM": [color, color.convert("L"), color.convert("1")],
        "WEBP": [color, color.convert("RGBA")],
    }
    found = []
    for kind, images in kinds.items():
        for image in images:
            buffer = io.BytesIO()
            image.save(buffer, kind)
            found.append(buffer.getvalue())
    for options in ({"format": "JPEG", "progressive": True}, {"format": "WEBP", "lossless": True}):
        buffer = io.BytesIO()
        color.save(buffer, **options)
        found.append(buffer.getvalue())
    return found


def _prepare_picture(folder: Path) -> Callable[[], None]:
    (folder / "class").mkdir(exist_ok=True)
    (folder / "class" / "x.png").symlink_to(folder / "x.png")

    def read() -> None:
        load_img(folder / "x.png")
        image_dataset_from_directory(folder, (4, 4), "grayscale", class_names=["class"])

    return read


# The command line's files.


def _config() -> list[bytes]:
    values: dict[str, Any] = {
        "dataset": "digits",
        "model": "cnn",
        "epochs": 5,
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "seed": 3,
        "resume": False,
        "report": True,
        "image-size": None,
        "class_names": ["a", "b"],
        "threads": 2,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None]
    dates = "seed = 0x10\nlearning_rate = 1e-3\nstart = 1979-05-27T07:32:00Z\n[table]\na.b = [1, {c = 2}]\n[[list]]\nd = '''x'''\n"
    return [json.dumps(values).encode(), "\n".join(lines).encode(), dates.encode()]


def _command_name(data: bytes) -> str:
    if data.lstrip()[:1] in (b"{", b"["):
        return "run.json" if b'"image_size"' in data else "config.json"
    return "history.csv" if data.startswith(b"epoch") else "config.toml"


_SETTINGS = {
    "dataset": "digits",
    "image_size": None,
    "model": "cnn",
    "batch_size": 32,
    "optimizer": "adam",
    "learning_rate": None,
    "seed": 0,
    "epochs": 2,
    "class_names": ["0", "1"],
}
_HISTORY = "epoch,accuracy,loss,val_accuracy,val_loss\r\n0,0.5,1.5,0.25,2.0\r\n1,0.75,1.0,0.5,1.5\r\n"


def _prepare_command(folder: Path) -> Callable[[], None]:
    (folder / "run.json").write_text(json.dumps(_SETTINGS), "utf-8")
    (folder / "history.csv").write_bytes(_HISTORY.encode())
    models.Sequential([layers.Input((2,)), layers.Dense(2)]).save(folder / "model.safetensors")
    parser = cli._parser()
    resuming = parser.parse_args(["train", "--resume", "--output", str(folder)])
    kinds = {"dataset": str, "model": str, "optimizer": str, "batch_size": int, "seed": int, "epochs": int}

    def resume() -> None:
        settings = train._resumed(resuming, RunFolder(folder))
        for name, kind in kinds.items():
            assert type(settings[name]) is kind, (name, settings[name])

    def tables() -> None:
        run = RunFolder(folder)
        history = run.read_history()
        assert all(type(value) is float for values in history.values() for value in values), history
        CSVLogger(run.history, append=True).on_train_begin()

    def configure(name: str) -> None:
        argv = ["train", "--config", str(folder / name)]
        with redirect_stderr(io.StringIO()):
            config_file.with_config(parser, argv, parser.parse_args(argv))

    def read() -> None:
        for name in ("config.json", "config.toml"):
            if (folder / name).exists():
                configure(name)
                return
        resume()
        tables()

    return read


def _change_command(data: bytes, mutation: Any) -> bytes:
    if _command_name(data).endswith(".json"):
        return mutation.of_json_text(data.decode("latin-1")).encode("latin-1", "replace")
    return formats.text(data, mutation)


WORDS = [
    *_SETTINGS,
    *_SETTINGS.values(),
    "nan",
    "1e999",
    "0x1",
    "1_0",
    "labels",
    "data",
    "size",
    "path",
    "x",
    "y",
    "a",
    "b",
]
_PICTURE_MEMORY = 3 << 29  # 2**27 pixels of four bytes, before and after a conversion
_DATA = (DatasetError,)

READERS = {
    "arrays": Reader("IDX files and NumPy's archives: read_idx, load_npz", _array_name, _prepare_arrays, lambda: [*_idx(), *_npz()], formats.inside(_change_array), _DATA, memory=(32 << 20) + 2 * _GIVEN),
    "cifar": Reader("CIFAR's archives and batches", lambda data: "a.tar.gz" if data[:2] == b"\x1f\x8b" else "a", _prepare_cifar, _cifar, formats.inside(_change_cifar), _DATA, memory=3 << 28),
    "csv": Reader("tables, load_csv", lambda data: "x.csv", _prepare_csv, _csv, formats.inside(formats.text), _DATA),
    "picture": Reader("pictures, load_img and image_dataset_from_directory", lambda data: "x.png", _prepare_picture, _picture_files, formats.inside(formats.pictures), (*_DATA, MemoryError), memory=_PICTURE_MEMORY),
    "command": Reader("what the command line reads: --config, run.json, history.csv", _command_name, _prepare_command, lambda: [*_config(), json.dumps(_SETTINGS).encode(), _HISTORY.encode()], formats.inside(_change_command), (CheckpointError, ValueError, SystemExit)),
}  # fmt: skip
