"""CIFAR: binary and pickled batches, archives, and pickles that must never run."""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
import pickle
import pickletools
import struct
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from fastconv.datasets import cifar10, cifar100
from fastconv.datasets._pickle_arrays import read_pickled_dict
from fastconv.errors import DatasetError

N = 4
SMALL = dataclasses.replace(cifar10._SET, records=(N,) * 6, mirrors=())
SMALL100 = dataclasses.replace(cifar100._SET, records=(N, N), mirrors=())
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6 * N, 32, 32, 3), np.uint8)
LABELS = RNG.integers(0, 10, 6 * N).astype(np.uint8)


@pytest.fixture(autouse=True)
def _nowhere_else(tmp_path_factory, monkeypatch):
    monkeypatch.delenv("FASTCONV_DATA", raising=False)
    monkeypatch.setenv("FASTCONV_CACHE", str(tmp_path_factory.mktemp("cache")))


def planes(i):
    return IMAGES[i * N : (i + 1) * N].transpose(0, 3, 1, 2).reshape(N, 3072)


def binary(i):
    return np.hstack([LABELS[i * N : (i + 1) * N, None], planes(i)]).tobytes()


def pickled(i, protocol=4, changes=()):
    batch = {
        b"batch_label": b"batch",
        b"labels": [int(v) for v in LABELS[i * N : (i + 1) * N]],
        b"data": planes(i),
    }
    return pickle.dumps({**batch, b"filenames": [b"a.png"] * N, **dict(changes)}, protocol)


def python2(data=None, labels=None):
    """The byte code that Python 2's cPickle wrote for the published files."""
    data = planes(0) if data is None else data
    labels = LABELS[:N] if labels is None else labels

    def text(value):
        return b"U" + bytes([len(value)]) + value

    shape = b"".join(b"M" + struct.pack("<H", n) for n in data.shape) + b"\x86"
    state = b"(K\x03U\x01|NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    dtype = b"cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\x09" + state
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01" + (
        shape + dtype + b"\x89T" + struct.pack("<I", data.size) + data.tobytes() + b"tb"
    )
    numbers = b"]q\x0a(" + b"".join(b"K" + bytes([v]) for v in labels) + b"e"
    items = text(b"data") + b"q\x04" + array + text(b"labels") + numbers
    return b"\x80\x02}q\x01(" + items + text(b"batch_label") + text(b"batch 1 of 5") + b"u."


def check(parts):
    (x, y), (xt, yt) = parts
    assert x.dtype == y.dtype == np.uint8 and y.shape == (5 * N, 1) and yt.shape == (N, 1)
    np.testing.assert_array_equal(np.concatenate([x, xt]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([y, yt])[:, 0], LABELS)


def fill(folder, make, names):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        (folder / name).write_bytes(make(i))


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_python2_fake_is_the_real_byte_code():
    """The published files begin so; the standard library (trusted here) reads the fake as those."""
    names = [opcode.name for opcode, _, _ in pickletools.genops(python2())]
    assert {"SHORT_BINSTRING", "BINSTRING", "GLOBAL", "REDUCE", "BUILD", "SETITEMS", "APPENDS"} <= set(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy renamed numpy.core
        batch = pickle.loads(python2(), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], planes(0))


@pytest.mark.parametrize("place", ["FASTCONV_DATA", "FASTCONV_DATA/cifar10", "cache", "path"])
def test_binary_batches_are_found(tmp_path, monkeypatch, place):
    folder = {
        "FASTCONV_DATA/cifar10": tmp_path / "cifar10",
        "cache": Path(os.environ["FASTCONV_CACHE"]) / "cifar10",
    }
    fill(folder.get(place, tmp_path), binary, SMALL.binary)
    if place.startswith("FASTCONV_DATA"):
        monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    check(SMALL.load(tmp_path if place == "path" else None))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickled_batches(tmp_path, protocol):
    fill(tmp_path / "cifar-10-batches-py", lambda i: pickled(i, protocol), SMALL.pickled)
    check(SMALL.load(tmp_path))


def test_published_byte_code():
    images, labels = SMALL.parse_pickled(python2(), "fake", N)
    np.testing.assert_array_equal(images, IMAGES[:N])
    np.testing.assert_array_equal(labels[:, 0], LABELS[:N])


def test_fortran_arrays_keep_their_values():
    batch = read_pickled_dict(pickle.dumps({"data": np.asfortranarray(planes(1))}, 2), "fake")
    np.testing.assert_array_equal(batch["data"], planes(1))


@pytest.mark.parametrize("version", ["binary", "pickled"])
def test_archives_in_any_order(tmp_path, version):
    make, names = (binary, SMALL.binary) if version == "binary" else (pickled, SMALL.pickled)
    members = [
        ("cifar/readme.html", b"hello"),
        *((f"cifar/{n}", make(i)) for i, n in reversed(list(enumerate(names)))),
    ]
    path = tar(tmp_path / SMALL.archives[version == "binary"], members)
    check(SMALL.load(path))
    check(SMALL.load(tmp_path))


def test_cifar100_labels(tmp_path):
    rows = [np.hstack([np.full((N, 1), i, np.uint8), np.full((N, 1), 99 - i, np.uint8), planes(i)]) for i in range(2)]
    fill(tmp_path / "b", lambda i: rows[i].tobytes(), SMALL100.binary)
    labels = [{"coarse_labels": [i] * N, "fine_labels": [99 - i] * N, "data": planes(i)} for i in range(2)]
    fill(tmp_path / "p", lambda i: pickle.dumps(labels[i], 2), SMALL100.pickled)
    for folder in ("b", "p"):
        (x, y), (_, yt) = SMALL100.load(tmp_path / folder)
        assert y.tolist() == [[0, 99]] * N and yt.tolist() == [[1, 98]] * N
        np.testing.assert_array_equal(x, IMAGES[:N])
    with pytest.raises(ValueError, match="label_mode"):
        cifar100.load_data("medium")


def test_class_names():
    assert len(cifar10.class_names) == 10 and len(cifar100.class_names) == len(set(cifar100.class_names)) == 100
    assert len(cifar100.coarse_class_names) == 20


# -- malformed batches --


@pytest.mark.parametrize(
    "data, words",
    [
        (binary(0)[:-1], "expected 12292 bytes, got 12291"),
        (binary(0) + b"\0", "got 12293"),
        (b"", "got 0"),
        (b"\x0a" + binary(0)[1:], r"got 10\s+in record 0"),
    ],
)
def test_binary_refuses(tmp_path, data, words):
    fill(tmp_path, binary, SMALL.binary)
    (tmp_path / "data_batch_3.bin").write_bytes(data)
    with pytest.raises(DatasetError, match=words) as caught:
        SMALL.load(tmp_path)
    assert "data_batch_3.bin" in str(caught.value)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({b"data": planes(0)[:-1]}, "shape"),
        ({b"data": planes(0).astype(np.int16)}, "dtype"),
        ({b"data": [1, 2]}, "data"),
        ({b"data": None}, "data"),
        ({b"labels": [0] * (N - 1)}, "labels"),
        ({b"labels": [0] * (N - 1) + [10]}, "got 10"),
        ({b"labels": [0] * (N - 1) + [-1]}, "labels"),
        ({b"labels": [0] * (N - 1) + [2**70]}, "labels"),
        ({b"labels": [0] * (N - 1) + ["1"]}, "labels"),
        ({b"labels": [[0]] * N}, "labels"),
        ({b"labels": None}, "labels"),
    ],
)
def test_pickled_refuses(changes, words):
    for protocol in (2, 4):
        with pytest.raises(DatasetError, match=words):
            SMALL.parse_pickled(pickled(0, protocol, changes), "batch", N)


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_pickles_run_nothing(tmp_path):
    victim = tmp_path / "victim"
    attacks = [
        Attack(os.system, f"touch {victim}"),
        Attack(os.mkdir, str(victim)),
        Attack(eval, f"open({str(victim)!r}, 'w')"),
        Attack(getattr, "", "join"),
        Attack(np.fromfile, "/dev/zero"),
        Attack(np.ndarray, (10**15,)),
        np.array([Attack(os.mkdir, str(victim))], object),
        np.dtype("f8"),
        object(),
        1.5,
        {1, 2},
    ]
    for attack in attacks:
        for protocol in range(6):
            with pytest.raises(DatasetError, match=r"asks for|damaged"):
                SMALL.parse_pickled(pickled(0, protocol, {"x": attack}), "batch", N)
    assert not victim.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b".",
        b"\x80\x02.",
        b"\x80\x02}",
        b"\x80\x02}.x",
        b"\x80\x02}}.",
        b"\x80\x02].",
        b"\x80\x020.",
        b"\x80\x02}u.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}(]Nu.",
        b"\x80\x02h\x00.",
        b"\x80\x02\x86.",
        b"\x80\x02(\x85.",
        b"\x80\x02}b.",
        b"\x80\x02}K\x01R.",
        b"\x80\x02}}b.",
        b"\x80\x02cnumpy\ndtype\n)R.",
        b"\x80\x02cnumpy\nndarray\n)R.",
        b"\x80\x02cnumpy\ndtype\n.",
        b"\x80\x02ccopyreg\n_reconstructor\n.",
        b"\x80\x02X\xff\xff\xff\x7fabc.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x93.",
        b"\x80\x02c__builtin__\neval\n(U\x011tR.",
        b"\x80\x02cfastconv\nx\n.",
    ],
)
def test_malformed_byte_code(code):
    with pytest.raises(DatasetError):
        read_pickled_dict(code, "file")


def test_pickle_survives_any_flipped_byte():
    good = pickle.dumps({"data": np.arange(9, dtype=np.uint8).reshape(3, 3), "labels": [1, 2, 3]}, 2)
    for source in (good, python2(np.zeros((2, 3), np.uint8), [1, 2])):
        for i in range(len(source)):
            for value in (0, 1, 0x28, 0x2E, 0x52, 0x62, 0x7F, 0xFF, source[i] ^ 1):
                try:
                    read_pickled_dict(source[:i] + bytes([value]) + source[i + 1 :], "file")
                except DatasetError:
                    continue


def test_deep_and_shared_structures_end_quickly():
    start = time.monotonic()
    deep = b"\x80\x02}U\x01a" + b"]" + b"]" * 100_000 + b"a" * 100_000 + b"s."
    assert isinstance(read_pickled_dict(deep, "file")["a"], list)
    laughs = b"\x80\x02}U\x01a)" + b"q\x00h\x00\x86" * 10_000 + b"s."
    assert isinstance(read_pickled_dict(laughs, "file")["a"], tuple)
    with pytest.raises(DatasetError):
        read_pickled_dict(b"\x80\x02})" + b"q\x00h\x00\x86" * 10_000 + b"Ns.", "file")
    assert time.monotonic() - start < 5


# -- malformed archives --


def batches():
    return [(f"cifar-10-batches-bin/{name}", binary(i)) for i, name in enumerate(SMALL.binary)]


def test_archive_names_lead_nowhere(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    members = [
        ("../evil", b"x"),
        ("/tmp/fastconv-evil", b"x"),
        ("../../data_batch_1.bin", b"short"),
        *batches(),
    ]
    check(SMALL.load(tar(inside / "cifar-10-binary.tar.gz", members)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inside"] and not os.path.exists("/tmp/fastconv-evil")
    assert [p.name for p in inside.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_archive_refuses(tmp_path):
    link = tarfile.TarInfo("c/data_batch_1.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    good = tar(tmp_path / "good.tar.gz", batches()).read_bytes()
    cases = {
        "missing": (tar(tmp_path / "1.tar.gz", batches()[:-1]), "missing test_batch"),
        "twice": (tar(tmp_path / "2.tar.gz", batches() + batches()[:1]), "twice"),
        "short": (tar(tmp_path / "3.tar.gz", [("c/data_batch_1.bin", b"short")]), "12292"),
        "unprintable": (tar(tmp_path / "0.tar.gz", [("\udcff/data_batch_1", b"short")]), "pickle"),
        "members": (tar(tmp_path / "4.tar.gz", [(f"c/{i}", b"") for i in range(100)]), "members"),
        "plain tar": (tar(tmp_path / "5.tar.gz", batches(), "w"), "undamaged"),
        "cut": (tmp_path / "6.tar.gz", "undamaged"),
        "empty": (tmp_path / "7.tar.gz", "undamaged"),
        "bomb": (tmp_path / "8.tar.gz", "more than"),
    }
    (tmp_path / "6.tar.gz").write_bytes(good[: len(good) // 2])
    (tmp_path / "7.tar.gz").write_bytes(b"")
    huge = tarfile.TarInfo("c/huge")
    huge.size = 1 << 40
    with gzip.open(tmp_path / "8.tar.gz", "wb", compresslevel=1) as file:
        file.write(huge.tobuf())
        for _ in range(260):
            file.write(bytes(1 << 20))
    for name, (path, words) in cases.items():
        with pytest.raises(DatasetError, match=words) as caught:
            SMALL.load(path)
        assert str(caught.value).encode("utf-8"), name  # it can be printed
    with tarfile.open(tmp_path / "9.tar.gz", "w:gz") as archive:
        archive.addfile(link)
    with pytest.raises(DatasetError, match="missing data_batch_1"):
        SMALL.load(tmp_path / "9.tar.gz")


def test_sparse_members_do_not_grow(tmp_path):
    """A pax header may say that a member is a hole of a terabyte."""
    info = tarfile.TarInfo("c/data_batch_1.bin")
    body = b"1\n1099511627776\n0\n".ljust(512, b"\0")
    info.size = len(body)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": info.name,
        "GNU.sparse.realsize": str(1 << 40),
    }
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(body))
    with pytest.raises(DatasetError, match=r"missing data_batch_1|undamaged"):
        SMALL.load(tmp_path / "a.tar.gz")


def test_archive_survives_any_flipped_byte(tmp_path):
    raw = gzip.decompress(tar(tmp_path / "a.tar.gz", [("c/data_batch_1", b"x" * 9)]).read_bytes())[:1536]
    for i in range(520):
        with gzip.open(tmp_path / "b.tar.gz", "wb", compresslevel=0) as file:
            file.write(raw[:i] + bytes([raw[i] ^ 0xFF]) + raw[i + 1 :])
        with pytest.raises(DatasetError):
            SMALL.load(tmp_path / "b.tar.gz")


def test_missing_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(DatasetError, match=r"cifar-10-python\.tar\.gz.*test_batch\.bin.*FASTCONV_DATA=FOLDER"):
        SMALL.load(tmp_path)
    fill(tmp_path / "cifar10", binary, SMALL.binary[:-1])
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=r"some batches but not test_batch\.bin"):
        SMALL.load()
    monkeypatch.setenv("FASTCONV_DATA", str(tmp_path / "typo"))
    with pytest.raises(DatasetError, match="FASTCONV_DATA must name a folder"):
        SMALL.load()
