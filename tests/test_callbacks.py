"""Callbacks and history, driven by a fake training loop."""

import math
from types import SimpleNamespace

import pytest

from fastconv import callbacks
from fastconv.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressCallback,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from fastconv.errors import NonFiniteLossError
from fastconv.optimizers import SGD
from fastconv.schedules import CosineDecay
from fastconv.testing.fake_training import FakeModel, train

# The list, the base class, lambdas, history.


def test_hooks_are_called_in_order_and_with_the_old_names():
    class Spy(Callback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def on_train_begin(self, logs=None):
            self.calls.append("begin")

        def on_epoch_begin(self, epoch, logs=None):
            self.calls.append(f"epoch {epoch}")

        def on_batch_end(self, batch, logs=None):
            self.calls.append(f"batch {batch}")

        def on_train_end(self, logs=None):
            self.calls.append("end")

    spy = Spy()
    train(FakeModel(), 2, spy, loss=[1.0, 0.5])
    assert spy.calls == ["begin", "epoch 0", "batch 0", "batch 1", "epoch 1", "batch 0", "batch 1", "end"]
    assert spy.params["epochs"] == 2 and spy.model is not None


def test_list_calls_only_who_listens():
    every = CallbackList([EarlyStopping()])
    assert every.listens("on_epoch_end") and not every.listens("on_train_batch_end")
    assert CallbackList([LambdaCallback(on_batch_end=print)]).listens("on_train_batch_end")
    history = History()
    assert CallbackList(history, add_history=True).history is history
    assert len(CallbackList([History()], add_history=True, add_progbar=True, verbose=0).callbacks) == 2


def test_every_hook_reaches_a_lambda():
    seen = []
    hooks = {name: (lambda *a, name=name: seen.append(name)) for name in callbacks.base.HOOKS}
    every = CallbackList(LambdaCallback(**hooks))
    for name in hooks:
        getattr(every, name)(*([0] if "batch" in name or "epoch" in name else []))
    assert seen == list(hooks)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: CallbackList([EarlyStopping]), "Add parentheses"),
        (lambda: CallbackList(EarlyStopping), "Add parentheses"),
        (lambda: CallbackList([EarlyStopping(), 3]), r"callbacks\[1\]=3"),
        (lambda: CallbackList(3), r"callbacks\[0\]=3"),
        (lambda: LambdaCallback(on_epoch=print), "'on_epoch'"),
        (lambda: LambdaCallback(on_epoch_end=3), "on_epoch_end=3"),
    ],
)
def test_list_refuses_what_is_no_callback(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_history_records_epochs_and_counts_steps():
    history = train(FakeModel(), 50, steps=math.ceil(1000 / 128), loss=list(range(50)))
    assert history.history == {"loss": list(range(50))} and history.epoch == list(range(50))
    assert (
        history.steps == history.total_steps == 400 and history.steps_per_epoch == 8 and history.params["epochs"] == 50
    )


def test_history_sees_what_other_callbacks_add():
    history = train(FakeModel(), 2, LearningRateScheduler(lambda epoch: 0.5**epoch), loss=[1, 1])
    assert history.history["learning_rate"] == [1.0, 0.5]


# EarlyStopping.


def test_early_stopping_stops_after_patience_and_restores_the_best():
    model = FakeModel()
    stopper = EarlyStopping(patience=2, restore_best_weights=True)
    history = train(model, 10, stopper, val_loss=[3, 1, 2, 2, 2, 0, 0, 0, 0, 0])
    assert history.epoch == [0, 1, 2, 3] and stopper.stopped_epoch == 3
    assert stopper.best == 1 and stopper.best_epoch == 1 and model.weights[0] == 1


def test_early_stopping_restores_the_best_when_epochs_run_out():
    model = FakeModel()
    train(model, 3, EarlyStopping(patience=5, restore_best_weights=True), val_loss=[3, 1, 2])
    assert model.weights[0] == 1 and not model.stop_training


def test_early_stopping_leaves_weights_alone_by_default():
    model = FakeModel()
    train(model, 3, EarlyStopping(patience=5), val_loss=[3, 1, 2])
    assert model.weights[0] == 2


def test_early_stopping_starts_afresh_in_a_second_fit():
    model, stopper = FakeModel(), EarlyStopping(patience=1, restore_best_weights=True)
    train(model, 3, stopper, val_loss=[0.1, 2, 3])
    assert train(model, 3, stopper, val_loss=[5, 4, 3]).epoch == [0, 1, 2] and model.weights[0] == 2


@pytest.mark.parametrize(
    ("arguments", "values", "epochs"),
    [
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.2, 1.0], 2),
        ({"patience": 0}, [3, 2, 2, 1], 3),
        ({"patience": 1, "start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 5),
        ({"patience": 2, "baseline": 1.0}, [3, 4, 0.5, 0.4], 2),
        ({"patience": 3, "baseline": 1.0}, [3, 2.5, 0.5, 0.6, 0.7, 0.8], 6),
        ({"patience": 1, "mode": "max"}, [1, 2, 1.5, 3], 3),
        ({"patience": 2}, [math.nan, 2, 3, 1], 4),
        ({"patience": 2}, [1, math.nan, math.nan, 0], 3),
    ],
)
def test_early_stopping_arguments(arguments, values, epochs):
    assert len(train(FakeModel(), len(values), EarlyStopping(**arguments), val_loss=values).epoch) == epochs


def test_direction_comes_from_the_metric_then_from_the_name():
    model = FakeModel()
    model.metrics = [SimpleNamespace(name="dice", direction="up")]
    stopper = EarlyStopping("val_dice", patience=1)
    assert train(model, 3, stopper, val_dice=[1, 2, 3]).epoch == [0, 1, 2]
    assert train(FakeModel(), 3, EarlyStopping("val_accuracy"), val_accuracy=[1, 2, 3]).epoch == [0, 1, 2]
    with pytest.raises(ValueError, match="mode 'min' or 'max'"):
        train(FakeModel(), 2, EarlyStopping("val_dice"), val_dice=[1, 2])


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_missing_monitor_warns_once(kind):
    with pytest.warns(UserWarning, match="monitor='val_loss' is not in the logs: expected one of loss") as seen:
        history = train(FakeModel(), 4, kind(patience=0), loss=[4, 3, 2, 1])
    assert len(seen) == 1 and len(history.epoch) == 4


# ModelCheckpoint.


def test_checkpoint_fills_in_the_name(tmp_path):
    model = FakeModel()
    path = tmp_path / "runs" / "{epoch:02d}-{val_loss:.2f}.safetensors"
    train(model, 2, ModelCheckpoint(path), val_loss=[0.5, 0.25])
    names = [("model", str(tmp_path / "runs" / f"{n}.safetensors")) for n in ("01-0.50", "02-0.25")]
    assert [s[:2] for s in model.saved] == names and (tmp_path / "runs").is_dir()


def test_checkpoint_keeps_only_the_best_also_in_a_second_fit(tmp_path):
    model, checkpoint = FakeModel(), ModelCheckpoint(tmp_path / "best.safetensors", save_best_only=True)
    train(model, 4, checkpoint, val_loss=[3, 1, 2, 0.5])
    train(model, 2, checkpoint, val_loss=[0.6, 0.4])
    assert [weight for _, _, weight in model.saved] == [0, 1, 3, 1]


def test_checkpoint_saves_weights_every_few_batches(tmp_path):
    model = FakeModel()
    path = tmp_path / "{epoch}-{batch}.safetensors"
    train(model, 2, ModelCheckpoint(path, save_weights_only=True, save_freq=3), steps=4, loss=[1, 2])
    assert [s[1].rsplit("/")[-1] for s in model.saved] == ["1-3.safetensors", "2-2.safetensors"]
    assert {s[0] for s in model.saved} == {"weights"}


def test_checkpoint_threshold_and_message(tmp_path, capsys):
    model = FakeModel()
    checkpoint = ModelCheckpoint(
        tmp_path / "m.safetensors", "val_loss", 1, save_best_only=True, initial_value_threshold=1.0
    )
    train(model, 2, checkpoint, val_loss=[2, 0.5])
    assert len(model.saved) == 1 and "Epoch 2: val_loss improved from 1.0 to 0.5" in capsys.readouterr().out


def test_checkpoint_without_its_monitor_warns_and_saves(tmp_path):
    model = FakeModel()
    with pytest.warns(UserWarning, match="not in the logs"):
        train(model, 2, ModelCheckpoint(tmp_path / "m", save_best_only=True), loss=[2, 1])
    assert len(model.saved) == 2


@pytest.mark.parametrize("name", ["{val_acc}.safetensors", "{}.safetensors", "{epoch:q}.safetensors"])
def test_checkpoint_names_a_placeholder_that_cannot_be_filled(name, tmp_path):
    with pytest.raises(ValueError, match="filepath cannot be filled in"):
        train(FakeModel(), 1, ModelCheckpoint(tmp_path / name), val_loss=[1])


# CSVLogger.


def test_csv_has_a_row_per_epoch(tmp_path):
    path = tmp_path / "log.csv"
    train(FakeModel(), 2, CSVLogger(path), loss=[1.5, 0.5], acc=[0.25, [0.5, 0.75]], val_loss=[2.0, None])
    assert path.read_text().splitlines() == [
        "epoch,acc,loss,val_loss",
        "0,0.25,1.5,2.0",
        '1,"[0.5, 0.75]",0.5,NA',
    ]


def test_csv_keeps_room_for_a_later_validation(tmp_path):
    path = tmp_path / "log.csv"
    train(FakeModel(), 2, CSVLogger(path, ";"), loss=[1, 2], val_loss=[None, 3])
    assert path.read_text().splitlines() == ["epoch;loss;val_loss", "0;1;NA", "1;2;3"]


def test_csv_replaces_or_appends(tmp_path):
    path = tmp_path / "log.csv"
    train(FakeModel(), 1, CSVLogger(path, append=True), loss=[1], val_loss=[2])
    train(FakeModel(), 1, CSVLogger(path, append=True), loss=[3], val_loss=[4])
    assert path.read_text().splitlines() == ["epoch,loss,val_loss", "0,1,2", "0,3,4"]
    with pytest.raises(ValueError, match=r"other columns: expected \['acc'\]"):
        train(FakeModel(), 1, CSVLogger(path, append=True), acc=[3])
    train(FakeModel(), 1, CSVLogger(path), acc=[9], val_acc=[8])
    assert path.read_text().splitlines() == ["epoch,acc,val_acc", "0,9,8"]


def test_csv_in_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="CSVLogger"):
        train(FakeModel(), 1, CSVLogger(tmp_path / "no" / "log.csv"), loss=[1])


# Learning rates and NaN.


def test_scheduler_takes_one_or_two_arguments_or_a_schedule(capsys):
    model = FakeModel()
    train(model, 3, LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1), loss=[1, 1, 1])
    assert model.optimizer.learning_rate == 0.1 / 8 and "Epoch 3: learning rate 0.0125" in capsys.readouterr().out
    train(model, 3, LearningRateScheduler(CosineDecay(1.0, 4)), loss=[1, 1, 1])
    assert model.optimizer.learning_rate == pytest.approx(0.5)


@pytest.mark.parametrize(("rate", "error"), [(-1, ValueError), (math.nan, ValueError), (None, TypeError)])
def test_scheduler_refuses_a_bad_rate(rate, error):
    with pytest.raises(error, match="schedule's result"):
        train(FakeModel(), 1, LearningRateScheduler(lambda epoch: rate), loss=[1])


def test_plateau_reduces_the_rate_down_to_its_minimum(capsys):
    model = FakeModel()
    plateau = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.03, verbose=1)
    history = train(model, 9, plateau, val_loss=[3, 2, 2, 2, 2, 2, 2, 2, 2])
    rates = [0.1] * 4 + [0.05] * 2 + [0.03] * 3
    assert history.history["learning_rate"] == rates
    assert capsys.readouterr().out.count("reduced") == 2


def test_plateau_cools_down():
    model = FakeModel()
    plateau = ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2)
    train(model, 6, plateau, val_loss=[1] * 6)
    assert model.optimizer.learning_rate == 0.1 * 0.5**3  # after epochs 2, 4 and 6


def test_plateau_cannot_change_a_schedule():
    with pytest.raises(TypeError, match="schedule owns the learning rate"):
        train(FakeModel(SGD(CosineDecay(0.1, 5))), 3, ReduceLROnPlateau(patience=1), val_loss=[1, 1, 1])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_nan_ends_training(loss, capsys):
    history = train(FakeModel(), 3, TerminateOnNaN(), loss=[1, loss, 1])
    assert history.steps == 3 and "epoch 2, batch 1" in capsys.readouterr().out
    with pytest.raises(NonFiniteLossError, match="epoch 2, batch 1"):
        train(FakeModel(), 3, TerminateOnNaN(raise_error=True), loss=[1, loss, 1])
    assert CallbackList([TerminateOnNaN()]).handles_nonfinite_loss
    assert not CallbackList([EarlyStopping()]).handles_nonfinite_loss


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: EarlyStopping(monitor=3), TypeError, "monitor"),
        (lambda: EarlyStopping(patience=-1), ValueError, "patience >= 0"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "patience"),
        (lambda: EarlyStopping(mode="up"), ValueError, "'max'"),
        (lambda: EarlyStopping(min_delta=math.nan), ValueError, "min_delta"),
        (lambda: EarlyStopping(restore_best_weights=1), TypeError, "restore_best_weights"),
        (lambda: ModelCheckpoint(3), TypeError, "filepath"),
        (lambda: ModelCheckpoint(""), ValueError, "filepath"),
        (lambda: ModelCheckpoint("{epoch"), ValueError, "braces"),
        (lambda: ModelCheckpoint("m", save_freq=0), ValueError, "save_freq >= 1"),
        (lambda: ModelCheckpoint("m", save_freq="batch"), TypeError, "save_freq"),
        (lambda: CSVLogger(None), TypeError, "filename"),
        (lambda: CSVLogger("x", separator=", "), ValueError, "separator"),
        (lambda: LearningRateScheduler(0.1), TypeError, "schedule"),
        (lambda: ReduceLROnPlateau(factor=1.0), ValueError, "0 < factor < 1"),
        (lambda: ReduceLROnPlateau(min_lr=-1), ValueError, "min_lr >= 0"),
        (lambda: ProgressCallback(3), ValueError, "verbose"),
        (lambda: ProgressCallback("yes"), ValueError, "'auto'"),
    ],
)
def test_mistakes_get_one_clear_error(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).startswith("[")
