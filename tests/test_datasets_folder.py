"""Folders of images by class."""

from __future__ import annotations

import os
import struct
import sys
import zlib

import numpy as np
import pytest

from fastconv.datasets import image_dataset_from_directory as load
from fastconv.errors import DatasetError

Image = pytest.importorskip("PIL.Image", reason="folders of images need Pillow")


def picture(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(path) if mode else Image.fromarray(array).save(path)


def solid(value, channels=3, size=6):
    return np.full((size, size, channels) if channels > 1 else (size, size), value, np.uint8)


@pytest.fixture
def root(tmp_path):
    picture(tmp_path / "dog" / "a.png", solid(10))
    picture(tmp_path / "cat" / "b.PNG", solid(20))
    picture(tmp_path / "cat" / "deep" / "er" / "c.bmp", solid(30, 1))
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / ".hidden.png").write_text("no picture")
    (tmp_path / "README").write_text("no class")
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_classes_order_shapes_and_values(root):
    x, y, names = load(root, image_size=(4, 5))
    assert names == ("cat", "dog") and x.shape == (3, 4, 5, 3) and x.dtype == np.uint8 and y.dtype == np.int64
    assert y.tolist() == [0, 0, 1] and x[:, 0, 0, 0].tolist() == [20, 30, 10] and x[:, 3, 4, 2].tolist() == [20, 30, 10]
    assert load(str(root), (4, 5), "grayscale")[0].shape == (3, 4, 5, 1)


def test_class_names_choose_and_order(root):
    x, y, names = load(root, (2, 2), class_names=["dog", "cat"])
    assert names == ("dog", "cat") and y.tolist() == [0, 1, 1] and x[0, 0, 0, 0] == 10
    for bad, error in (
        (["cow"], ValueError),
        ([], ValueError),
        (["cat", "cat"], ValueError),
        ("cat", TypeError),
    ):
        with pytest.raises(error, match="class_names"):
            load(root, (2, 2), class_names=bad)


def test_modes_are_converted_right(tmp_path):
    grey16 = np.full((4, 4), 0xAB12, np.uint16)
    picture(tmp_path / "k" / "1.png", grey16)
    picture(tmp_path / "k" / "2.png", np.dstack([solid(50, 3, 4), solid(0, 1, 4)]))  # transparent
    picture(tmp_path / "k" / "3.gif", solid(51, 3, 4), "P")
    picture(tmp_path / "k" / "4.png", solid(255, 1, 4), "1")
    x, _, _ = load(tmp_path, (4, 4))
    assert x[0, 0, 0].tolist() == [0xAB] * 3 and x[1, 0, 0].tolist() == [50] * 3
    assert abs(int(x[2, 0, 0, 0]) - 51) <= 2 and x[3, 0, 0].tolist() == [255] * 3


def test_pixels_keep_their_place(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    picture(tmp_path / "k" / "a.png", image)
    np.testing.assert_array_equal(load(tmp_path, (7, 9))[0][0], image)
    np.testing.assert_array_equal(load(tmp_path, (14, 18), interpolation="nearest")[0][0, ::2, ::2], image)


def test_unreadable_pictures_are_named(root):
    good = (root / "dog" / "a.png").read_bytes()
    for name, data in {
        "e.png": b"",
        "t.png": good[:40],
        "x.jpg": b"<svg/>",
        "z.png": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }.items():
        (root / "dog" / name).write_bytes(data)
        with pytest.raises(DatasetError, match=name):
            load(root, (4, 4))
        (root / "dog" / name).unlink()
    (root / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(DatasetError, match=r"gone\.png"):
        load(root, (4, 4))


def test_pipe_is_refused_without_waiting(root):
    os.mkfifo(root / "dog" / "pipe.png")
    with pytest.raises(DatasetError, match=r"pipe\.png"):
        load(root, (4, 4))


def test_decompression_bomb(root):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    (root / "dog" / "bomb.png").write_bytes(bomb + chunk(b"IEND", b""))
    with pytest.raises(DatasetError, match=r"bomb\.png"):
        load(root, (4, 4))


def test_symbolic_links(root):
    (root / "bird").symlink_to(root / "dog", target_is_directory=True)
    assert load(root, (4, 4))[2] == ("bird", "cat", "dog")  # a class may be a link
    (root / "cat" / "loop").symlink_to(root / "cat", target_is_directory=True)
    with pytest.raises(DatasetError, match="loop"):
        load(root, (4, 4))
    (root / "cat" / "loop").unlink()
    (root / "cat" / "self").symlink_to(root / "cat" / "self")
    with pytest.raises(DatasetError, match="self"):
        load(root, (4, 4))


def test_empty_folders(tmp_path):
    with pytest.raises(DatasetError, match="sub-folder"):
        load(tmp_path, (4, 4))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty"):
        load(tmp_path, (4, 4))
    with pytest.raises(DatasetError, match="existing folder"):
        load(tmp_path / "nowhere", (4, 4))


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"directory": None}, TypeError, "directory"),
        ({"directory": 3}, TypeError, "directory"),
        ({"directory": ""}, ValueError, "directory"),
        ({"image_size": (4,)}, ValueError, "image_size"),
        ({"image_size": 4}, ValueError, "image_size"),
        ({"image_size": (4, 0)}, ValueError, r"image_size\[1\]"),
        ({"image_size": (4.0, 4)}, TypeError, r"image_size\[0\]"),
        ({"image_size": (4, 2**40)}, ValueError, "image_size"),
        ({"color_mode": "rgba"}, ValueError, "color_mode"),
        ({"color_mode": None}, ValueError, "color_mode"),
        ({"interpolation": "cubic"}, ValueError, "interpolation"),
    ],
)
def test_arguments(root, changes, error, words):
    with pytest.raises(error, match=words):
        load(**{"directory": root, "image_size": (4, 4), **changes})


def test_without_pillow(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"fastconv\[images\]"):
        load(root, (4, 4))
