"""A GPU whose memory is used up: a MemoryError that says for what, everything given back, and the next call is right."""

import gc

import numpy as np
import pytest

import fastconv
from fastconv import Sequential, layers, ops

RNG = np.random.default_rng(20261122)


def f32(*shape):
    return RNG.normal(size=shape).astype(np.float32)


class Room:
    """Memory of the device, with a limit."""

    def __init__(self, cupy):
        self.cupy, self.pool = cupy, cupy.get_default_memory_pool()

    def used(self):
        """Bytes in use when everything is done that was queued."""
        self.cupy.cuda.Device().synchronize()
        gc.collect()
        return self.pool.used_bytes()

    def limit(self, size):
        """0: none."""
        self.pool.set_limit(size=size)


@pytest.fixture
def room(gpu):
    room = Room(gpu)
    yield room
    room.limit(0)


def refusals(room, work, keeps=False):
    """Calls ``work`` with ever more room until there is enough; its result, and what was said before. A call that is refused
    gives back what it took, unless it ``keeps`` some (the weights of a model that lives)."""
    before, more, messages = room.used(), 0, []
    while True:
        room.limit(before + more or 1)
        try:
            return work(), messages
        except MemoryError as error:
            messages.append(str(error))
        finally:
            room.limit(0)
        assert keeps or room.used() == before
        more = max(more + 512, int(more * 1.05))
        assert more < 1 << 26, "refused whatever the limit is"


X, W = f32(2, 9, 8, 5), f32(3, 3, 5, 7)


def assert_in_our_words(messages):
    assert messages
    for message in messages:
        assert message.startswith("[") and "must fit the GPU's memory: expected room for" in message, message


CALLS = {
    "conv2d": lambda x, w: ops.conv2d(x, w, padding="same"),
    "conv2d_backward": lambda x, w: ops.conv2d_backward(ops.conv2d(x, w), x, w)[1],
    "max_pool2d": lambda x, w: ops.max_pool2d(x, 2),
    "a copy": lambda x, w: ops.relu(x.transpose(0, 2, 1, 3)),
    "dropout": lambda x, w: ops.dropout(x, 0.5, seed=3),
}


@pytest.mark.parametrize("call", CALLS)
def test_an_op_that_finds_no_room(call, gpu, room):
    x, w = gpu.asarray(X), gpu.asarray(W)
    result, messages = refusals(room, lambda: CALLS[call](x, w))
    assert_in_our_words(messages)
    np.testing.assert_array_equal(result.get(), CALLS[call](x, w).get())


@pytest.fixture
def on_gpu():
    fastconv.set_device("cuda")
    yield
    fastconv.set_device("cpu")


def built():
    fastconv.utils.set_random_seed(5)
    model = Sequential([layers.Input((6, 6, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()])
    model.add(layers.Dropout(0.25))
    model.add(layers.Dense(3))
    model.compile("adam", "mse")
    return model


IMAGES, TARGETS = f32(16, 6, 6, 3), f32(16, 3)
USES = {
    "fit": lambda model: model.fit(IMAGES, TARGETS, batch_size=8, epochs=2, verbose=0).history["loss"],
    "predict": lambda model: model.predict(IMAGES, verbose=0),
    "evaluate": lambda model: model.evaluate(IMAGES, TARGETS, verbose=0),
}


@pytest.mark.parametrize("use", USES)
def test_a_model_that_finds_no_room_leaves_none_behind(use, room, on_gpu):
    result, messages = refusals(room, lambda: USES[use](built()))
    assert_in_our_words(messages)
    np.testing.assert_array_equal(result, USES[use](built()))


@pytest.mark.parametrize("use", USES)
def test_a_model_that_is_forgotten_gives_back_all_it_had(use, room, on_gpu):
    before = room.used()
    USES[use](built())
    assert room.used() == before


@pytest.mark.parametrize("use", USES)
def test_the_same_model_goes_on_when_there_is_room(use, room, on_gpu):
    expected, model = built(), built()

    def work(model):
        fastconv.utils.set_random_seed(6)
        return USES[use](model)

    wanted = work(expected)
    result, messages = refusals(room, lambda: work(model), keeps=True)
    assert_in_our_words(messages)
    np.testing.assert_array_equal(result, wanted)
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
