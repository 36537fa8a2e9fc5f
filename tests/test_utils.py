"""fastconv.utils: labels, splits, scaling, channels, seeds."""

from __future__ import annotations

import random as python_random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv.random
from fastconv import utils
from fastconv.utils.split import split_indices


@pytest.mark.parametrize("shape, out", [((4,), (4, 5)), ((4, 1), (4, 5)), ((2, 3), (2, 3, 5)), ((), (5,))])
def test_to_categorical_shapes_as_keras(shape, out):
    labels = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5
    result = utils.to_categorical(labels, 5)
    assert result.shape == out and result.dtype == np.float32
    np.testing.assert_array_equal(result.argmax(-1).ravel(), labels.ravel())
    np.testing.assert_array_equal(result.sum(-1), np.ones(out[:-1]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint64])
def test_to_categorical_infers_classes(dtype):
    assert utils.to_categorical(np.array([0, 3, 1], dtype)).shape == (3, 4)


def test_to_categorical_empty():
    assert utils.to_categorical([], 3).shape == (0, 3)


@pytest.mark.parametrize(
    "args, error, words",
    [
        (([0, 10], 10), ValueError, "x=10 at index 1"),
        (([-1],), ValueError, "x=-1 at index 0"),
        (([-1], 3), ValueError, "x=-1"),
        (([],), ValueError, "num_classes"),
        (([0.0],), TypeError, "float64"),
        (([True],), TypeError, "bool"),
        ((["a"],), TypeError, "<U1"),
        ((None,), TypeError, "NoneType"),
        (("012",), TypeError, "str"),
        (([[0], [1, 2]],), ValueError, "regular"),
        (([0], 0), ValueError, "num_classes >= 1"),
        (([0], 2.0), TypeError, "num_classes"),
        (([0], True), TypeError, "num_classes"),
        (([0], 2**62), MemoryError, "sparse loss"),
        ((np.array([2**62]),), MemoryError, "sparse loss"),
        ((np.array([2**64 - 1], np.uint64),), MemoryError, "sparse loss"),
    ],
)
def test_to_categorical_refuses(args, error, words):
    with pytest.raises(error, match=words):
        utils.to_categorical(*args)


@pytest.mark.parametrize("labels", [["dog", "cat", "cow", "cat"], [30, -1, 7, 30], ["ä"], [True, False]])
def test_label_encoder_round_trip(labels):
    encoder = utils.LabelEncoder()
    numbers = encoder.fit_transform(labels)
    assert numbers.dtype == np.int64 and set(numbers) == set(range(len(set(labels))))
    assert encoder.inverse_transform(numbers).tolist() == labels
    assert encoder.classes_.tolist() == sorted(set(labels))
    assert encoder.transform([]).shape == encoder.inverse_transform([]).shape == (0,)


def test_label_encoder_refuses():
    with pytest.raises(RuntimeError, match="fit"):
        utils.LabelEncoder().transform(["a"])
    encoder = utils.LabelEncoder().fit(["b", "d"])
    for unseen in ("a", "c", "e", "bb"):
        with pytest.raises(ValueError, match=f"'{unseen}' at index 1"):
            encoder.transform(["b", unseen])
    with pytest.raises(TypeError, match="kind"):
        encoder.transform([1])
    with pytest.raises(ValueError, match="got 2"):
        encoder.inverse_transform([2])
    with pytest.raises(ValueError, match="got -1"):
        encoder.inverse_transform([-1])
    with pytest.raises(TypeError):
        encoder.inverse_transform([0.0])
    with pytest.raises(ValueError, match="1-D"):
        encoder.fit([["a"]])
    with pytest.raises(ValueError, match="at least 1"):
        encoder.fit([])
    with pytest.raises(TypeError):
        encoder.fit([1.5])


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    classes=st.integers(1, 12),
    ratios=st.sampled_from([(0.8, 0.1, 0.1), (0.7, 0.15, 0.15), (1, 0, 0), (0, 0.5, 0.5), (0.98, 0.01, 0.01)]),
    stratify=st.booleans(),
    seed=st.integers(0, 2**70),
)
def test_split_is_a_partition_with_the_right_sizes(n, classes, ratios, stratify, seed):
    x, y = np.arange(n), np.random.default_rng(n).integers(0, classes, n)
    parts = utils.train_val_test_split(x, y, ratios, stratify=stratify, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([px for px, _ in parts])), x)
    for (px, py), ratio in zip(parts, ratios, strict=True):
        np.testing.assert_array_equal(py, y[px])
        assert abs(len(px) - ratio * n) < 2
        if stratify:
            expected = np.bincount(y, minlength=classes) * ratio
            assert np.abs(np.bincount(py, minlength=classes) - expected).max() < 2.5


def test_split_sizes_are_exact_where_ratios_are():
    for n in (10, 30, 100, 1000):
        sizes = [len(x) for x, _ in utils.train_val_test_split(np.arange(n), np.arange(n), seed=1)]
        assert sizes == [n * 8 // 10, n // 10, n // 10]


def test_split_is_random_and_repeatable():
    x = np.arange(50)

    def split(seed):
        return utils.train_val_test_split(x, x, seed=seed)[0][0].tolist()

    assert split(3) == split(3) != split(4)
    assert split(3) != sorted(split(3))
    fastconv.random.seed(5)
    first = split(None), split(None)
    fastconv.random.seed(5)
    assert first == (split(None), split(None)) and first[0] != first[1]


def test_split_of_strings_and_of_one_class():
    y = np.array(["a", "b"] * 10)
    (_, y_train), _, (_, y_test) = utils.train_val_test_split(np.zeros((20, 2)), y, stratify=True, seed=0)
    assert sorted(y_test) == ["a", "b"] and len(y_train) == 16
    assert [len(p) for p in split_indices(10, (0.5, 0.5), np.random.default_rng(0), np.zeros(10))] == [5, 5]


@pytest.mark.parametrize(
    "changes, error, words",
    [
        ({"y": np.arange(9)}, ValueError, "9 in y"),
        ({"x": np.empty((0, 2)), "y": []}, ValueError, "N >= 1"),
        ({"x": 3}, TypeError, "int"),
        ({"x": np.float64(3), "y": np.int64(1)}, ValueError, "dimension"),
        ({"x": None}, TypeError, "NoneType"),
        ({"x": np.array([object()] * 10)}, TypeError, "object"),
        ({"ratios": (0.5, 0.5)}, ValueError, "3 numbers"),
        ({"ratios": (0.9, 0.2, 0.1)}, ValueError, "sum to 1"),
        ({"ratios": (1.1, -0.1, 0)}, ValueError, ">= 0"),
        ({"ratios": (float("nan"), 0, 1)}, ValueError, "finite"),
        ({"ratios": 0.8}, TypeError, "ratios"),
        ({"ratios": "abc"}, TypeError, "ratios"),
        ({"ratios": (True, 0, 0)}, TypeError, "ratios"),
        ({"stratify": np.arange(10)}, TypeError, "True or False"),
        ({"stratify": True, "y": np.eye(10)}, ValueError, "one-hot"),
        ({"stratify": True, "y": np.linspace(0, 1, 10)}, TypeError, "regression"),
        ({"seed": 1.5}, TypeError, "seed"),
        ({"seed": "0"}, TypeError, "seed"),
    ],
)
def test_split_refuses(changes, error, words):
    arguments = {"x": np.arange(10), "y": np.arange(10), **changes}
    with pytest.raises(error, match=words):
        utils.train_val_test_split(**arguments)


def test_normalize():
    x = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(utils.normalize(x), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_allclose(utils.normalize(x, axis=0, order=1), [[1, 1], [0, 0]])
    np.testing.assert_allclose(utils.normalize([[1e300, 1e300], [1e-300, 0]]), [[0.5**0.5] * 2, [1, 0]])
    assert utils.normalize(x).dtype == np.float32 and utils.normalize(np.ones(3)).dtype == np.float64
    assert utils.normalize(np.array([[200, 200]], np.uint8)).max() < 1  # squares of uint8 would wrap around
    assert utils.normalize(np.empty((0, 3))).shape == (0, 3)
    for bad, error in (({"axis": 2}, ValueError), ({"axis": 1.0}, TypeError), ({"order": 0}, ValueError)):
        with pytest.raises(error):
            utils.normalize(x, **bad)
    with pytest.raises(ValueError, match="axis"):
        utils.normalize(np.float32(3))
    with pytest.raises(TypeError):
        utils.normalize(np.ones(3, complex))


def test_channels_round_trip():
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    channels = utils.split_channels(image)
    assert [c.shape for c in channels] == [(2, 5, 4)] * 3
    np.testing.assert_array_equal(utils.merge_channels(channels), image)
    assert utils.add_channel(channels[0]).shape == (2, 5, 4, 1)
    assert utils.add_channel(channels[0][0]).shape == (5, 4, 1)
    with pytest.raises(ValueError, match="channel"):
        utils.add_channel(image)
    with pytest.raises(ValueError, match="channels"):
        utils.split_channels(image[0, :, :, 0])
    with pytest.raises(ValueError, match=r"channels\[1\]"):
        utils.merge_channels([channels[0], channels[1].astype(float)])
    for bad in ([], "rgb", None):
        with pytest.raises(TypeError):
            utils.merge_channels(bad)


def test_set_random_seed():
    def draws(seed):
        utils.set_random_seed(seed)
        return fastconv.random.next_seed(), python_random.random(), np.random.random()  # noqa: NPY002  # the legacy generator is seeded too

    before = python_random.getstate(), np.random.get_state()  # noqa: NPY002  # the legacy generator is seeded too
    assert draws(2**40 + 1) == draws(2**40 + 1) != draws(2)
    python_random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002  # the legacy generator is seeded too
    for bad, error in ((-1, ValueError), (1.0, TypeError), (True, TypeError), (None, TypeError)):
        with pytest.raises(error, match="seed"):
            utils.set_random_seed(bad)
