"""explain: rows are the program's calls, their costs are right, and the model is left as it was."""

import numpy as np
import pytest

import fastconv
from fastconv import _cpu, layers, models, random
from fastconv.machine import measured_machine
from fastconv.testing.numerics import numerics
from fastconv.testing.refusal import assert_refused


def network(compiled=True):
    random.seed(3)
    model = models.Sequential(
        [
            layers.Input((12, 12, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy")
    return model


def batch(n=8):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, 12, 12, 2)).astype(np.float32), generator.integers(0, 3, n)


@pytest.mark.parametrize("training", (False, True))
def test_rows_are_the_calls_of_the_program(training):
    model = network()
    model.train_on_batch(*batch())
    model.predict(batch()[0], batch_size=8)
    plan = model._plan("train", 8) if training else model._predict_plan(8)
    found = fastconv.explain(model, 8, training)
    assert [(r.kernel, r.problem) for r in found.rows] == plan.plan.program.steps
    assert all(r.measured > 0 and r.predicted > 0 and r.bytes > 0 and r.percent > 0 for r in found.rows)
    assert {r.limit for r in found.rows} <= {"arithmetic", "memory", "call"}
    assert found.total.measured == pytest.approx(sum(r.measured for r in found.rows))


def test_operations_and_bytes():
    """Of a convolution and a dense product, by hand."""
    random.seed(1)
    model = models.Sequential([layers.Input((12, 12, 2)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    conv, dense = fastconv.explain(model, 5, training=False).rows
    assert conv.flops == 2 * (5 * 10 * 10 * 4) * (3 * 3 * 2)
    assert conv.bytes == 4 * (5 * 12 * 12 * 2 + 3 * 3 * 2 * 4 + 4 + 5 * 10 * 10 * 4)
    assert dense.flops == 2 * 5 * 3 * 400
    assert dense.bytes == 4 * (5 * 400 + 400 * 3 + 3 + 5 * 3)
    assert conv.executed == conv.flops


def test_winograd_executes_fewer_operations(prefer):
    random.seed(1)
    model = models.Sequential([layers.Input((12, 12, 16)), layers.Conv2D(16, 3, padding="same", use_bias=False)])
    prefer("winograd")
    (row,) = fastconv.explain(model, 2, training=False).rows
    assert row.algorithm == "winograd"
    assert row.executed * 4 == row.flops  # 12 x 12 is whole tiles of 4 x 4: 36 products where there were 144
    prefer("direct")
    (row,) = fastconv.explain(model, 2, training=False).rows
    assert row.algorithm == "direct"
    assert row.executed == row.flops


def test_updated_tensors_count_twice():
    (row,) = [r for r in fastconv.explain(network(), 4).rows if r.kernel == "adam_update"][:1]
    weights = network().count_params() - 2 * 4  # all but the moving statistics
    assert row.bytes == pytest.approx(4 * 7 * weights + 8 * 8, rel=0.01)  # gradient, w m v twice; hyper


def test_nothing_of_the_model_changes():
    x, y = batch()
    model, other = network(), network()
    for m in (model, other):
        random.seed(4)
        m.train_on_batch(x, y)
    weights, state = model.get_weights(), random.get_state()
    iterations = model.optimizer.iterations
    slots = [s.array.copy() for v in model._optimizer_state.slots.values() for s in v.values()]
    fastconv.explain(model, 8)
    fastconv.explain(model, 3, training=False)
    assert random.get_state() == state
    assert model.optimizer.iterations == iterations
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip((s.array for v in model._optimizer_state.slots.values() for s in v.values()), slots, strict=True):
        np.testing.assert_array_equal(a, b)
    for m in (model, other):
        random.seed(5)
        m.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_come_back_after_an_error(monkeypatch):
    model = network()
    weights = model.get_weights()
    monkeypatch.setattr("fastconv.explanation._measured", lambda program: program.run() and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fastconv.explain(model, 4)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_table():
    found = fastconv.explain(network(), 4)
    lines = str(found).splitlines()
    assert "training step of 4 samples" in lines[0]
    assert len(lines) == len(found.rows) + 6
    assert lines[-1].startswith("This machine: ")
    page = found._repr_html_()
    assert page.count("<tr>") == len(found.rows) + 2
    assert "conv2d_forward" in page


def test_machine(threads):
    threads(1)
    machine = measured_machine("float32")
    assert machine is measured_machine("float32")
    assert machine.flops > 1e9
    assert machine.call < 1e-4
    rates = [rate for _, rate in machine.bandwidth]
    assert machine.bytes_per_second(1) == rates[0]
    assert machine.bytes_per_second(2.0**40) == rates[-1]
    assert machine.predicted(machine.flops, 0) == pytest.approx(1 + machine.call)


@pytest.mark.parametrize("precision", ("fast", "strict"))
def test_products_on_matrix_tiles_have_a_ceiling_of_their_own(isa, precision):
    machine = measured_machine("float32")
    assert (machine.split_flops > machine.flops) == (isa == "amx")
    with numerics(precision):
        model = models.Sequential([layers.Input((64,)), layers.Dense(512)])
        (row,) = fastconv.explain(model, 64, training=False).rows
    assert row.algorithm == ("amx" if isa == "amx" else "direct")
    twice = row.algorithm == "amx" and precision == "strict"  # six products of parts instead of three
    assert row.executed == row.flops * (2 if twice else 1)
    assert row.predicted == machine.predicted(row.executed, row.bytes, row.algorithm)


def test_every_instruction_set_has_a_peak(isa):
    """The best of some tries: another process may have the core for the whole of one."""
    single, double = (max(_cpu.peak_flops(wide, 1e-3) for _ in range(20)) for wide in (False, True))
    assert single > double / 2 > 1e8


def test_refusals():
    model = network(compiled=False)
    assert_refused(lambda: fastconv.explain(3), TypeError, "model must be a model.*int", template=False)
    assert_refused(lambda: fastconv.explain(model, 0), ValueError, "batch_size must be at least 1")
    assert_refused(lambda: fastconv.explain(model, 4, training=1), TypeError, "training must be True or False")
    with pytest.raises(RuntimeError, match="compile"):
        fastconv.explain(model, 4)
