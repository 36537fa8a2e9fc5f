"""Data of training that must be refused, some that look odd and are right, and calls in the middle: bad_inputs.md J."""

import signal
import threading

import numpy as np
import pytest

from fastconv import callbacks, layers, losses, models, optimizers
from fastconv.errors import NonFiniteLossError
from fastconv.testing.classifier import LABELS, ONE_HOT, X, compiled
from fastconv.testing.refusal import assert_refused

pytestmark = pytest.mark.thread_unsafe(reason="each test has one model")


def f32(*shape):
    return np.zeros(shape, np.float32)


@pytest.fixture
def model():
    return compiled()


def fit(model, x=X, y=ONE_HOT, **keywords):
    return model.fit(x, y, **{"verbose": 0, **keywords})


# Data of fit, evaluate, predict.

FIT = [
    ("J10", lambda m: fit(m, batch_size=0), ValueError, "batch_size.*0"),
    ("J10b", lambda m: fit(m, batch_size=-1), ValueError, "batch_size.*-1"),
    ("J10c", lambda m: fit(m, batch_size=2.0), TypeError, "batch_size.*float"),
    ("J10d", lambda m: fit(m, batch_size="8"), TypeError, "batch_size.*str"),
    ("J10e", lambda m: fit(m, batch_size=True), TypeError, "batch_size.*bool"),
    ("J13", lambda m: fit(m, X, ONE_HOT[:11]), ValueError, "`x` 12 rows, `y` 11 rows"),
    ("J14", lambda m: fit(m, X[:0], ONE_HOT[:0]), ValueError, "x.*samples.*0"),
    ("J14b", lambda m: fit(m, None, ONE_HOT), TypeError, "x.*NoneType"),
    ("J14c", lambda m: fit(m, X, None), ValueError, "y.*None"),
    ("J14d", lambda m: fit(m, X[:, :3]), ValueError, r"x.*\(N, 4\).*\(12, 3\)"),
    ("J14e", lambda m: fit(m, f32(12, 4, 1)), ValueError, r"x.*\(N, 4\).*\(12, 4, 1\)"),
    ("J14f", lambda m: fit(m, X, LABELS), ValueError, r"y.*\(N, 3\).*to_categorical"),
    ("J14g", lambda m: fit(m, X, ONE_HOT[:, :2]), ValueError, r"y.*\(N, 3\)"),
    ("J15", lambda m: fit(m, X.astype(complex)), TypeError, "x.*complex128"),
    ("J15b", lambda m: fit(m, X.astype(str)), TypeError, "x.*dtype <U"),
    ("J15c", lambda m: fit(m, X.astype(object)), TypeError, "x.*object"),
    ("J15d", lambda m: fit(m, [[1.0, 2.0], [3.0]]), ValueError, "x.*one length"),
    ("J15e", lambda m: fit(m, {"a": X}), TypeError, "x.*dict"),
    ("J15f", lambda m: fit(m, "data.csv"), TypeError, "x.*str"),
    ("J15g", lambda m: fit(m, 3), TypeError, "x.*int"),
    ("J15h", lambda m: fit(m, np.full((12, 4), 1e300)), ValueError, "x.*float32"),
    ("J15i", lambda m: fit(m, np.float32(3)), TypeError, "x.*float32"),
    ("J15j", lambda m: fit(m, f32()), ValueError, "x.*rank"),
    ("J15k", lambda m: fit(m, np.ma.masked_array(X)), TypeError, "x.*MaskedArray"),
    ("J16", lambda m: fit(m, X, ONE_HOT * 2), ValueError, "y row 0 sums to 2|y value 2"),
    ("J16b", lambda m: fit(m, X, ONE_HOT * 0), ValueError, "y row 0 sums to 0"),
    ("J16c", lambda m: fit(m, X, ONE_HOT * np.nan), ValueError, "y.*finite"),
    ("J16d", lambda m: fit(m, X, np.full((12, 3), "a")), TypeError, "y.*dtype <U1"),
    ("J18", lambda m: fit(m, epochs=-1), ValueError, "epochs.*-1"),
    ("J18b", lambda m: fit(m, epochs=1.5), TypeError, "epochs.*float"),
    ("J18c", lambda m: fit(m, epochs=None), TypeError, "epochs.*None"),
    ("J18d", lambda m: fit(m, initial_epoch=-1), ValueError, "initial_epoch.*-1"),
    ("J18e", lambda m: fit(m, steps_per_epoch=0), ValueError, "steps_per_epoch.*0"),
    ("J18f", lambda m: fit(m, steps_per_epoch=-1), ValueError, "steps_per_epoch.*-1"),
    ("J18g", lambda m: fit(m, steps_per_epoch=1.0), TypeError, "steps_per_epoch.*float"),
    ("J18h", lambda m: fit(m, steps_per_epoch=100), ValueError, "steps_per_epoch.*1.*100"),
    ("J18i", lambda m: fit(m, validation_freq=0), ValueError, "validation_freq.*0"),
    ("J18j", lambda m: fit(m, validation_batch_size=0, validation_split=0.5), ValueError, "batch_size.*0"),
    ("J18k", lambda m: fit(m, validation_steps=0, validation_split=0.5), ValueError, "validation_steps.*0"),
    ("J20", lambda m: fit(m, validation_split=1.0), ValueError, "validation_split.*1.0"),
    ("J20b", lambda m: fit(m, validation_split=-0.1), ValueError, "validation_split.*-0.1"),
    ("J20c", lambda m: fit(m, validation_split="a"), TypeError, "validation_split.*str"),
    ("J20d", lambda m: fit(m, validation_split=0.99), ValueError, "validation_split.*both sides"),
    ("J21", lambda m: fit(m, validation_data=(X,)), ValueError, "validation_data.*1"),
    ("J21b", lambda m: fit(m, validation_data=X), TypeError, "validation_data.*ndarray"),
    ("J21c", lambda m: fit(m, validation_data=(X[:, :2], ONE_HOT)), ValueError, r"validation_data.*\(12, 2\)"),
    ("J21d", lambda m: fit(m, validation_data=(X, ONE_HOT[:3])), ValueError, "validation_data.*`y` 3 rows"),
    ("J21e", lambda m: fit(m, validation_data=3), TypeError, "validation_data.*int"),
    ("J21f", lambda m: fit(m, validation_data=(X, None)), ValueError, "validation_data.*None"),
    ("J21g", lambda m: fit(m, validation_data=(X[:0], ONE_HOT[:0])), ValueError, "validation_data.*samples"),
    ("J22", lambda m: fit(m, shuffle=1), TypeError, "shuffle.*1"),
    ("J22b", lambda m: fit(m, verbose="loud"), ValueError, "verbose.*loud"),
    ("J22c", lambda m: fit(m, verbose=7), ValueError, "verbose.*7"),
    ("J22d", lambda m: fit(m, callbacks=[3]), TypeError, "callbacks.*3"),
    ("J22e", lambda m: fit(m, callbacks=[callbacks.EarlyStopping]), TypeError, "callbacks.*EarlyStopping"),
    ("J24", lambda m: fit(m, sample_weight=np.ones(11)), ValueError, "sample_weight.*11 rows"),
    ("J24b", lambda m: fit(m, sample_weight=-np.ones(12)), ValueError, "sample_weight.*>= 0"),
    ("J24c", lambda m: fit(m, sample_weight=np.full(12, np.nan)), ValueError, "sample_weight.*finite"),
    ("J24d", lambda m: fit(m, sample_weight=np.ones((12, 1))), ValueError, r"sample_weight.*\(12, 1\)"),
    ("J24e", lambda m: fit(m, class_weight={0: 1.0}), ValueError, "class_weight.*1, 2"),
    ("J24f", lambda m: fit(m, class_weight=[1, 1, 1]), TypeError, "class_weight.*list"),
    ("J24g", lambda m: fit(m, class_weight={0: 1, 1: -1, 2: 1}), ValueError, "class_weight.*-1"),
    ("J24h", lambda m: fit(m, class_weight={0: 1, 1: "a", 2: 1}), TypeError, "class_weight.*str"),
    ("J26", lambda m: fit(m, iter([(X, ONE_HOT)]), ONE_HOT), ValueError, "iterable.*targets"),
    ("J26b", lambda m: fit(m, iter([X]), None), ValueError, "batches.*ndarray"),
    ("J26c", lambda m: fit(m, iter([(X, ONE_HOT, 1, 2)]), None), ValueError, "batches.*4"),
    ("J26d", lambda m: fit(m, iter([(X, ONE_HOT[:2])]), None), ValueError, "`y` 2 rows"),
    ("J26e", lambda m: fit(m, iter([]), None), ValueError, "batches.*none"),
    ("J26g", lambda m: fit(m, iter([(X[:0], ONE_HOT[:0])]), None), ValueError, "samples.*0"),
    ("J28", lambda m: m.evaluate(X, ONE_HOT[:3], verbose=0), ValueError, "`y` 3 rows"),
    ("J28b", lambda m: m.evaluate(X[:0], ONE_HOT[:0], verbose=0), ValueError, "samples.*0"),
    ("J28c", lambda m: m.evaluate(iter([(X, ONE_HOT)]), ONE_HOT, verbose=0), ValueError, "iterable.*targets"),
    ("J28d", lambda m: m.evaluate(X, ONE_HOT, batchsize=3), TypeError, "`batchsize`, did you mean `batch_size`"),
    ("J28e", lambda m: m.evaluate(iter([]), verbose=0), ValueError, "batches.*none"),
    ("J28f", lambda m: m.train_on_batch(X[:0], ONE_HOT[:0]), ValueError, "samples.*0"),
    ("J28g", lambda m: m.train_on_batch(X, ONE_HOT[:3]), ValueError, "`y` 3 rows"),
    ("J28h", lambda m: m.gradients(X, ONE_HOT[:3]), ValueError, "`y` 3 rows"),
    ("J28i", lambda m: m.gradients(X[:0], ONE_HOT[:0]), ValueError, "samples.*0"),
    ("J30", lambda m: m.predict(X[:, :2]), ValueError, r"x.*\(N, 4\).*\(12, 2\)"),
    ("J30b", lambda m: m.predict("a"), TypeError, "x.*str"),
    ("J30c", lambda m: m.predict(X, batch_size=0), ValueError, "batch_size.*0"),
    ("J30d", lambda m: m.predict(X, batchsize=3), TypeError, "`batchsize`, did you mean `batch_size`"),
    ("J30e", lambda m: m.predict(iter([])), ValueError, "batches.*none"),
    ("J30f", lambda m: m.predict(X[0]), ValueError, r"x.*\(N, 4\).*\(4,\)"),
    ("J30g", lambda m: m.predict_on_batch(3), TypeError, "x.*int"),
    ("J33", lambda m: fit(m, epoch=3), TypeError, "unexpected keyword `epoch`, did you mean `epochs`"),
    ("J33b", lambda m: fit(m, batchsize=3), TypeError, "unexpected keyword `batchsize`, did you mean `batch_size`"),
    ("J33c", lambda m: fit(m, nonsense=3), TypeError, "unexpected keyword `nonsense`"),
]


@pytest.mark.parametrize("call,error,words", [c[1:] for c in FIT], ids=[c[0] for c in FIT])
def test_data_that_do_not_fit(model, call, error, words):
    before = model.get_weights()
    assert_refused(lambda: call(model), error, words)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    fit(model)  # and the model still works


OTHER_TARGETS = [
    ("F9", "sparse_categorical_crossentropy", np.where(np.arange(12) == 7, 3, LABELS), ValueError, "3 at index 7.*3"),
    ("F9b", "sparse_categorical_crossentropy", -LABELS, ValueError, "y.*-"),
    ("F11", "sparse_categorical_crossentropy", LABELS + 0.5, TypeError, "y.*whole"),
    ("F11b", "sparse_categorical_crossentropy", LABELS * np.nan, TypeError, "y.*whole"),
    ("F13", "sparse_categorical_crossentropy", ONE_HOT, ValueError, "one label per sample|y"),
    ("F15", "binary_crossentropy", ONE_HOT * 2, ValueError, "y value 2"),
    ("F17", "mse", f32(12), ValueError, r"y.*\(N, 3\).*\(12,\)"),
    ("F17b", "mse", np.full((12, 3), np.inf), ValueError, "y.*finite"),
]


@pytest.mark.parametrize("loss,y,error,words", [t[1:] for t in OTHER_TARGETS], ids=[t[0] for t in OTHER_TARGETS])
def test_targets_of_other_losses(loss, y, error, words):
    assert_refused(lambda: fit(compiled(loss), X, y), error, words)
    assert_refused(lambda: losses.get(loss)(y, ONE_HOT), error, "y_true")


def test_data_that_look_odd_and_are_right(model):
    """J15, J19, J23, J25 and what Keras takes."""
    history = fit(model, epochs=0)
    assert history.history == {}
    for odd in (X.tolist(), X.astype(np.float64), X.astype(">f4"), np.abs(X * 50).astype(np.uint8), X[::-1], X > 0):
        fit(model, odd)
    fit(model, X, ONE_HOT.astype(np.int8))
    fit(model, X, ONE_HOT[:, ::-1])
    fit(model, X[:, ::-1], ONE_HOT, batch_size=5, shuffle=False)  # a last batch of 2
    fit(model, X, ONE_HOT, batch_size=11)  # a last batch of 1
    fit(model, X, ONE_HOT, batch_size=4, steps_per_epoch=2)
    assert model.predict(f32(0, 4)).shape == (0, 3)
    sparse = compiled("sparse_categorical_crossentropy")
    fit(sparse, X, LABELS[:, None])
    fit(sparse, X, LABELS.astype(np.float64))
    one = models.Sequential([layers.Input((4,)), layers.Dense(1)])
    one.compile("sgd", "mse")
    fit(one, X, np.ones(12))  # (N,) for one output


def test_an_iterable_that_runs_out(model):
    assert_refused(lambda: fit(model, iter([(X, ONE_HOT)]), None, steps_per_epoch=2), ValueError, "ran out.*2")
    assert model.optimizer.iterations == 1


def test_every_row_is_used_once(model):
    """J23."""
    seen = []

    class Sizes(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    fit(model, batch_size=5, callbacks=[Sizes()])
    assert seen == [0, 1, 2]


def test_inputs_are_never_changed_and_results_never_alias(model):
    x, y, weights = X.copy(), ONE_HOT.copy(), np.ones(12, np.float32)
    fit(model, x, y, sample_weight=weights, epochs=2)
    model.evaluate(x, y, verbose=0)
    first = model.predict(x)
    kept = first.copy()
    model.predict(x + 1)
    np.testing.assert_array_equal(first, kept)
    for array, original in ((x, X), (y, ONE_HOT), (weights, np.ones(12))):
        np.testing.assert_array_equal(array, original)
    assert not any(np.shares_memory(a, w.array) for a, w in zip(model.get_weights(), model.weights, strict=True))
    read_only = X.copy()
    read_only.flags.writeable = False
    fit(model, read_only)


# During training.


def test_a_loss_that_is_not_finite_stops_before_the_step():
    """J17: weights are those before that step, and the message counts from 1."""
    model = compiled("mse", optimizer=optimizers.Adam(0.1))
    x, weights = X.copy(), []
    x[10] = np.nan  # batch 6 of 2 rows

    class Keep(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            weights.append(self.model.get_weights())

    fit(model, X, ONE_HOT, batch_size=2, shuffle=False)
    assert_refused(
        lambda: fit(model, x, ONE_HOT, batch_size=2, shuffle=False, callbacks=[Keep()]),
        NonFiniteLossError,
        "nan in epoch 1, batch 6",
    )
    assert len(weights) == 5
    for kept, now in zip(weights[-1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
    assert model.optimizer.iterations == 6 + 5
    assert_refused(lambda: model.train_on_batch(x, ONE_HOT), NonFiniteLossError, "nan")
    fit(model)


def test_reentrant_calls_from_a_callback(model, tmp_path):
    """J29: fit is refused, everything that only reads is fine."""
    seen = []

    class Nosy(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert_refused(lambda: fit(self.model), RuntimeError, "already training")
            assert_refused(lambda: self.model.train_on_batch(X, ONE_HOT), RuntimeError, "already training")
            assert_refused(lambda: self.model.compile("sgd", "mse"), RuntimeError, "already training")
            self.model.predict(X)
            self.model.evaluate(X, ONE_HOT, verbose=0)
            self.model.save(tmp_path / "m.safetensors")
            seen.append(batch)

    fit(model, callbacks=[Nosy()])
    assert seen == [0]
    assert np.isfinite(models.load_model(tmp_path / "m.safetensors").predict(X)).all()


def test_evaluate_from_a_callback_leaves_the_epochs_numbers_alone(model):
    class Nosy(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(X[:1], ONE_HOT[:1], verbose=0)

    plain = fit(compiled(), batch_size=4, shuffle=False).history["loss"]
    assert fit(model, batch_size=4, shuffle=False, callbacks=[Nosy()]).history["loss"] == plain


def test_an_error_in_a_callback_leaves_a_usable_model(model):
    class Broken(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(model, callbacks=[Broken()])
    fit(model)


def test_fit_from_two_threads_trains_one_model_at_a_time(model):
    errors, inside, leave = [], threading.Event(), threading.Event()

    class Wait(callbacks.Callback):
        def on_train_begin(self, logs=None):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=lambda: fit(model, callbacks=[Wait()]))
    thread.start()
    assert inside.wait(10)
    try:
        fit(model)
    except RuntimeError as error:
        errors.append(str(error))
    leave.set()
    thread.join(10)
    assert len(errors) == 1
    assert "already training" in errors[0]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_ctrl_c_during_fit_is_quick_and_leaves_whole_steps():
    """J31, P18: KeyboardInterrupt within a second, the weights are those after a whole number of steps."""
    import time

    def make():
        return compiled("mse", optimizer=optimizers.Adam(0.01))

    model = make()

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    due = time.monotonic() + 0.2
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(model, batch_size=4, epochs=10**6, shuffle=False)
        late = time.monotonic() - due
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert late < 1.0
    steps = model.optimizer.iterations
    assert steps > 0
    again = make()
    while again.optimizer.iterations < steps:
        at = again.optimizer.iterations % 3 * 4
        again.train_on_batch(X[at : at + 4], ONE_HOT[at : at + 4])
    whole = again.get_weights()
    again.train_on_batch(X[steps % 3 * 4 :][:4], ONE_HOT[steps % 3 * 4 :][:4])  # interrupted between step and count
    weights = model.get_weights()
    assert any(
        all(np.array_equal(a, b) for a, b in zip(weights, other, strict=True)) for other in (whole, again.get_weights())
    )
    fit(model)
