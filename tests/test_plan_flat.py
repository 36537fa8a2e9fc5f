"""Variables side by side: an optimizer is one kernel call per step, and its results are those of one call per variable."""

import copy
import pickle

import numpy as np
import pytest

from fastconv import _cpu, layers, models, optimizers, random
from fastconv.graph import Value, tracing
from fastconv.ops import add, multiply
from fastconv.plan.runs import runs_of
from fastconv.testing.networks import NETWORKS, build, inputs_for, targets_for
from fastconv.variables import Variable, gather

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: optimizers.Adam(0.01),
    "adam, clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.01),
    "rmsprop, clipvalue": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, clipvalue=0.01),
    "adagrad": lambda: optimizers.Adagrad(0.1),
}


def steps(model, kernel, samples=4):
    return [name for name, _ in model._plan("train", samples).plan.program.steps].count(kernel)


def compiled(name, optimizer="adam"):
    model = build(name)
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_has_one_optimizer_call_and_one_for_moving_statistics(name):
    model = compiled(name)
    assert steps(model, "adam_update") == 1
    moving = any("moving" in w.name for w in model.weights)
    assert steps(model, "box_copy") - steps(compiled_without_updates(name), "box_copy") == moving


def compiled_without_updates(name):
    model = compiled(name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_are_those_of_one_call_per_variable(kind):
    model, optimizer = compiled("cnn", OPTIMIZERS[kind]()), OPTIMIZERS[kind]()
    x, y = inputs_for(model, 4), targets_for(model, 4)
    for seed in model.seeds:
        seed.array[0] = 0
    twin = {path: w.numpy() for path, w in model.weights_by_path().items()}
    slots = {path: [np.full(w.shape, v, w.dtype) for v in optimizer.slots().values()] for path, w in twin.items()}
    limits = np.array(optimizer.clip())
    for _ in range(3):
        optimizer.iterations += 1
        plan = model._plan("train", 4)
        _, found = model.gradients(x[0], y[0], training=True)
        for path, gradient in found.items():
            gradient = gradient.copy()
            if np.isfinite(limits).any():
                spec = _cpu.VectorSpec.make("float32", "gradient_clip", gradient.shape)
                _cpu.run("gradient_clip", spec, [limits, gradient])
            spec = _cpu.VectorSpec.make("float32", optimizer.kernel, gradient.shape)
            arguments = [gradient, optimizer.hyper(optimizer.iterations), twin[path], *slots[path]]
            count = len(_cpu.signatures()[optimizer.kernel].replace("->", "").split())
            _cpu.run(optimizer.kernel, spec, arguments + [None] * (count - len(arguments)))
        model._load(plan, x, y, None)
        model._optimizer_state.prepare_step()
        assert plan.run()
        model.optimizer.iterations += 1
        for path in found:
            np.testing.assert_array_equal(model.weights_by_path()[path].array, twin[path], err_msg=path)


def test_predicting_and_loading_first_change_nothing(tmp_path):
    model = compiled("cnn")
    x, (y,) = inputs_for(model, 4)[0], targets_for(model, 4)
    model.predict(x, verbose=0)
    assert steps(model, "adam_update") == 1
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.safetensors")
    loaded = models.load_model(tmp_path / "model.safetensors")
    assert steps(loaded, "adam_update") == 1
    random.seed(3)
    first = model.train_on_batch(x, y)
    random.seed(3)
    assert loaded.train_on_batch(x, y) == first
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frozen_layers_cut_the_run_and_keep_their_values():
    model = models.Sequential([layers.Input((4,)), *(layers.Dense(4, "relu", name=f"d{i}") for i in range(4))])
    model.compile("adam", "mse")
    model.predict(np.ones((1, 4)), verbose=0)
    model.get_layer("d1").trainable = False
    model.compile("adam", "mse")
    before = model.get_layer("d1").get_weights()
    model.train_on_batch(np.ones((4, 4)), np.ones((4, 4)))
    assert 1 <= steps(model, "adam_update") <= 3
    for a, b in zip(before, model.get_layer("d1").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_shared_layer_is_trained_in_both_models():
    x = layers.Input((4,))
    shared = layers.Dense(4)
    first = models.Model(x, layers.Dense(2)(shared(x)))
    second = models.Model(x, layers.Dense(3)(shared(x)))
    data = np.ones((2, 4), np.float32)
    for model, width in ((first, 2), (second, 3), (first, 2)):
        model.compile("sgd", "mse")
        before = shared.get_weights()[0]
        model.train_on_batch(data, np.zeros((2, width)))
        assert (shared.get_weights()[0] != before).any()
        expected = (data @ shared.get_weights()[0] + shared.get_weights()[1]) @ model.layers[-1].get_weights()[0]
        np.testing.assert_allclose(
            model.predict(data, verbose=0), expected + model.layers[-1].get_weights()[1], rtol=1e-5
        )


def test_gathered_variables_share_a_buffer_in_cache_lines():
    sizes = [(16,), (3, 5), (4, 8), (7,), (2, 16)]
    variables = [Variable(np.full(size, i, np.float32), f"v{i}") for i, size in enumerate(sizes)]
    variables.insert(2, Variable(np.ones(3), "wide"))
    gather(variables)
    gather(variables)  # a second time nothing moves
    narrow = [v for v in variables if v.dtype == "float32"]
    assert len({id(v.buffer) for v in narrow}) == 1
    assert sum(v.array.ctypes.data % 64 == 0 for v in narrow) >= 4
    (run,) = runs_of({v: fresh(v) for v in narrow})
    assert (run.begin, run.end) == (0, sum(v.size for v in narrow))
    for i, v in enumerate(v for v in variables if v.dtype == "float32"):
        assert (v.array == i).all() and np.shares_memory(v.array, v.buffer.mirror.host())


def fresh(variable):
    with tracing():
        return multiply(variable, variable)


def test_a_value_that_is_no_node_s_own_makes_a_run_of_its_own():
    a, b, c, d = (Variable(np.ones(4, np.float32), name) for name in "abcd")
    gather([a, b, c, d])
    with tracing():
        both = add(a, b)
    runs = runs_of({a: fresh(a), b: both, c: both, d: Value((4,), "float32")})
    assert [len(run.variables) for run in runs] == [1, 1, 1, 1]
    assert all(not run.parts for run in runs)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copy_of_a_gathered_variable_stands_alone(copied):
    variable = Variable(np.arange(4, dtype=np.float32), "w")
    gather([variable])
    twin = copied(variable)
    assert twin.buffer is None
    gather([twin])
    twin.array[...] = 7
    np.testing.assert_array_equal(variable.array, [0, 1, 2, 3])
