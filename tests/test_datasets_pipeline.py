"""Dataset: augment, take, skip, repeat; memory maps; the batches of other libraries."""

import numpy as np
import pytest

from fastconv import layers, models
from fastconv.datasets import Dataset, from_loader


def pairs(n=10):
    return Dataset(np.arange(n), np.arange(n) * 2)


def rows(data):
    return [np.asarray(x).tolist() for x, _ in data]


def test_take_and_skip_count_batches_of_every_pass():
    data = pairs().shuffle(1).batch(3)
    first = rows(data)
    again = pairs().shuffle(1).batch(3)
    assert rows(again.take(2)) == first[:2] and rows(again.skip(1)) == first[1:]
    assert rows(again.skip(1).take(2)) == first[1:3] and rows(again.take(3).skip(1)) == first[1:3]
    assert rows(again.take(0)) == [] and rows(again.skip(99)) == []
    assert (len(again.take(2)), len(again.skip(1)), len(again.skip(3).take(9))) == (2, 3, 1)


def test_repeat_makes_one_pass_of_several():
    data = pairs(4).shuffle(2).batch(2)
    passes = rows(data) + rows(data) + rows(data)
    twice = pairs(4).shuffle(2).batch(2).repeat(2)
    assert len(twice) == 4 and rows(twice) == passes[:4] and twice.epoch == 2
    assert rows(twice)[:2] == passes[4:]
    with pytest.raises(RuntimeError, match="before repeat"):
        twice.take(1)
    with pytest.raises(RuntimeError, match="before take and skip"):
        pairs().take(1).batch(2)
    for wrong in (lambda d: d.take(-1), lambda d: d.skip(1.5), lambda d: d.repeat(0), lambda d: d.augment(3)):
        with pytest.raises((ValueError, TypeError), match="Dataset"):
            wrong(pairs())


def test_augment_depends_on_seed_pass_and_element_alone():
    def noisy(seed, **keywords):
        data = pairs().batch(4).augment(lambda x, rng: x + rng.random(len(x)), seed=seed)
        return data.prefetch(**keywords) if keywords else data

    data, ahead = noisy(5), noisy(5, buffer_size=3)
    first, second = rows(data), rows(data)
    assert first == rows(ahead) and second == rows(ahead) and first != second
    assert rows(noisy(6)) != first and len({value % 1 for batch in first for value in batch}) == 10
    resumed = noisy(5)
    resumed.epoch = 1
    assert rows(resumed) == second
    assert rows(noisy(5).skip(1)) == first[1:]


def test_a_memory_map_stays_on_disk_and_uint8_until_the_kernel(tmp_path):
    big = np.memmap(tmp_path / "x.bin", np.uint8, "w+", shape=(64, 4, 4, 1))
    big[:] = np.random.default_rng(0).integers(0, 256, big.shape)
    data = Dataset(big, np.arange(64) % 2).shuffle(0).batch(16)
    assert all(x.dtype == np.uint8 for x, _ in data)
    assert np.shares_memory(next(iter(Dataset(big).batch(8))), big)
    body = [layers.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    model = models.Sequential(body)
    model.compile("sgd", "binary_crossentropy")
    assert len(model.fit(data.prefetch(), epochs=2, verbose=0).history["loss"]) == 2
    assert model.fit(big, np.arange(64) % 2, verbose=0).steps == 2


def compiled():
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_batches_that_are_dicts():
    """As Hugging Face's data sets give them."""
    batches = [{"image": np.eye(3, dtype=np.float32)[:2], "label": np.array([0, 1]), "id": ["a", "b"]}] * 3
    data = from_loader(batches)
    assert len(data) == 3 and len(compiled().fit(data, epochs=2, verbose=0).epoch) == 2
    (x, y), *_ = from_loader([{"img": [[1, 2], [3, 4]], "fine": [5, 6]}], x="img", y="fine")
    assert x.tolist() == [[1, 2], [3, 4]] and y.tolist() == [5, 6]
    assert next(iter(from_loader(batches, y=None))).shape == (2, 3)


class Endless:
    """Batches without a number, as a streamed data set has them."""

    def __iter__(self):
        while True:
            yield {"image": np.eye(3, dtype=np.float32), "label": np.arange(3) % 2}


def test_batches_without_a_number():
    assert compiled().fit(from_loader(Endless()), steps_per_epoch=4, verbose=0).steps == 4


def test_what_is_no_batch_is_named():
    for source, error, message in ((3, TypeError, "iterable"), ([{"a": 1}], ValueError, "'image'")):
        with pytest.raises(error, match=message):
            list(from_loader(source))
    with pytest.raises(ValueError, match="one shape"):
        list(from_loader([{"image": [np.zeros(2), np.zeros(3)], "label": [0, 1]}]))


def test_pytorchs_data_loader():
    torch = pytest.importorskip("torch", reason="a DataLoader; pip install torch")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = torch.arange(30, dtype=torch.float32).reshape(10, 3) / 30, torch.arange(10) % 2
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    model = compiled()
    history = model.fit(loader, epochs=2, verbose=0)
    assert history.steps == 6 and len(history.epoch) == 2
    assert model.evaluate(loader, verbose=0) == pytest.approx(model.evaluate(x.numpy(), y.numpy(), verbose=0), rel=1e-6)
    of_dicts = DataLoader([{"image": a, "label": int(b)} for a, b in zip(x, y, strict=True)], batch_size=5)
    assert compiled().fit(from_loader(of_dicts), epochs=1, verbose=0).steps == 2


def test_hugging_faces_data_set():
    hub = pytest.importorskip("datasets", reason="a data set of Hugging Face's; pip install datasets")
    table = hub.Dataset.from_dict({"image": np.eye(3).tolist() * 4, "label": [0, 1, 0] * 4}).with_format("numpy")
    model = compiled()
    batches = list(table.iter(batch_size=5))
    assert model.fit(from_loader(batches), epochs=2, verbose=0).steps == 6
