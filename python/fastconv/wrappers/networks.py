"""Estimators that bring a network of dense layers along, so that there is something to tune at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastconv import layers, models, optimizers, random
from fastconv.wrappers.estimators import SKLearnClassifier, SKLearnRegressor

__all__ = ["FastconvClassifier", "FastconvRegressor"]

_NETWORK = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "dropout": 0.0,
    "optimizer": "adam",
    "learning_rate": 0.001,
}


class _WithNetwork:
    """The parameters, and what a fit does with them."""

    model: Any
    hidden_layer_sizes: Sequence[int]
    activation: Any
    dropout: float
    optimizer: Any
    learning_rate: float
    batch_size: int
    epochs: int
    validation_split: float
    callbacks: Any
    verbose: Any
    random_state: Any
    model_kwargs: Mapping[str, Any] | None
    fit_kwargs: Mapping[str, Any] | None
    _loss: str
    _last_activation: str

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Any:
        """As :meth:`SKLearnClassifier.fit`; a ``random_state`` fixes weights, shuffles and dropout of this fit alone."""
        with _seeded(self.random_state):
            return super().fit(X, y, **fit_params)  # type: ignore[misc]  # an estimator stands beside it

    def _build(self) -> Callable[..., Any]:
        if self.model is None:
            if self.model_kwargs:
                raise ValueError(
                    f"[{type(self).__name__}] model_kwargs are for a function: expected model to be one, got model=None. Use the "
                    f"estimator's own parameters: {', '.join(_NETWORK)}."
                )
            return self._network
        changed = [name for name, default in _NETWORK.items() if getattr(self, name) != default]
        if changed:
            raise ValueError(
                f"[{type(self).__name__}] the parameters of the network are for model=None: expected a model alone, got "
                f"{', '.join(changed)} too. Pass them to the function in model_kwargs."
            )
        return self.model

    def _network(self, X: np.ndarray, y: np.ndarray) -> Any:
        model = models.Sequential([layers.Input(X.shape[1:])])
        if X.ndim > 2:
            model.add(layers.Flatten())
        for units in self.hidden_layer_sizes:
            model.add(layers.Dense(units, activation=self.activation))
            if self.dropout:
                model.add(layers.Dropout(self.dropout))
        model.add(layers.Dense(y.shape[1], activation=self._last_activation))
        chosen = optimizers.get(self.optimizer)
        chosen = type(chosen).from_config({**chosen.get_config(), "learning_rate": self.learning_rate})
        model.compile(chosen, self._loss)
        return model

    def _fit_arguments(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "validation_split": self.validation_split,
            "callbacks": self.callbacks,
            "verbose": self.verbose,
            **(self.fit_kwargs or {}),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]  # an estimator stands beside it
        tags.non_deterministic = False
        return tags


class FastconvClassifier(_WithNetwork, SKLearnClassifier):
    """A network that predicts classes, as a scikit-learn classifier: in pipelines, cross_val_score, GridSearchCV.

    Args:
        model: None: dense layers and a softmax. Or a compiled model, or a function ``model(X, y, **model_kwargs)``, as for
            :class:`SKLearnClassifier`.
        hidden_layer_sizes: units of each hidden layer (for model=None, as are the next four).
        activation: of the hidden layers.
        dropout: 0 <= dropout < 1, after each hidden layer.
        optimizer: a name, or an optimizer, of which each fit takes a new copy.
        learning_rate: > 0.
        batch_size, epochs, validation_split, callbacks, verbose: of ``model.fit``; callbacks are copied for each fit.
        warm_start: whether a fit goes on with the model of the last one.
        random_state: an int, a NumPy RandomState, or None for other weights each time.
        model_kwargs: further arguments of a function ``model``.
        fit_kwargs: further arguments of ``model.fit``.

    Attributes:
        ``model_``: the trained model; ``history_``: its losses and metrics by name; ``classes_``: the labels, sorted.
    """

    _loss, _last_activation = "categorical_crossentropy", "softmax"

    def __init__(
        self,
        model: Any = None,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: Any = "relu",
        dropout: float = 0.0,
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        batch_size: int = 32,
        epochs: int = 100,
        validation_split: float = 0.0,
        callbacks: Any = None,
        verbose: Any = 0,
        warm_start: bool = False,
        random_state: Any = None,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        super().__init__(model, warm_start, model_kwargs, fit_kwargs)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state


class FastconvRegressor(_WithNetwork, SKLearnRegressor):
    """A network that predicts numbers, as a scikit-learn regressor; parameters as :class:`FastconvClassifier`. The network
    ends in a dense layer without activation and is trained on the mean squared error.

    Attributes:
        ``model_``: the trained model; ``history_``: its losses and metrics by name.
    """

    _loss, _last_activation = "mean_squared_error", "linear"

    def __init__(
        self,
        model: Any = None,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: Any = "relu",
        dropout: float = 0.0,
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        batch_size: int = 32,
        epochs: int = 100,
        validation_split: float = 0.0,
        callbacks: Any = None,
        verbose: Any = 0,
        warm_start: bool = False,
        random_state: Any = None,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        super().__init__(model, warm_start, model_kwargs, fit_kwargs)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_split = validation_split
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state


@contextmanager
def _seeded(random_state: Any) -> Iterator[None]:
    """Numbers of their own inside the block, unless ``random_state`` is None."""
    if random_state is None:
        yield
        return
    before = random.get_state()
    random.seed(int(check_random_state(random_state).randint(2**31)))
    try:
        yield
    finally:
        random.set_state(before)
