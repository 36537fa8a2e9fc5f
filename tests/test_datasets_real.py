"""The digits in the package, and the real files in FASTCONV_DATA where there are any."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv.datasets
from fastconv.datasets import cifar10, digits, fashion_mnist, load_npz, mnist

DATA = Path(os.environ.get("FASTCONV_DATA") or "/nowhere")


def needs(path):
    there = (DATA / path).exists()
    return pytest.mark.skipif(not there, reason=f"FASTCONV_DATA is not set or holds no {path}")


def test_digits():
    (x, y), (xt, yt) = digits.load_data()
    assert x.shape == (1438, 8, 8) and xt.shape == (359, 8, 8) and x.dtype == y.dtype == np.uint8
    assert x.min() == 0 and x.max() == 16 and set(y) == set(yt) == set(range(10))
    everything = np.concatenate([y, yt])
    counts = np.bincount(everything)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(yt) - counts * 0.2).max() < 2
    assert int(x.sum()) + int(xt.sum()) == 561_718
    assert len(digits.class_names) == 10 and x.flags.writeable and x.flags.c_contiguous


def test_digits_split_depends_on_the_seed_only():
    first, again, other = digits.load_data(), digits.load_data(), digits.load_data(seed=1)
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert (first[1][0] != other[1][0]).any()
    assert [len(y) for _, y in digits.load_data(0)] == [1797, 0]
    assert [len(y) for _, y in digits.load_data(test_fraction=0.5)] in ([898, 899], [899, 898])


@pytest.mark.parametrize(
    "changes, error",
    [
        ({"test_fraction": 1.0}, ValueError),
        ({"test_fraction": -0.1}, ValueError),
        ({"test_fraction": None}, TypeError),
        ({"test_fraction": True}, TypeError),
        ({"seed": 1.0}, TypeError),
        ({"seed": "a"}, TypeError),
    ],
)
def test_digits_arguments(changes, error):
    with pytest.raises(error, match=next(iter(changes))):
        digits.load_data(**changes)


def test_digits_file_is_small_and_has_its_licence():
    folder = Path(digits.__file__).with_name("data")
    assert (folder / "digits.npz").stat().st_size <= 60_000
    assert "CC BY 4.0" in (folder / "README.md").read_text()


def test_import_is_lazy():
    code = (
        "import sys, fastconv.datasets as d\n"
        "print([m for m in ('PIL', 'urllib.request', 'fastconv.datasets.cifar10') if m in sys.modules])\n"
        "d.mnist, d.cifar10, d.Dataset, d.image_dataset_from_directory, d.load_npz\n"
        "print([m for m in ('PIL', 'urllib.request') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (result.stdout, result.stderr) == ("[]\n[]\n", "")


def test_names():
    for name in fastconv.datasets.__all__:
        assert getattr(fastconv.datasets, name) is not None and name in dir(fastconv.datasets)
    with pytest.raises(AttributeError, match="imagenet"):
        _ = fastconv.datasets.imagenet


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(mnist, marks=needs("mnist/train-images-idx3-ubyte.gz")),
        pytest.param(fashion_mnist, marks=needs("fashion_mnist/train-images-idx3-ubyte.gz")),
    ],
)
def test_idx_sets(module):
    (x, y), (xt, yt) = module.load_data()
    assert [a.shape for a in (x, y)] == [(60000, 28, 28), (60000,)]
    assert [a.shape for a in (xt, yt)] == [(10000, 28, 28), (10000,)]
    assert {a.dtype.str for a in (x, y, xt, yt)} == {"|u1"} and set(y) == set(yt) == set(range(10))
    assert len(module.class_names) == 10 and x.max() == 255
    assert module is mnist or (np.bincount(y) == 6000).all()


@needs("cifar10/exact/data_batch_1_first4000.bin.gz")
def test_first_records_of_cifar10():
    data = gzip.decompress((DATA / "cifar10/exact/test_batch_first1000.bin.gz").read_bytes())
    x, y = cifar10._SET.parse_binary(data, "exact")
    assert x.shape == (1000, 32, 32, 3) and y.shape == (1000, 1)
    assert [cifar10.class_names[v] for v in y[:5, 0]] == ["cat", "ship", "ship", "airplane", "frog"]
    assert x[0, 0, 0].tolist() == [158, 112, 49]  # as Keras gives it
    record = np.frombuffer(data, np.uint8)[:3073]
    assert x[0, 5, 7, 2] == record[1 + 2048 + 5 * 32 + 7]


@needs("cats_dogs/oxford_pets_370_64.npz")
def test_pets():
    (x, y), (xt, yt) = load_npz(DATA / "cats_dogs/oxford_pets_370_64.npz")
    assert x.shape[1:] == (64, 64, 3) and x.dtype == np.uint8 and len(x) + len(xt) == 370
    assert (np.bincount(y) + np.bincount(yt)).tolist() == [120, 250]
