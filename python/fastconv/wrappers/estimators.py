"""What makes an estimator of a model: checked arrays in, labels or numbers out, nothing of the parameters changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fastconv.models import Model
from fastconv.utils import to_categorical
from fastconv.wrappers.packing import Packed, fresh_copy

__all__ = ["Estimator", "SKLearnClassifier", "SKLearnRegressor"]


class Estimator(BaseEstimator):
    """What classifiers and regressors share."""

    model: Any
    warm_start: bool
    model_kwargs: Mapping[str, Any] | None
    fit_kwargs: Mapping[str, Any] | None
    model_: Any

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Any:
        """Trains a new model (with ``warm_start``, the one of the last fit).

        Args:
            X: samples (N, ...).
            y: targets.
            fit_params: further arguments of ``model.fit``, such as sample_weight; they go before those of the estimator.

        Returns:
            The estimator.
        """
        X, y = validate_data(self, X, y, **self._checks())
        y = self._encoded(y)
        model = self._model_for(X, y)
        if not isinstance(model, Model) or not model.compiled:
            raise RuntimeError(
                f"[{type(self).__name__}] the model must be compiled: expected a fastconv Model with loss and optimizer, got "
                f"{type(model).__name__}. Call model.compile(optimizer, loss) before you return it."
            )
        arguments = {**self._fit_arguments(), **fit_params}
        if "callbacks" in arguments:  # they remember models and best values: those of a parameter stay as they are
            arguments["callbacks"] = copy.deepcopy(arguments["callbacks"])
        self.history_ = model.fit(X, self._targets(model, y), **arguments).history
        self.model_ = model
        return self

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, allow_nd=True)
        return np.asarray(self.model_.predict(X, verbose=0))

    def _model_for(self, X: np.ndarray, y: np.ndarray) -> Any:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return Packed.of(self.model).model() if self.warm_start else fresh_copy(self.model)
        return self._build()(X=X, y=y, **(self.model_kwargs or {}))

    def _build(self) -> Callable[..., Any]:
        return self.model

    def _fit_arguments(self) -> dict[str, Any]:
        return dict(self.fit_kwargs or {})

    def _checks(self) -> dict[str, Any]:
        return {"allow_nd": True}

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        raise NotImplementedError(f"[{type(self).__name__}] an estimator must define _encoded.")

    def _targets(self, model: Any, y: np.ndarray) -> np.ndarray:
        return y

    # Copies.

    def __sklearn_clone__(self) -> Any:
        parameters = {name: copy.deepcopy(_pack(value)) for name, value in self.get_params(deep=False).items()}
        return type(self)(**{name: _unpack(value) for name, value in parameters.items()})

    def __getstate__(self) -> dict[str, Any]:
        return {name: _pack(value) for name, value in super().__getstate__().items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: _unpack(value) for name, value in state.items()})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = True
        return tags


class SKLearnClassifier(ClassifierMixin, Estimator):
    """A model that predicts classes, as a scikit-learn classifier.

    Args:
        model: a compiled model, which is never changed: every fit trains a copy with new weights; or a function
            ``model(X, y, **model_kwargs)`` that returns one. There y is one-hot (N, C). A model may end in C scores or
            in one probability.
        warm_start: whether a fit goes on with the model of the last one.
        model_kwargs: further arguments of that function.
        fit_kwargs: arguments of ``model.fit``.

    Attributes:
        ``model_``: the trained model; ``history_``: its losses and metrics by name; ``classes_``: the labels, sorted.

    Raises:
        ImportError: at the import of the module, where scikit-learn is not installed.
    """

    classes_: np.ndarray

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each sample, (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """float64 (N, C): the probabilities of the labels in the order of ``classes_``."""
        scores = self._outputs(X).astype(np.float64)
        logits = getattr(self.model_._losses[0], "from_logits", False)
        if scores.shape[1] == 1:
            p = 0.5 * (1 + np.tanh(0.5 * scores)) if logits else scores
            return np.hstack([1 - p, p])
        if logits:
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        labels = column_or_1d(y, warn=True)
        classes, codes = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"[{type(self).__name__}] a classifier needs more than one class: expected at least 2 labels in y, got only one "
                f"class, {classes[0]!r}. Check how the data were split."
            )
        if self.warm_start and hasattr(self, "model_") and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"[{type(self).__name__}] a warm start goes on with the same labels: expected {self.classes_}, got {classes}. Fit "
                "with warm_start=False."
            )
        self.classes_ = classes
        return np.asarray(to_categorical(codes, len(classes)))

    def _targets(self, model: Any, y: np.ndarray) -> np.ndarray:
        """What the model's loss compares with: labels, one-hot rows, or one column of two."""
        if model._losses[0].takes_labels:
            return y.argmax(axis=1)
        single = y.shape[1] == 2 and model.built and model._output_shapes() == [(1,)]
        return y[:, 1:] if single else y


class SKLearnRegressor(RegressorMixin, Estimator):
    """A model that predicts numbers, as a scikit-learn regressor.

    Args:
        model: a compiled model, which is never changed: every fit trains a copy with new weights; or a function
            ``model(X, y, **model_kwargs)`` that returns one. There y is (N, outputs).
        warm_start: whether a fit goes on with the model of the last one.
        model_kwargs: further arguments of that function.
        fit_kwargs: arguments of ``model.fit``.

    Attributes:
        ``model_``: the trained model; ``history_``: its losses and metrics by name.

    Raises:
        ImportError: at the import of the module, where scikit-learn is not installed.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def predict(self, X: Any) -> np.ndarray:
        """float64 (N,), or (N, outputs) if it was fitted to that."""
        outputs = self._outputs(X).astype(np.float64)
        return outputs[:, 0] if self._y_ndim == 1 else outputs

    def _checks(self) -> dict[str, Any]:
        return {"allow_nd": True, "multi_output": True, "y_numeric": True}

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        self._y_ndim = y.ndim
        return y.reshape(len(y), -1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _pack(value: Any) -> Any:
    return Packed.of(value) if isinstance(value, Model) else value


def _unpack(value: Any) -> Any:
    return value.model() if isinstance(value, Packed) else value
