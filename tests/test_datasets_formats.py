"""IDX and .npz: right values, and one clear error for everything that is not what it claims to be."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from fastconv.datasets import load_npz, read_idx
from fastconv.errors import DatasetError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx_bytes(array, code=0x08):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def packed(data):
    """Gzip's bytes without the time, so that a test has the same name whenever it is collected."""
    return gzip.compress(data, mtime=0)


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype, code", [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)])
def test_idx_values(tmp_path, pack, dtype, code):
    array = IMAGES.astype(dtype)
    result = read_idx(write(tmp_path / "a", pack(idx_bytes(array, code))))
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.dtype(dtype) and result.dtype.isnative and result.flags.writeable


def test_idx_empty_and_several_gzip_members(tmp_path):
    assert read_idx(write(tmp_path / "a", idx_bytes(np.empty((0, 3), np.uint8)))).shape == (0, 3)
    data = idx_bytes(IMAGES)
    parts = gzip.compress(data[:9]) + gzip.compress(data[9:])
    np.testing.assert_array_equal(read_idx(write(tmp_path / "b", parts)), IMAGES)


GOOD = idx_bytes(IMAGES)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "truncated"),
        (GOOD[:3], "truncated"),
        (GOOD[:10], "truncated"),
        (GOOD[:-1], "truncated"),
        (GOOD + b"\0", "end after its values"),
        (b"\1" + GOOD[1:], "magic"),
        (b"\0\0\7" + GOOD[3:], "magic"),
        (b"\0\0\x08\0", "magic"),
        (b"\0\0\x08\xff" + bytes(2000), "magic"),
        (b"PK\3\4" + bytes(50), "magic"),
        (b"\0\0\x08\1\xff\xff\xff\xff" + bytes(9), "truncated"),
        (b"\0\0\x08\2" + b"\xff" * 8, "too large"),
        (packed(GOOD)[:-9], "damaged"),
        (packed(GOOD)[:-1] + b"x", "damaged"),
        (packed(GOOD) + b"rubbish", "damaged"),
        (packed(GOOD)[:10] + b"\xff" * 30, "damaged"),
        (packed(GOOD + bytes(100)), "end after its values"),
    ],
)
def test_idx_refuses(tmp_path, data, words):
    with pytest.raises(DatasetError, match=words):
        read_idx(write(tmp_path / "a", data))


def test_idx_costs_no_memory_for_bytes_that_do_not_come(tmp_path):
    lie = write(tmp_path / "lie", struct.pack(">BBBBI", 0, 0, 8, 1, 2**31) + bytes(100))
    bomb = write(tmp_path / "bomb", gzip.compress(idx_bytes(IMAGES) + bytes(1 << 26)))
    tracemalloc.start()
    for path in (lie, bomb):
        with pytest.raises(DatasetError):
            read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_idx_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(DatasetError, match="regular file"):
            read_idx(path)
    for bad, error in (
        (None, TypeError),
        (3, TypeError),
        (b"x", TypeError),
        ("", ValueError),
        ("a\0b", ValueError),
    ):
        with pytest.raises(error, match="path"):
            read_idx(bad)


# -- .npz --


X, Y = np.arange(40, dtype=np.float32).reshape(20, 2), np.arange(20) % 2


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npz_split(tmp_path):
    path = save(tmp_path / "a.npz", x=X, y=Y, name=np.array(["text"] * 20))
    (x, y), (xt, yt) = load_npz(path, seed=4)
    assert (len(x), len(xt)) == (16, 4) and np.bincount(yt).tolist() == [2, 2]
    np.testing.assert_array_equal(np.sort(np.concatenate([x, xt])[:, 0]), X[:, 0])
    np.testing.assert_array_equal(Y[(x[:, 0] // 2).astype(int)], y)
    np.testing.assert_array_equal(load_npz(path, seed=4)[0][0], x)
    assert [len(a) for a, _ in load_npz(path, test_fraction=0)] == [20, 0]
    regression = save(tmp_path / "r.npz", x=X, y=X)
    assert load_npz(regression)[1][1].shape == (4, 2)


def test_npz_four_arrays_keep_order_and_layout(tmp_path):
    arrays = {"x_train": np.asfortranarray(X), "y_train": Y.astype(">i4"), "x_test": X[:3], "y_test": Y[:3]}
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    (x, y), (xt, yt) = load_npz(tmp_path / "b.npz")
    for got, expected in ((x, X), (y, Y), (xt, X[:3]), (yt, Y[:3])):
        np.testing.assert_array_equal(got, expected)
        assert got.flags.c_contiguous and got.dtype.isnative


def npy(array, shape=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    data = stream.getvalue()
    return data if shape is None else data.replace(str(array.shape).encode(), shape)


def archive(path, compression=zipfile.ZIP_DEFLATED, **members):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
        warnings.simplefilter("ignore")  # zipfile warns of equal names
        for name, data in members.items():
            for piece in data if isinstance(data, list) else [data]:
                file.writestr(f"{name}.npy", piece)
    return path


class Touch:
    """Pickles to a call that would be noticed."""

    def __reduce__(self):
        return (open, ("/tmp/fastconv-must-not-exist", "w"))


def test_npz_refuses(tmp_path):
    good = npy(X), npy(Y)
    cases = {
        "wrong names": (save(tmp_path / "1.npz", a=X), "x and y"),
        "no member": (save(tmp_path / "2.npz"), "none"),
        "rows": (save(tmp_path / "3.npz", x=X, y=Y[:-1]), "equally many rows"),
        "scalar": (save(tmp_path / "4.npz", x=np.float32(1), y=Y), "equally many rows"),
        "empty": (save(tmp_path / "5.npz", x=X[:0], y=Y[:0]), "hold samples"),
        "objects": (save(tmp_path / "6.npz", x=np.array([Touch()] * 20), y=Y), "hold numbers"),
        "text": (save(tmp_path / "7.npz", x=X, y=np.array(["a"] * 20)), "LabelEncoder"),
        "complex": (save(tmp_path / "8.npz", x=X + 1j, y=Y), "hold numbers"),
        "no zip": (write(tmp_path / "9.npz", b"x" * 200), "undamaged"),
        "npy": (write(tmp_path / "10.npz", good[0]), "undamaged"),
        "twice": (archive(tmp_path / "11.npz", x=[good[0]] * 2, y=good[1]), "once"),
        "no header": (archive(tmp_path / "12.npz", x=b"\x93NUMPY\1\0\xff\xff", y=good[1]), "header"),
        "code in header": (archive(tmp_path / "13.npz", x=npy(X, b"len('')"), y=good[1]), "header"),
        "lying shape": (
            archive(tmp_path / "14.npz", x=npy(X, b"(2000000000, 2000000)"), y=good[1]),
            "size of",
        ),
        "longer": (archive(tmp_path / "15.npz", x=good[0] + b"\0", y=good[1]), "size of"),
        "lzma": (archive(tmp_path / "16.npz", zipfile.ZIP_BZIP2, x=good[0], y=good[1]), "stored or deflated"),
        "too large": (archive(tmp_path / "17.npz", x=good[0], y=good[1]), "sizes"),
    }
    for name, (path, words) in cases.items():
        with pytest.raises(DatasetError, match=words):
            load_npz(path, max_bytes=100 if name == "too large" else 1 << 30)
    assert not os.path.exists("/tmp/fastconv-must-not-exist")


def test_npz_lying_sizes_cost_no_memory(tmp_path):
    """The zip directory and the .npy header agree on 3 GB that are not there."""
    header = npy(np.empty((1000,), np.uint8), b"(3000000000,)")[:128]
    path = archive(tmp_path / "a.npz", zipfile.ZIP_STORED, x=header, y=header)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 24 : entry + 28] = struct.pack("<I", 3_000_000_128)
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(DatasetError, match="sizes"):
        load_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_npz_survives_any_flipped_byte(tmp_path):
    """Each damaged copy is read right, or refused with a DatasetError; nothing else escapes."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    good = path.read_bytes()
    for i in range(len(good)):
        for flip in (0x01, 0xFF):
            path.write_bytes(good[:i] + bytes([good[i] ^ flip]) + good[i + 1 :])
            try:
                (x, _), (xt, _) = load_npz(path)
            except DatasetError:
                continue
            np.testing.assert_array_equal(np.sort(np.concatenate([x, xt])[:, 0]), X[:, 0])


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"test_fraction": 1}, ValueError),
        ({"test_fraction": -0.1}, ValueError),
        ({"test_fraction": float("nan")}, ValueError),
        ({"test_fraction": "0.2"}, TypeError),
        ({"seed": 0.5}, TypeError),
        ({"max_bytes": 0}, ValueError),
        ({"path": None}, TypeError),
        ({"path": "/nowhere/a.npz"}, FileNotFoundError),
        ({"path": "/dev/zero"}, DatasetError),
        ({"path": "/"}, DatasetError),
    ],
)
def test_npz_arguments(tmp_path, changes, error):
    with pytest.raises(error):
        load_npz(**{"path": save(tmp_path / "a.npz", x=X, y=Y), **changes})
