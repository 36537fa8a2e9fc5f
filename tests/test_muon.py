"""Muon: Keras's numbers, the reference, what is no matrix, and the same bits for any number of threads."""

import functools

import numpy as np
import pytest

from fastconv import _cpu, layers, models, optimizers, random
from fastconv import reference as ref
from fastconv.graph import Value


def step(optimizer, number, w, g, states, path="v"):
    """The calls of a step on arrays: weight and states change in place, memory between the calls begins as NaN."""
    rule = optimizer.rule_for(path, w.shape)
    memory = {}

    def place(tensor):
        if isinstance(tensor, Value) and not hasattr(tensor, "array"):
            tensor = memory.setdefault(tensor, np.full(tensor.shape, np.nan, tensor.dtype))
        return tensor

    gradient, weight, *slots = (Value(w.shape, w.dtype.name) for _ in (g, w, *states))
    memory.update(zip((gradient, weight, *slots), (g.copy(), w, *states), strict=True))
    for update in rule.updates(gradient, weight, slots, w.shape, lambda one: one.hyper(number)):
        _cpu.run(update.kernel, update.spec, [place(tensor) for tensor in update.tensors])


def states_of(optimizer, w, path="v"):
    return [np.zeros_like(w) for _ in optimizer.rule_for(path, w.shape).slots()]


RECORDED = [  # Keras 3.15: a variable "v" from -1 to 1, three steps with gradients cos(t i)
    (
        {},
        [[-1.0624959, -0.58397198, -0.163239], [0.217457, 0.63984603, 1.05733204]],
    ),
    (
        {"nesterov": False, "weight_decay": None, "momentum": 0.5, "rms_rate": None, "ns_steps": 3},
        [[-1.19312596, -0.61170399], [-0.16464201, 0.25242499], [0.69247401, 1.11767197]],
    ),
    (
        {"exclude_layers": ["v"], "adam_lr_ratio": 0.5, "adam_weight_decay": 0.2},
        [[-1.08821106, -0.59185201], [-0.092737, 0.25084001], [0.64726698, 0.952393]],
    ),
    (
        {"adam_beta_1": 0.8, "adam_beta_2": 0.9, "epsilon": 1e-3},
        [-1.29794502, -0.045074, 1.18689299],
    ),
]


@pytest.mark.parametrize(("settings", "wanted"), RECORDED)
def test_kerass_recorded_numbers(settings, wanted):
    optimizer, wanted = optimizers.Muon(0.1, **settings), np.array(wanted)
    w = np.linspace(-1, 1, wanted.size, dtype=np.float32).reshape(wanted.shape)
    states = states_of(optimizer, w)
    for number in (1, 2, 3):
        g = np.cos(np.arange(w.size) * number).astype(np.float32).reshape(w.shape)
        step(optimizer, number, w, g, states)
    np.testing.assert_allclose(w, wanted, atol=1e-5)


def test_kerass_published_iteration():
    """keras/src/optimizers/muon_test.py, test_Newton_Schulz: a step from 0 against the direction."""
    optimizer, w = optimizers.Muon(1.0, momentum=0.0, rms_rate=None, weight_decay=0), np.zeros((2, 2))
    step(optimizer, 1, w, np.array([[0.2499, 0.9105], [0.2655, 0.8824]]), states_of(optimizer, w))
    np.testing.assert_allclose(-w, [[-0.4422, 0.6457], [0.7285, 0.2968]], atol=1e-3)


OTHER = {"nesterov": False, "rms_rate": None, "ns_steps": 2}
MATRICES = [((1, 7), {}), ((7, 1), OTHER), ((64, 64), {}), ((5, 130), {}), ((150, 65), {}), ((33, 20), OTHER)]


@functools.cache  # for all instruction sets
def references(case, dtype):
    """The gradients of two steps, and what the reference makes of them."""
    (shape, settings), rng = MATRICES[case], np.random.default_rng(1)
    found = [(None, rng.normal(size=shape).astype(dtype), np.zeros(shape, dtype))]
    for _ in range(2):
        g = rng.normal(size=shape).astype(dtype)
        found.append(
            (g, *ref.muon_step(found[-1][1], g, found[-1][2], learning_rate=0.1, weight_decay=0.02, **settings))
        )
    return found


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("case", range(len(MATRICES)))
def test_a_matrix_is_the_references(case, dtype, isa):
    shape, settings = MATRICES[case]
    optimizer = optimizers.Muon(0.1, weight_decay=0.02, **settings)
    (_, *given), *steps = references(case, dtype)
    w, *states = (array.copy() for array in given)
    # What rounding changes in a small singular value grows with it: by the quintic's slope at 0, step by step.
    grown = np.finfo(dtype).eps * sum(shape) * optimizer.muon_a**optimizer.ns_steps
    for number, (g, *expected) in enumerate(steps, 1):
        step(optimizer, number, w, g, states)
        for actual, wanted in zip((w, *states), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=0.1 * grown)


def test_a_step_makes_all_directions_alike():
    optimizer, w = optimizers.Muon(1.0, rms_rate=None, weight_decay=None), np.zeros((40, 20))
    step(optimizer, 1, w, np.diag(np.geomspace(1, 30, 40))[:, :20], states_of(optimizer, w))
    singular = np.linalg.svd(w, compute_uv=False)
    assert singular.min() > 0.6 and singular.max() < 1.3


def test_which_variables_are_matrices():
    matrix, other = ({"momentum": 0.0}, {"momentum": 0.0, "velocity": 0.0})
    muon = optimizers.Muon(exclude_layers=["last", "^head/k"])
    kinds = {
        ("dense/kernel", (3, 2)): matrix,
        ("dense/bias", (2,)): other,
        ("conv2d/kernel", (3, 3, 2, 4)): other,
        ("Embedding_1/embeddings", (9, 4)): other,
        ("a_last_b/kernel", (3, 2)): other,
        ("head/kernel", (3, 2)): other,
        ("ahead/kernel", (3, 2)): matrix,
    }
    assert {key: muon.rule_for(*key).slots() for key in kinds} == kinds
    assert optimizers.Muon(exclude_embeddings=False).rule_for("embedding/embeddings", (9, 4)).slots() == matrix


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optimizers.Muon(exclude_layers="last"), TypeError, "list of regular expressions"),
        (lambda: optimizers.Muon(exclude_layers=["("]), ValueError, "must be a regular expression"),
        (lambda: optimizers.Muon(muon_b=0), ValueError, "muon_b < 0"),
        (lambda: optimizers.Muon(ns_steps=-1), ValueError, "ns_steps >= 0"),
        (lambda: optimizers.Muon(rms_rate=0), ValueError, "rms_rate > 0"),
        (lambda: optimizers.Muon(adam_beta_2=1), ValueError, "adam_beta_2 < 1"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()


def trained(optimizer):
    random.seed(7)
    model = models.Sequential(
        [
            layers.Input((9, 6)),
            layers.SimpleRNN(70, kernel_regularizer="l2"),
            layers.Dense(130, activation="relu", use_bias=False),
            layers.Dense(3, name="last"),
        ]
    )
    model.compile(optimizer, "mse")
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(48, 9, 6)).astype(np.float32), rng.normal(size=(48, 3)).astype(np.float32)
    model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    return model


def test_the_same_bits_for_any_number_of_threads_and_after_a_round_trip(threads, tmp_path):
    found = set()
    for n in (1, 2, 3, 8):
        threads(n)
        model = trained(optimizers.Muon(0.02, exclude_layers=["last"], global_clipnorm=1.0))
        found.add(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(found) == 1
    model.save(tmp_path / "m.safetensors")
    again = models.load_model(tmp_path / "m.safetensors")
    x, y = np.ones((16, 9, 6), np.float32), np.zeros((16, 3), np.float32)
    for one in (model, again):
        one.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.optimizer.get_config() == model.optimizer.get_config()


def test_none_comes_back_from_keras_files(tmp_path):
    """Where it is not the default, it says something."""
    pytest.importorskip("h5py", reason="Keras's files; pip install 'fastconv[keras]'")
    optimizer = optimizers.Muon(2.0**-6, adam_weight_decay=None, weight_decay=None, rms_rate=None)
    trained(optimizer).save(tmp_path / "m.keras")
    assert models.load_model(tmp_path / "m.keras").optimizer.get_config() == optimizer.get_config()


def test_memory_between_the_products_is_used_in_turn():
    """Many matrices cost no more of it than one."""
    sizes = {}
    for count in (1, 6):
        model = models.Sequential([layers.Input((200,)), *(layers.Dense(200) for _ in range(count))])
        for kind in ("sgd", "muon"):
            model.compile(kind, "mse")
            sizes[kind, count] = model._plan("train", 4).plan.arena_bytes
    assert sizes["muon", 6] - sizes["sgd", 6] <= 1.05 * (sizes["muon", 1] - sizes["sgd", 1])
