"""What a callback is, and the list that fit, evaluate and predict call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastconv import _arguments

__all__ = ["Callback", "CallbackList", "LambdaCallback", "announce"]

Logs = dict[str, Any] | None


class Callback:
    """Hooks into training, evaluation and prediction: override those you need.

    ``self.model`` is the model, ``self.params`` a dict with "epochs", "steps" (per epoch, or None) and
    "verbose". ``logs`` holds the losses and metrics so far; what a callback adds to it, the callbacks after
    it see. Set ``self.model.stop_training = True`` to end the training after the current batch.

    Attributes:
        async_safe: whether the batch hooks look at nothing but ``logs``. On a GPU ``fit`` has the next batch under way
            when it calls them; for callbacks that may look at the model it waits.
        runs_last: whether its hooks are called after those of the others, wherever it is in the list.

    Example:
        >>> class Shout(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"{logs['loss']:.1f}!")
        >>> Shout().on_epoch_end(0, {"loss": 0.5})
        0.5!
    """

    async_safe = False
    runs_last = False

    def __init__(self) -> None:
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called once, before any other hook."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called once, before training, evaluation or prediction begins."""
        self.params = dict(params)

    def get_state(self) -> dict[str, Any]:
        """What it remembers from batch to batch and epoch to epoch, for a checkpoint: JSON types and arrays."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`get_state`'s result; called after :meth:`on_train_begin` of a training that is resumed."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch; logs are those of that epoch."""

    def release(self) -> None:
        """Gives back what it holds of the system; called when ``fit`` ends, in whatever way."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After an epoch and its validation, whose logs are prefixed by ``val_``."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a training step, counted from 0 in its epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a training step; logs are means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Older name of :meth:`on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Older name of :meth:`on_train_batch_end`."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before an evaluation, also before that of a validation."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of a prediction; ``logs["outputs"]`` are its predictions."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Calls many callbacks as one. A hook costs nothing for the callbacks that do not override it.

    Args:
        callbacks: one callback, or several in the order in which they are called.
        add_history: whether to append a :class:`History` if there is none; it is then ``.history``.
        add_progbar: whether to append a :class:`ProgressCallback` if there is none.
        model: what they act on.
        params: passed to each :meth:`Callback.set_params`.

    Raises:
        TypeError: if one of them is not an instance of :class:`Callback`.
    """

    def __init__(
        self,
        callbacks: Callback | Iterable[Callback] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks = _checked(callbacks)
        self.history = self._find_or_add("History", add_history)
        self._find_or_add("ProgressCallback", add_progbar, verbose=params.get("verbose", "auto"))
        order = sorted(self.callbacks, key=lambda callback: callback.runs_last)
        self._listeners = {hook: [c for c in order if _overrides(c, hook)] for hook in HOOKS}
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)
        self.model, self.params = model, params

    def _find_or_add(self, name: str, add: bool, **arguments: Any) -> Callback | None:
        from fastconv import callbacks  # not at the top: that module imports this one

        kind = getattr(callbacks, name)
        for callback in self.callbacks:
            if isinstance(callback, kind):
                return callback
        if not add:
            return None
        self.callbacks.append(kind(**arguments))
        return self.callbacks[-1]

    def listens(self, hook: str) -> bool:
        """Whether any callback overrides ``hook``; if not, the caller need not prepare logs for it."""
        return bool(self._listeners[hook])

    def looks_at_batches(self, *hooks: str) -> bool:
        """Whether a callback that overrides one of ``hooks`` must find the model as it is after that very batch."""
        return any(not callback.async_safe for hook in hooks for callback in self._listeners[hook])

    @property
    def handles_nonfinite_loss(self) -> bool:
        """Whether a callback (such as :class:`TerminateOnNaN`) wants to deal with a NaN loss itself."""
        return any(getattr(callback, "handles_nonfinite_loss", False) for callback in self.callbacks)


def _forward(hook: str) -> Callable[..., None]:
    takes = 2 if "batch" in hook or "epoch" in hook else 1  # with the logs

    def call(self: CallbackList, *arguments: Any, **keywords: Any) -> None:
        if len(arguments) + len(keywords) < takes:
            arguments = (*arguments, None)  # as Keras: the logs are always given
        for callback in self._listeners[hook]:
            getattr(callback, hook)(*arguments, **keywords)

    call.__name__ = hook
    call.__doc__ = f"Calls :meth:`Callback.{hook}` of each callback."
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _forward(_hook))


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: functions ``(epoch, logs)``.
        on_train_begin, on_train_end: functions ``(logs)``.
        on_train_batch_begin, on_train_batch_end: functions ``(batch, logs)``.
        hooks: functions for the other hooks, by name.

    Raises:
        TypeError: if a name is no hook, or a value is no function.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Callable[..., Any] | None,
    ):
        super().__init__()
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in {**named, **hooks}.items():
            if name not in HOOKS:
                raise TypeError(
                    f"[LambdaCallback] unexpected keyword {name!r}: expected one of {', '.join(HOOKS)}. "
                    f"Check its spelling."
                )
            if function is None:
                continue
            expected = "a function of its hook's arguments"
            setattr(self, name, _arguments.function("LambdaCallback", name, function, expected))


def announce(message: str) -> None:
    """Print a line without breaking a progress bar."""
    tqdm = sys.modules.get("tqdm")  # there is no bar to break unless it was imported
    if tqdm is None:
        print(message, flush=True)
    else:
        tqdm.tqdm.write(message)


def _overrides(callback: Callback, hook: str) -> bool:
    names = {hook, _OLD_NAMES.get(hook, hook)}
    return any(getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name) for name in names)


def _checked(callbacks: Any) -> list[Callback]:
    if callbacks is None:
        return []
    if isinstance(callbacks, (Callback, type)) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    checked = list(callbacks)
    for i, callback in enumerate(checked):
        if not isinstance(callback, Callback):
            hint = "Add parentheses to make one." if isinstance(callback, type) else "Subclass Callback."
            raise TypeError(
                f"[callbacks] each must be a Callback: expected an instance, got callbacks[{i}]={callback!r} "
                f"({type(callback).__name__}). {hint}"
            )
    return checked
