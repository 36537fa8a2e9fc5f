"""Recurrent ops and layers, and embeddings: what holds for every shape, and where they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv
from fastconv import layers, models, ops, reference
from fastconv.errors import NonFiniteLossError
from fastconv.testing.gradcheck import gradcheck

KINDS = {"simple_rnn": (1, {}), "lstm": (4, {}), "gru": (3, {}), "gru_before": (3, {"reset_after": False})}


def problem(kind, n, t, d, u, seed=0, dtype=np.float64):
    """(op's name, arrays, keywords), states included."""
    gates, keywords = KINDS[kind]
    rng = np.random.default_rng(seed)
    bias = (2, gates * u) if kind == "gru" else (gates * u,)
    shapes = [(n, t, d), (d, gates * u), (u, gates * u), bias, *[(n, u)] * (2 if kind == "lstm" else 1)]
    return kind.removesuffix("_before"), [rng.uniform(-1, 1, s).astype(dtype) for s in shapes], keywords


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    sizes=st.tuples(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(1, 40)),
    backwards=st.booleans(),
    aligned=st.booleans(),
)
def test_any_shape_as_the_reference(kind, sizes, backwards, aligned):
    op, arrays, keywords = problem(kind, *sizes)
    flags = {"return_sequences": True, "return_state": True, "go_backwards": backwards, "aligned": aligned} | keywords
    results = getattr(ops, op)(*arrays, **flags)
    expected = getattr(reference, op)(*arrays, **flags)
    for ours, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-13)
    dys = tuple(np.random.default_rng(1).uniform(-1, 1, y.shape) for y in expected)
    gradients = getattr(ops, f"{op}_backward")(dys, *arrays, **flags)
    wanted = getattr(reference, f"{op}_backward")(dys, *arrays, **flags)
    for ours, theirs in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_may_be_cut_and_a_batch_may_be_cut(kind, threads):
    """The state carries all there is; a sample's bits depend neither on its batch nor on the threads."""
    op, (x, *weights), keywords = problem(kind, 50, 6, 3, 70, dtype=np.float32)
    f, (weights, states) = getattr(ops, op), (weights[:3], weights[3:])
    whole, *last = f(x, *weights, *states, return_sequences=True, return_state=True, **keywords)
    first, *between = f(x[:, :2], *weights, *states, return_sequences=True, return_state=True, **keywords)
    rest, *end = f(x[:, 2:], *weights, *between, return_sequences=True, return_state=True, **keywords)
    np.testing.assert_array_equal(np.concatenate([first, rest], axis=1), whole)
    for a, b in zip(end, last, strict=True):
        np.testing.assert_array_equal(a, b)
    some = f(x[7:9], *weights, *(state[7:9] for state in states), return_sequences=True, **keywords)
    np.testing.assert_array_equal(some, whole[7:9])
    dy = np.ones_like(whole)
    found = []
    for count in (1, 3):
        threads(count)
        found.append(getattr(ops, f"{op}_backward")(dy, x, *weights, *states, return_sequences=True, **keywords))
    for one, three in zip(*found, strict=True):
        np.testing.assert_array_equal(one, three)


def test_backwards_is_forwards_of_the_reversed_sequence():
    for kind in KINDS:
        op, (x, *weights), keywords = problem(kind, 3, 5, 2, 9)
        f = getattr(ops, op)
        forwards = f(x[:, ::-1], *weights, return_sequences=True, **keywords)
        backwards = f(x, *weights, return_sequences=True, go_backwards=True, **keywords)
        aligned = f(x, *weights, return_sequences=True, go_backwards=True, aligned=True, **keywords)
        np.testing.assert_array_equal(backwards, forwards)
        np.testing.assert_array_equal(aligned, forwards[:, ::-1])
        np.testing.assert_array_equal(f(x, *weights, go_backwards=True, aligned=True, **keywords), forwards[:, -1])


def test_gradients_of_the_last_state_are_slopes():
    _, arrays, _ = problem("lstm", 2, 3, 2, 2)

    def f(*arrays):
        y, h, c = ops.lstm(*arrays, return_state=True)
        return np.concatenate([y, 2 * h, 3 * c], axis=1)

    def f_backward(dy, *arrays):
        dys = (dy[:, :2], 2 * dy[:, 2:4], 3 * dy[:, 4:])
        return ops.lstm_backward(tuple(map(np.ascontiguousarray, dys)), *arrays, return_state=True)

    gradcheck(f, f_backward, arrays)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"x": np.zeros((2, 3))}, ValueError, r"\[lstm\] x must have 3 dimensions \(N, T, D\)"),
        ({"x": np.zeros((2, 0, 2))}, ValueError, "at least 1 step"),
        ({"kernel": np.zeros((2, 8))}, ValueError, r"\[lstm\]"),
        ({"recurrent_kernel": np.zeros((3, 8))}, ValueError, "4 gates of U units"),
        ({"bias": np.zeros(4)}, ValueError, r"\[lstm\] bias"),
        ({"h0": np.zeros((3, 3))}, ValueError, r"\[lstm\] h0 has the wrong shape"),
        ({"c0": np.zeros((2, 3), np.float32)}, TypeError, "one dtype"),
        ({"activation": "gelu"}, ValueError, "tell its slope by its result"),
        ({"recurrent_activation": "softmax"}, ValueError, "activation is not known"),
        ({"return_state": 1}, TypeError, "return_state"),
    ],
)
def test_refusals(change, error, words):
    names = ("x", "kernel", "recurrent_kernel", "bias", "h0", "c0")
    arrays = dict(zip(names, problem("lstm", 2, 3, 2, 3)[1], strict=True))
    with pytest.raises(error, match=words):
        ops.lstm(**{**arrays, **change})


def test_an_id_beyond_the_table_is_refused_now_and_stops_a_step_in_a_model():
    table = np.ones((3, 2), np.float32)
    for ids in ([0, 3], [-1, 0], [0.5, np.nan]):
        with pytest.raises(
            ValueError, match=r"\[embedding\] ids must be rows of the table: expected values in \[0, 3\)"
        ):
            ops.embedding(np.array(ids), table)
    with pytest.raises(TypeError, match="ids must be numbers of rows"):
        ops.embedding(np.array(["a"]), table)
    lookup = [layers.Embedding(3, 2), layers.Flatten(), layers.Dense(1)]
    model = models.Sequential([layers.Input((2,)), layers.Reshape((2, 1)), *lookup])
    model.compile("sgd", "mse")
    before = model.get_weights()
    for call in (
        lambda: model.fit(np.array([[0, 3]] * 4), np.ones((4, 1)), verbose=0),
        lambda: model.predict([[-1, 0]]),
    ):
        with pytest.raises(
            ValueError, match=r"(fit|predict)\] ids must be rows of the table: expected values in \[0, 3\)"
        ):
            call()
    computed = models.Sequential([layers.Input((2,)), layers.Rescaling(2.0), *lookup])  # ids that nobody sees before
    computed.compile("sgd", "mse")
    with pytest.raises(NonFiniteLossError):
        computed.fit(np.array([[0, 2]] * 4), np.ones((4, 1)), verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(np.array([[0, 2]] * 4), np.ones((4, 1)), verbose=0)
    assert (model.get_weights()[0][1] == before[0][1]).all() and (model.get_weights()[0][2] != before[0][2]).any()


@pytest.mark.parametrize("name", ["train_on_batch", "test_on_batch", "predict_on_batch", "predict"])
def test_ids_are_looked_at_in_every_batch_of_a_shape_that_has_passed(name):
    model = models.Sequential([layers.Input((2,)), layers.Embedding(3, 2), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    targets = () if name.startswith("predict") else (np.ones((4, 1)),)
    call, good = getattr(model, name), np.array([[0, 2]] * 4)
    for _ in range(2):
        call(good, *targets)
    bad = good.copy()
    bad[3, 1] = 3
    with pytest.raises(
        ValueError, match=rf"{name}\] ids must be rows of the table: expected values in \[0, 3\), got 3"
    ):
        call(bad, *targets)


def everything():
    """Every layer of sequences, states handed on, regularized."""
    fastconv.random.seed(3)
    ids = layers.Input((6,))
    x = layers.Embedding(9, 5, embeddings_regularizer=fastconv.regularizers.L2(1e-4))(ids)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, dropout=0.1), merge_mode="ave")(x)
    x = layers.TimeDistributed(layers.Dense(3, activation="tanh"))(x)
    x, h = layers.GRU(4, return_sequences=True, return_state=True, recurrent_constraint="max_norm")(x)
    y = layers.SimpleRNN(4, go_backwards=True)(x, initial_state=h)
    y = layers.Bidirectional(layers.GRU(2, reset_after=False, return_state=True), merge_mode=None)(
        layers.RepeatVector(3)(y)
    )
    return models.Model(ids, layers.Concatenate()(y))


def test_a_model_of_all_of_them_trains_and_returns_from_its_file(tmp_path):
    model = everything()
    model.compile(fastconv.optimizers.Adam(0.05), "mse")
    rng = np.random.default_rng(0)
    ids, y = rng.integers(0, 9, (20, 6)), rng.normal(size=(20, 8))
    history = model.fit(ids, y, epochs=25, verbose=0).history["loss"]
    assert history[-1] < 0.95 * history[0]
    model.save(tmp_path / "m.safetensors")
    expected, config = model.predict(ids, verbose=0), model.get_config()
    model.fit(ids, y, epochs=1, verbose=0)
    again = models.load_model(tmp_path / "m.safetensors")  # and the random numbers of then
    np.testing.assert_array_equal(again.predict(ids, verbose=0), expected)
    assert again.get_config() == config
    again.fit(ids, y, epochs=1, verbose=0)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bidirectional_results_meet_at_their_time():
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True))
    y = both(x)
    forward, backward = both.forward_layer, both.backward_layer
    assert (forward.name, backward.go_backwards) == ("forward_gru", True) or forward.name.startswith("forward_gru_")
    np.testing.assert_array_equal(y[..., :4], forward(x))
    np.testing.assert_array_equal(y[:, ::-1, 4:], backward(x))


def test_weights_are_kerass():
    layer = layers.LSTM(3)
    layer.ensure_built((None, 4, 2))
    assert [(w.name, w.shape) for w in layer.weights] == [
        ("kernel", (2, 12)),
        ("recurrent_kernel", (3, 12)),
        ("bias", (12,)),
    ]
    np.testing.assert_array_equal(layer.get_weights()[2], [0] * 3 + [1] * 3 + [0] * 6)
    recurrent = layer.get_weights()[1]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-6)
    assert layer.dropout == 0 and "unit_forget_bias" in layer.get_config()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: layers.LSTM(3, recurrent_dropout=0.1), ValueError, "recurrent_dropout is not supported"),
        (lambda: layers.GRU(3, stateful=True), ValueError, "stateful is not supported"),
        (lambda: layers.Embedding(3, 2, mask_zero=True), ValueError, "mask_zero is not supported"),
        (lambda: layers.SimpleRNN(3, activation="gelu"), ValueError, "tell its slope by its result"),
        (lambda: layers.LSTM(3)(layers.Input((4,))), ValueError, "rank 3 expected, got 2"),
        (lambda: layers.Bidirectional(layers.Dense(3)), TypeError, "layer must be recurrent"),
        (
            lambda: layers.Bidirectional(layers.GRU(2), backward_layer=layers.GRU(2)),
            ValueError,
            "different directions",
        ),
        (lambda: layers.LSTM(3)([layers.Input((4, 2)), layers.Input((3,))]), ValueError, "expected 2 arrays, got 1"),
        (lambda: layers.TimeDistributed(layers.Dense(2))(layers.Input((3,))), ValueError, "rank 3 or more expected"),
    ],
)
def test_layers_refuse_what_they_cannot(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_dropout_takes_a_feature_of_a_sample_in_all_steps():
    x = np.ones((64, 7, 5), np.float32)
    layer = layers.SimpleRNN(5, activation="linear", dropout=0.5, return_sequences=True)
    layer.ensure_built((None, 7, 5))
    layer.set_weights([np.eye(5, dtype=np.float32), np.zeros((5, 5), np.float32), np.zeros(5, np.float32)])
    y = layer(x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    np.testing.assert_array_equal(layer(x), x)


@pytest.mark.parametrize("gpu", ["forward"], indirect=True)
def test_a_model_of_all_of_them_on_a_gpu(on_gpu):
    """The losses of the CPU, and nearly those in 16 bits."""
    rng = np.random.default_rng(0)
    ids, y = rng.integers(0, 9, (6, 6)), rng.normal(size=(6, 8))
    losses = {}
    for place in ("cpu", "cuda", "mixed_bfloat16", "mixed_float16"):
        fastconv.set_device("cpu" if place == "cpu" else "cuda")
        fastconv.set_dtype_policy(place if place.startswith("mixed") else "float32")
        model = everything()
        model.compile(fastconv.optimizers.SGD(0.1), "mse")
        losses[place] = model.fit(ids, y, epochs=3, batch_size=6, verbose=0).history["loss"]
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-5)
    np.testing.assert_allclose(losses["mixed_bfloat16"], losses["cpu"], rtol=1e-2)
    np.testing.assert_allclose(losses["mixed_float16"], losses["cpu"], rtol=2e-3)
